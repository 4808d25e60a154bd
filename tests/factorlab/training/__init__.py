"""Tests of factorlab.training."""
