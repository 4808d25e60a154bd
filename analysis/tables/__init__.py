"""Data frames of trials and their evaluations, read from records."""
