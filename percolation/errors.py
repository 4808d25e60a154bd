"""What a parameter out of its range raises."""


class ParameterError(ValueError):
    """A parameter is out of its range; the message is one sentence that says what is allowed."""
