"""Tests of sweeps.tracking.store."""
