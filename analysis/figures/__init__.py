"""Figures of a sweep, figures of one checkpoint, and static figures. One module each."""
