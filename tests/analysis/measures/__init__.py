"""Tests of analysis.measures."""
