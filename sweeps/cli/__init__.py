"""The command line, and the live view in a terminal."""
