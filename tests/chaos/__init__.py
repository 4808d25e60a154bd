"""Fault injection; see docs/faults.md."""
