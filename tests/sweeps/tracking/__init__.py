"""Tests of sweeps.tracking."""
