"""Tests of sweeps.planning."""
