"""What fits into memory, asked before it is taken."""

import psutil

from percolation.errors import ParameterError


def available() -> int:
    """Bytes of memory that can be taken without swapping."""
    return int(psutil.virtual_memory().available)


def check_memory(needed: float, what: str, remedy: str) -> None:
    """Refuse what would not fit into the memory that is free.

    Args:
        needed: Bytes.
        what: What would take them, the subject of the sentence.
        remedy: What the user can do.

    Raises:
        ParameterError: More is needed than is available.
    """
    needed, free = float(needed), available()
    if needed > free:
        raise ParameterError(
            f"{what} would take {_gigabytes(needed)} of memory, but {_gigabytes(free)} is free: "
            f"{remedy}."
        )


def _gigabytes(count: float) -> str:
    return f"{count / 1e9:,.1f} GB" if count < 1e18 else f"{count / 1e9:.1e} GB"
