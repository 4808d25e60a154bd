"""Thresholds, scaling exponents, and the predictions of percolation theory."""
