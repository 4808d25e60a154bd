"""Tests of sweeps.execution."""
