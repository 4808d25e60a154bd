"""The exception for tables that a figure cannot show."""


class NotDrawableError(ValueError):
    """A figure cannot show a table, because trials are unfinished or settings do not fit.

    The message is a sentence for the user. Any other exception from a figure is a bug.
    """
