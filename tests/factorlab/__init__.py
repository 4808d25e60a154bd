"""Tests of factorlab."""
