"""Thresholds, scaling exponents and predictions of percolation theory."""
