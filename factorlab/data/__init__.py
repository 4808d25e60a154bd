"""Data sets: label lattices, what is trained on, and images from labels."""
