"""Sweep orchestration: experiment files, planning, training on Ray, MLflow tracking, the CLI."""
