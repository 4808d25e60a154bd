"""Figures of a sweep, of one checkpoint, and static ones. One module each."""
