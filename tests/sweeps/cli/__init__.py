"""Tests of sweeps.cli."""
