"""Contracts: what every data family, measure, figure and MLflow store has to do."""
