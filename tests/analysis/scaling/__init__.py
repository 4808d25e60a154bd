"""Tests of analysis.scaling."""
