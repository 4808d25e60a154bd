"""Tests of percolation."""
