"""What a figure says where its table holds nothing that it can show."""


class NotDrawableError(ValueError):
    """A table that a figure cannot show, half-finished or of other settings.

    The message is a sentence for the user; every other exception of a figure is our own mistake.
    """
