"""Data sets: label lattices, training labels, and images rendered from labels."""
