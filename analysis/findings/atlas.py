"""Where the network factorizes x and y beyond the image that it is about to draw.

The experiment is ours. Every comparison is with the factorization score of the clean images at the
layer's resolution, or of the untrained network at the same noise time, and takes the difference in
each trial.
"""

from collections.abc import Sequence

import pandas as pd

from analysis.findings import Claim, NotMeasuredError, Outcome
from analysis.findings._rules.conditions import Condition, decide, shown
from analysis.findings._rules.tables import IMAGE, measured
from analysis.statistics.estimate import LEVEL, of_mean
from analysis.tables.selection import final

_MEASURE = "factorization"
_MARGIN = 0.1
_LAYERS = ("layer2", "layer3", "layer4", "layer5")
_NOISY = "-t900"


def _beyond(rows: pd.DataFrame, layer: str, null: str = "image") -> "pd.Series[float]":
    """Return the score of a layer less that of a null model, by trial.

    Raises:
        NotMeasuredError: No row has both.
    """
    own, other = f"{layer}/{_MEASURE}", f"{layer}/null_{null}_{_MEASURE}"
    found = measured(rows, own, other).set_index("key")
    return found[own] - found[other]


def _layers(rows: pd.DataFrame) -> tuple[list[str], float]:
    """Return the layers that were measured, and the level of an interval of one of them.

    Raises:
        NotMeasuredError: There are fewer than two.
    """
    present = [layer for layer in _LAYERS if f"{layer}/{_MEASURE}" in rows]
    if len(present) < 2:
        raise NotMeasuredError("Fewer than two layers were measured.")
    return present, 1 - 0.05 / len(present)  # Bonferroni


def _best(rows: pd.DataFrame) -> tuple[str, float, str]:
    """Return the layer that is furthest beyond its image, the level, and a sentence on all."""
    present, level = _layers(rows)
    found = {layer: of_mean(_beyond(rows, layer), level) for layer in present}
    text = ", ".join(f"{layer} {shown(one, '')}" for layer, one in found.items())
    best = max(found, key=lambda layer: found[layer].low)
    return best, level, f"Beyond the image at the end, without noise: {text}."


def _apart(rows: pd.DataFrame, layer: str, level: float = LEVEL) -> list[Condition]:
    """Return the conditions that a layer is beyond both null models."""
    return [
        Condition(
            f"{layer} beyond {words}",
            of_mean(_beyond(rows, layer, null), level),
            _MARGIN,
            unit="",
        )
        for null, words in (("image", "the image"), ("untrained", "the untrained network"))
    ]


def _some_layer(table: pd.DataFrame) -> Outcome:
    best, level, text = _best(final(table))
    return decide(_apart(final(table), best, level), text)


def _not_layer_4(table: pd.DataFrame) -> Outcome:
    rows = final(table)
    gain = (_beyond(rows, "layer3") - _beyond(rows, "layer4")).dropna()
    if gain.empty:
        raise NotMeasuredError("No trial has layers 3 and 4.")
    conditions = [Condition("layer 3 less layer 4", of_mean(gain), _MARGIN, unit="")]
    return decide([*conditions, *_apart(rows, "layer3")])


def _in_noise(table: pd.DataFrame) -> Outcome:
    rows, noisy = final(table), f"layer4{_NOISY}"
    gain = (_beyond(rows, noisy) - _beyond(rows, "layer4")).dropna()
    if gain.empty:
        raise NotMeasuredError("No trial has layer 4 with and without noise.")
    conditions = [Condition("layer 4 in noise less without", of_mean(gain), _MARGIN, unit="")]
    return decide([*conditions, *_apart(rows, noisy)])


_SOURCE = "[F] Fig. 3, by layer and noise (our question)"

CLAIMS: Sequence[Claim] = (
    Claim(
        "Some layer learns to factorize x and y beyond the image.",
        _SOURCE,
        f"factorization score of the best layer more than {_MARGIN:g} above both null models, with "
        "intervals for as many comparisons as there are layers",
        IMAGE,
        _some_layer,
        ours=True,
    ),
    Claim(
        "Layer 3 factorizes more beyond its image than layer 4, the papers' representation.",
        _SOURCE,
        f"score beyond the image more than {_MARGIN:g} higher in layer 3 of the same trial, and "
        f"that of layer 3 more than {_MARGIN:g} above both null models",
        IMAGE,
        _not_layer_4,
        ours=True,
    ),
    Claim(
        "Layer 4 factorizes where noise hides the image.",
        _SOURCE,
        f"score of layer 4 beyond the image more than {_MARGIN:g} higher at time 900 than at time "
        f"0, and at time 900 more than {_MARGIN:g} above both null models; with the same noise for "
        "all labels, the untrained network factorizes there",
        IMAGE,
        _in_noise,
        ours=True,
    ),
)
