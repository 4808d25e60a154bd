"""What a parameter out of its range raises, and how its sentence is put."""


class ParameterError(ValueError):
    """A parameter is out of its range; the message is one sentence that says what is allowed."""


def short(count: int) -> str:
    """A count for people, however large it is."""
    return f"{count:,}" if abs(count) < 10**18 else f"a number of {len(str(abs(count)))} digits"
