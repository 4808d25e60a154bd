"""Sweeps with a search or with early stopping: what Ray Tune calls, and what it is told."""
