"""Tests of factorlab.model."""
