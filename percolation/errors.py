"""The exception for parameters out of range, and number formatting for its messages."""


class ParameterError(ValueError):
    """A parameter is out of its range; the message is one sentence that states the range."""


def short(count: int) -> str:
    """Format a count for a message, shortened if it has 19 or more digits."""
    return f"{count:,}" if abs(count) < 10**18 else f"a number of {len(str(abs(count)))} digits"
