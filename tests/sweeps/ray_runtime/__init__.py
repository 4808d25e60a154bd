"""Tests of sweeps.ray_runtime."""
