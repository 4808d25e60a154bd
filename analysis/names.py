"""What settings and metrics are called on axes and in legends, with their units."""

import math
from collections.abc import Sequence

import pandas as pd

from factorlab import looks

FAMILIES = looks.titles()
"""What each family of data sets is called."""

_SETTINGS = {
    "step": "Optimizer step",
    "data.family": "Data",
    "data.size": "Side of the frame, N (pixels)",
    "data.sigma": "Spread of the bumps, σ (pixels)",
    "data.spacing": "Increment of the lattice, d (pixels)",
    "data.subsample": "Share of the lattice kept, λ",
    "data.held_out.kind": "Held out",
    "data.held_out.place": "Held out",
    "data.held_out.width": "Width of the held-out region (pixels)",
    "model.width": "Channels of the stem",
    "training.batch_size": "Images a step",
    "training.learning_rate": "Peak learning rate",
    "training.steps": "Length of the training (optimizer steps)",
    "samples_2d": "2D examples",
    "samples_total": "Training examples",
}

# Short forms for legends and titles of panels: `σ = 0.5`.
_SYMBOLS = {
    "data.size": "N",
    "data.sigma": "σ",
    "data.spacing": "d",
    "data.subsample": "λ",
    "data.held_out.width": "W",
    "step": "step",
}

_PARTS = {
    "x": "x alone",
    "y": "y alone",
    "seen": "labels trained on",
    "unseen": "labels not trained on",
    "in_distribution": "in distribution",
    "out_of_distribution": "held-out region",
    "arm_vertical": "vertical arm",
    "arm_horizontal": "horizontal arm",
    "intersection": "intersection",
    "none": "no shape",
    "misplaced": "one in the wrong place",
    "several": "several shapes",
}

_METRICS = {
    "accuracy": "Accuracy",
    "train_loss": "Training loss",
    "validation_loss": "Validation loss",
    "dimension": "Effective dimension",
    "factorization": "Factorization score",
    "variance_top_four": "Variance of four components",
    "r_squared_x": "R² of x, UMAP",
    "r_squared_y": "R² of y, UMAP",
    "r_squared_pca_x": "R² of x, components",
    "r_squared_pca_y": "R² of y, components",
    "betti_0": "Pieces (Betti 0)",
    "betti_1": "Loops (Betti 1)",
    "betti_2": "Voids (Betti 2)",
}


def setting(key: str) -> str:
    """What a setting is called on an axis."""
    return _SETTINGS.get(key, key)


def is_share(metric: str) -> bool:
    """Whether a metric is a share in [0, 1] that is shown in percent."""
    return metric.partition("_")[0] in ("accuracy", "ceiling", "share")


def metric(name: str) -> str:
    """What a metric is called on an axis, with its unit."""
    layer, slash, plain = name.rpartition("/")
    kind, _, part = plain.partition("_")
    if plain in _METRICS:
        text = _METRICS[plain]
    elif is_share(plain) and part in _PARTS:
        text = f"{'Share' if kind == 'share' else kind.capitalize()}, {_PARTS[part]}"
    else:
        text = plain.replace("_", " ")
    text += f" ({layer})" if slash else ""
    return f"{text} (%)" if is_share(plain) else text


def bare(content: object) -> str:
    """A value of a setting without its name."""
    if isinstance(content, tuple):
        return " x ".join(map(bare, content))
    if isinstance(content, str):
        return FAMILIES.get(content, content)
    if isinstance(content, float | int) and not isinstance(content, bool):
        return "none" if math.isnan(content) else f"{content:g}"
    return "none" if content is None else str(content)


def value(key: str, content: object) -> str:
    """A value of a setting as legends and panels have it: `σ = 0.5`, or in words."""
    text = bare(content)
    if isinstance(content, str):
        return text
    if key.startswith("data.held_out") and text == "none":
        return "nothing held out"
    return f"{_SYMBOLS.get(key, key.rpartition('.')[2])} = {text}"


def combination(keys: Sequence[str], contents: Sequence[object]) -> str:
    """Values of several settings, joined."""
    return ", ".join(value(key, content) for key, content in zip(keys, contents, strict=True))


def varying(table: pd.DataFrame) -> list[str]:
    """Settings in which the trials of a table differ, but for the seed, most values first."""
    counts = {
        str(column): table[column].map(str).nunique() for column in table if "." in str(column)
    }
    return sorted((key for key, count in counts.items() if count > 1), key=lambda k: -counts[k])
