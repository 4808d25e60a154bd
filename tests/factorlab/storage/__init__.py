"""Tests of factorlab.storage."""
