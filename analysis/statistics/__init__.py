"""Estimates with intervals, from repeated runs."""
