"""Compute thresholds, exponents and figures from tables of finished trials.

A table is a pandas DataFrame with one row per finished trial. Its columns are dotted
configuration keys (`data.size`) and metric names (`accuracy`).

Sources: [F] is arXiv 2408.13256, [W] is arXiv 2402.03305.
"""
