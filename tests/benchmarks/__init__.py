"""Benchmarks; see docs/throughput.md."""
