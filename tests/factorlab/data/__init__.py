"""Tests of factorlab.data."""
