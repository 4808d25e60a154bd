"""The record of a run on disk: key, lease, journal, checkpoints, atomic files."""
