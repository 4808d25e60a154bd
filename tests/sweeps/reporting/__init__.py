"""Tests of sweeps.reporting."""
