"""The configuration of one run: immutable, typed, and validated before anything starts.

It contains every number that determines the result of a run, with its unit. Lengths are in pixels.
Label coordinates start at 1 in the top left pixel; x is the column and y the row.
"""

from factorlab.config.base import Settings
from factorlab.config.data import MOST_LABELS, Arrangement, DataSettings, Gap, HeldOut
from factorlab.config.run import (
    DiffusionSettings,
    EvaluationSettings,
    Layer,
    ModelSettings,
    RepresentationSettings,
    RunSettings,
    Shape,
    TrainingSettings,
    layer_of,
)

__all__ = [
    "MOST_LABELS",
    "Arrangement",
    "DataSettings",
    "DiffusionSettings",
    "EvaluationSettings",
    "Gap",
    "HeldOut",
    "Layer",
    "ModelSettings",
    "RepresentationSettings",
    "RunSettings",
    "Settings",
    "Shape",
    "TrainingSettings",
    "layer_of",
]
