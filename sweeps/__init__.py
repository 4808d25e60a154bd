"""Sweeps of trials: experiment files, planning, the Ray side, the MLflow side, the command line."""
