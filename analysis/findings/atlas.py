"""Where the network factorizes x and y beyond the image that it is about to draw.

The experiment is ours. Every comparison is with the factorization score of the clean images at the
layer's resolution, and takes the difference in each trial.
"""

from collections.abc import Sequence

import pandas as pd

from analysis.findings import Claim, NotMeasuredError, Outcome
from analysis.findings._rules.conditions import Condition, decide, shown
from analysis.findings._rules.tables import IMAGE, finished, measured
from analysis.statistics.estimate import Estimate, of_mean
from analysis.tables.selection import final

_MEASURE = "factorization"
_MARGIN = 0.1
_LAYERS = ("layer2", "layer3", "layer4", "layer5")
_NOISY = "-t900"


def _beyond(rows: pd.DataFrame, layer: str) -> "pd.Series[float]":
    """Return the score of a layer less that of its image, one value per row.

    Raises:
        NotMeasuredError: No row has both.
    """
    own, image = f"{layer}/{_MEASURE}", f"{layer}/null_image_{_MEASURE}"
    found = measured(rows, own, image).set_index("key")
    return found[own] - found[image]


def _by_layer(rows: pd.DataFrame) -> dict[str, Estimate]:
    """Return the score beyond the image of each layer that was measured, at time 0."""
    present = [layer for layer in _LAYERS if f"{layer}/{_MEASURE}" in rows]
    if len(present) < 2:
        raise NotMeasuredError("Fewer than two layers were measured.")
    # Each interval is that of one of several layers (Bonferroni).
    level = 1 - 0.05 / len(present)
    return {layer: of_mean(_beyond(rows, layer), level) for layer in present}


def _some_layer(table: pd.DataFrame) -> Outcome:
    found = _by_layer(final(table))
    best = max(found, key=lambda layer: found[layer].low)
    condition = Condition(f"{best} beyond the image", found[best], _MARGIN, unit="")
    text = ", ".join(f"{layer} {shown(one, '')}" for layer, one in found.items())
    return decide([condition], f"At the end, without noise: {text}.")


def _not_layer_4(table: pd.DataFrame) -> Outcome:
    rows = final(table)
    earlier, later = _beyond(rows, "layer3"), _beyond(rows, "layer4")
    gain = (earlier - later).dropna()
    if gain.empty:
        raise NotMeasuredError("No trial has layers 3 and 4.")
    return decide([Condition("layer 3 less layer 4", of_mean(gain), _MARGIN, unit="")])


def _learned(table: pd.DataFrame) -> Outcome:
    rows = finished(table)
    found = _by_layer(final(table))
    best = max(found, key=lambda layer: found[layer].low)
    first = _beyond(rows[rows["step"] == 0], best)
    gain = (_beyond(final(table), best) - first).dropna()
    if gain.empty:
        raise NotMeasuredError("No trial was measured before training.")
    condition = Condition(f"gain of {best} by training", of_mean(gain), _MARGIN, unit="")
    return decide([condition], f"Untrained {first.mean():.2f} beyond the image.")


def _in_noise(table: pd.DataFrame) -> Outcome:
    rows = final(table)
    noisy, clean = _beyond(rows, f"layer4{_NOISY}"), _beyond(rows, "layer4")
    gain = (noisy - clean).dropna()
    if gain.empty:
        raise NotMeasuredError("No trial has layer 4 with and without noise.")
    conditions = [
        Condition("layer 4 in noise, beyond the image", of_mean(noisy), _MARGIN, unit=""),
        Condition("layer 4 in noise less without", of_mean(gain), _MARGIN, unit=""),
    ]
    return decide(conditions)


_SOURCE = "[F] Fig. 3, by layer and noise (our question)"

CLAIMS: Sequence[Claim] = (
    Claim(
        "Some layer factorizes x and y beyond the image.",
        _SOURCE,
        f"factorization score of the best layer more than {_MARGIN:g} above the null model, with "
        "intervals for as many comparisons as there are layers",
        IMAGE,
        _some_layer,
        ours=True,
    ),
    Claim(
        "Layer 3 factorizes more beyond its image than layer 4, the papers' representation.",
        _SOURCE,
        f"score beyond the null model more than {_MARGIN:g} higher in layer 3 of the same trial",
        IMAGE,
        _not_layer_4,
        ours=True,
    ),
    Claim(
        "Factorization beyond the image is learned.",
        _SOURCE,
        f"score of the best layer beyond the image more than {_MARGIN:g} above that of the same "
        "trial before training",
        "the untrained network",
        _learned,
        ours=True,
    ),
    Claim(
        "Layer 4 factorizes where noise hides the image.",
        _SOURCE,
        f"score of layer 4 at time 900 more than {_MARGIN:g} above the null model, and above that "
        "at time 0",
        IMAGE,
        _in_noise,
        ours=True,
    ),
)
