"""Memory checks before large allocations."""

import psutil

from percolation.errors import ParameterError


def available() -> int:
    """Return the bytes of memory available without swapping."""
    return int(psutil.virtual_memory().available)


def check_memory(needed: float, what: str, remedy: str) -> None:
    """Check that an allocation fits into the available memory.

    Args:
        needed: Size of the allocation in bytes.
        what: What needs the memory; the subject of the message.
        remedy: What the user can change; the end of the message.

    Raises:
        ParameterError: The allocation exceeds the available memory.
    """
    needed, free = float(needed), available()
    if needed > free:
        raise ParameterError(
            f"{what} would take {_gigabytes(needed)} of memory, but {_gigabytes(free)} is free: "
            f"{remedy}."
        )


def _gigabytes(count: float) -> str:
    return f"{count / 1e9:,.1f} GB" if count < 1e18 else f"{count / 1e9:.1e} GB"
