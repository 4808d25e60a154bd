"""Injected faults; see docs/faults.md."""
