"""Tests of `analysis.statistics`."""
