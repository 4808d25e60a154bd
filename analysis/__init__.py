"""Compute thresholds, exponents and figures from tables of finished trials.

A table is a pandas DataFrame with one row per finished trial. Its columns are dotted
configuration keys (`data.size`) and metric names (`accuracy`).

Sources: [F] is arXiv 2408.13256, [W] is arXiv 2402.03305.
"""

from analysis.plotting.figure_io import Drawing, save
from analysis.scaling.exponents import (
    SizeCrossing,
    accuracy_table,
    crossings_table,
    exponents_table,
    measure_crossings,
)
from analysis.scaling.predictions import (
    critical_table,
    mass_ratio_table,
    prediction_exponents_table,
    predictions_table,
)
from analysis.scaling.thresholds import Crossing, crossing

__all__ = [
    "Crossing",
    "Drawing",
    "SizeCrossing",
    "accuracy_table",
    "critical_table",
    "crossing",
    "crossings_table",
    "exponents_table",
    "mass_ratio_table",
    "measure_crossings",
    "prediction_exponents_table",
    "predictions_table",
    "save",
]
