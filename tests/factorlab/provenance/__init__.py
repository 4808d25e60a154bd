"""Tests of factorlab.provenance."""
