"""Tests of factorlab.evaluation."""
