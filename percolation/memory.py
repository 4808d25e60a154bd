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
    free = available()
    if needed > free:
        raise ParameterError(
            f"{what} would take {needed / 1e9:,.1f} GB of memory, but {free / 1e9:,.1f} GB is "
            f"free: {remedy}."
        )
