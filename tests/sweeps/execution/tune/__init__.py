"""Tests of what a sweep adds to Ray Tune."""
