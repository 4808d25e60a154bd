"""Execution: train a plan on Ray, or a single run in this process."""
