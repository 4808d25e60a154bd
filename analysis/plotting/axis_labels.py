"""Names of settings and metrics on axes and in legends, with their units."""

import math
from collections.abc import Sequence

import pandas as pd

from factorlab import families
from factorlab.formatting import named

FAMILIES = families.titles()
"""Display name of each data family."""

_SETTINGS = {
    "seed": "Seed",
    "device": "Device",
    "step": "Optimizer step",
    "samples_2d": "2D examples",
    "samples_total": "Training examples",
    "data.family": "Data",
    "data.size": "Side of the frame, N (pixels)",
    "data.sigma": "Spread of the bumps, σ (pixels)",
    "data.spacing": "Increment of the lattice, d (pixels)",
    "data.subsample": "Share of the lattice kept, λ",
    "data.periodic": "Periodic images",
    "data.stripe_spacing": "Increment of the stripes (pixels)",
    "data.margin": "Margin around the frame (pixels)",
    "data.held_out.kind": "Held out",
    "data.held_out.place": "Held out",
    "data.held_out.width": "Width of the held-out region (pixels)",
    "data.held_out.centre": "Centre of the held-out region (x, y) (pixels)",
    "data.stripe_gap.width": "Width of the gap of the stripes (pixels)",
    "data.stripe_gap.centre": "Centre of the gap of the stripes (pixels)",
    "data.arrangement.kind": "Examples",
    "data.arrangement.overlap": "Overlap of linked bumps",
    "model.width": "Channels of the stem",
    "model.encoding": "Length of each encoding",
    "diffusion.timesteps": "Time steps of the forward process, T",
    "diffusion.schedule": "Noise schedule",
    "diffusion.prediction": "Predicted",
    "diffusion.sampling_steps": "Network calls a sample",
    "diffusion.eta": "Share of fresh noise, η",
    "training.steps": "Length of the training (optimizer steps)",
    "training.batch_size": "Images a step",
    "training.stripe_share": "Share of stripes in a batch",
    "training.learning_rate": "Peak learning rate",
    "training.weight_decay": "Weight decay",
    "training.schedule": "Learning-rate schedule",
    "training.ema": "Decay of the averaged weights",
    "training.mixed_precision": "Mixed precision",
    "training.checkpoint_every": "Optimizer steps between checkpoints",
    "training.log_every": "Optimizer steps between lines of the journal",
    "evaluation.every": "Optimizer steps between evaluations",
    "evaluation.at": "Evaluated at optimizer steps",
    "evaluation.labels": "Tested labels",
    "evaluation.samples": "Most labels tested",
    "evaluation.loss_samples": "Images of a loss estimate",
    "evaluation.keep": "Images kept",
    "evaluation.batch_size": "Images sampled at once",
    "representations.layers": "Layers kept",
    "representations.grid": "Labels along an axis of the grid",
    "representations.time": "Time step of the representations",
    "representations.times": "Further time steps of the representations",
    "representations.common_noise": "Same noise for all labels",
}

NONE = "none"
"""Display text of a missing value."""

LONGEST = 28
"""Maximum number of characters of a value in a figure."""

# Symbols for legends and panel titles, as in `σ = 0.5`.
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
    "half_pixel": "within half a pixel",
    "contrast": "images with contrast",
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
    "error_pixels": "Mean error (pixels)",
    "dimension": "Effective dimension",
    "factorization": "Factorization score",
    "additive_share": "Additive share of the variance",
    "cka_image": "Linear CKA with the clean images",
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
    """Return the axis label of a setting."""
    return _SETTINGS.get(key, key)


def is_share(metric: str) -> bool:
    """Return whether a metric is a share in [0, 1], which figures show in percent."""
    return metric.partition("_")[0] in ("accuracy", "ceiling", "share", "failure")


def metric(name: str) -> str:
    """Return the axis label of a metric, with its unit."""
    layer, slash, plain = name.rpartition("/")
    kind, _, part = plain.partition("_")
    if plain in _METRICS:
        text = _METRICS[plain]
    elif is_share(plain) and part in _PARTS:
        text = f"{kind.capitalize()}, {_PARTS[part]}"
    else:
        text = plain.replace("_", " ")
    text += f" ({layer})" if slash else ""
    return f"{text} (%)" if is_share(plain) else text


def missing(content: object) -> bool:
    """Return whether a setting has no value: None, or NaN in a numeric column of a table."""
    return content is None or (isinstance(content, float) and math.isnan(content))


def bare(content: object, *, full: bool = False) -> str:
    """Format a value of a setting without the name of the setting.

    Args:
        content: The value.
        full: Whether to show all digits of numbers.
    """
    if missing(content):
        return NONE
    if isinstance(content, tuple):
        if not content:
            return NONE
        pair = len(content) == 2 and not any(isinstance(part, str) for part in content)
        text = (" x " if pair else ", ").join(bare(part, full=full) for part in content)
        return named(text, LONGEST)
    if isinstance(content, str):
        return FAMILIES.get(content, named(content, LONGEST))
    if isinstance(content, float | int) and not isinstance(content, bool):
        return str(content) if full else f"{content:g}"
    return str(content)


def distinct(contents: Sequence[object]) -> list[str]:
    """Format values of a setting without its name so that different values have different texts."""
    short = [bare(content) for content in contents]
    kinds = {NONE if missing(content) else str(content) for content in contents}
    same = len(set(short)) >= len(kinds)
    return short if same else [bare(content, full=True) for content in contents]


def value(key: str, content: object, *, full: bool = False) -> str:
    """Format a value of a setting for legends and panel titles: `σ = 0.5`, or words."""
    text = bare(content, full=full)
    if isinstance(content, str):
        return text
    if key == "data.held_out.centre" and content is None:
        return "in the middle"
    if key.startswith("data.held_out") and text == NONE:
        return "nothing held out"
    if key == "data.stripe_gap.width":
        return "all stripes" if text == NONE else f"gap of {text}"
    if key == "data.stripe_gap.centre":
        return "" if text == NONE else f"at {text}"
    return f"{_SYMBOLS.get(key, key.rpartition('.')[2])} = {text}"


def combination(keys: Sequence[str], contents: Sequence[object], *, full: bool = False) -> str:
    """Format the values of several settings, separated by commas, without repeated texts."""
    pairs = zip(keys, contents, strict=True)
    texts = (value(key, content, full=full) for key, content in pairs)
    return ", ".join(text for text in dict.fromkeys(texts) if text)


def varying(table: pd.DataFrame) -> list[str]:
    """Return the settings that differ between the trials of a table, most values first.

    The seed is not included.
    """
    counts = {
        str(column): table[column].map(lambda v: NONE if missing(v) else str(v)).nunique()
        for column in table
        if "." in str(column)
    }
    return sorted((key for key, count in counts.items() if count > 1), key=lambda k: -counts[k])
