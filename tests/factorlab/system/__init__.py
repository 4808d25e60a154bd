"""Tests of factorlab.system."""
