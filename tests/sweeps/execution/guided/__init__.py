"""Tests of searches and early stopping."""
