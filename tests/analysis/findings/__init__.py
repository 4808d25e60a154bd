"""Tests of `analysis.findings`."""
