"""Data frames of runs and of their evaluations, read from records."""
