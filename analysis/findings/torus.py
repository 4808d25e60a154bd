"""The torus of representations of periodic labels ([F] Figs 2, 3).

What the clean images have at the layer's resolution, a layer may merely hold. So each measure is
compared with that of the images, and with that of the untrained network where it is kept.
"""

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd

from analysis.findings import Claim, NotMeasuredError, Outcome
from analysis.findings._rules.conditions import Condition, Unit, decide
from analysis.findings._rules.tables import IMAGE, finished, measured
from analysis.statistics.estimate import of_mean, of_share
from analysis.tables.selection import final

_TORUS = (1, 2, 1)
_MOST = 0.45  # the interval of three out of three is above it, that of none out of four below

# Largest relative change of the dimension over the last third of training once it has settled.
_SETTLED = 0.25

_BELOW_IMAGE = 0.9  # a layer that holds the drawn image ends at its dimension


def _null(measure: str, model: str = "image") -> str:
    """Return the column of a null model's measure, from that of the layer's."""
    layer, _, name = measure.partition("/")
    return f"{layer}/null_{model}_{name}"


def _numbers(rows: pd.DataFrame, columns: Sequence[str]) -> list[tuple[int, ...]]:
    return [tuple(int(n) for n in row) for row in rows[list(columns)].to_numpy()]


def _holes(table: pd.DataFrame) -> Outcome:
    columns = [f"layer4/betti_{i}" for i in range(3)]
    nulls = [_null(column) for column in columns]
    rows = measured(final(table), *columns, *nulls)
    found, images = _numbers(rows, columns), _numbers(rows, nulls)
    conditions = [
        Condition(what, of_share(sum(count), len(rows)), _MOST, unit="%")
        for what, count in (
            ("torus", [one == _TORUS for one in found]),
            (
                "torus, and the image is none",
                [a == _TORUS != b for a, b in zip(found, images, strict=True)],
            ),
        )
    ]
    listed, others = (", ".join(map(str, numbers)) for numbers in (found, images))
    text = f"Betti numbers {listed}; of the images {others}."
    if conditions[0].verdict == "shown" and all(one == _TORUS for one in images):
        reason = (
            "The images are tori already: it takes images that are none, such as narrower bumps."
        )
        return Outcome("not resolvable", f"{text} {reason}")
    return decide(conditions, text)


def _settles(table: pd.DataFrame) -> Outcome:
    image = _null("layer4/dimension")
    rows = measured(finished(table), "layer4/dimension", image).sort_values("step")
    texts, fallen, changes, beyond = [], [], [], []
    for _, course in rows.groupby("key"):
        numbers = course["layer4/dimension"]
        late = numbers[course["step"] >= 2 / 3 * course["step"].max()]
        changes.append((late.max() - late.min()) / late.mean())
        fallen.append(math.log(late.iloc[-1] / numbers.iloc[0]))
        beyond.append(math.log(late.iloc[-1] / course[image].iloc[-1]))
        texts.append(
            f"{numbers.iloc[0]:.0f} at first, minimum {numbers.min():.1f}, {late.iloc[-1]:.1f} at "
            f"the end, change of {100 * changes[-1]:.0f} % over the last third"
        )
    conditions = [
        Condition("end over start", of_mean(fallen).exp(), 0.5, "below", ""),
        Condition("change over the last third", of_mean(changes), _SETTLED, "below", "%"),
        Condition("end over that of the image", of_mean(beyond).exp(), _BELOW_IMAGE, "below", ""),
    ]
    return decide(conditions, f"{'; '.join(texts).capitalize()}.")


def _few_components(table: pd.DataFrame) -> Outcome:
    column = "layer4/variance_top_four"
    return _beyond(table, column, "variance in four components", 0.8, 0.1, unit="%")


def _orthogonal(table: pd.DataFrame) -> Outcome:
    column = "layer4/orthogonality_x_on_y"
    text = "0 for a Clifford torus, 0.41 for a torus in space."
    return _beyond(table, column, "mean absolute cosine", 0.2, 0.02, text, falls=True)


def _factorized(table: pd.DataFrame, layer: str) -> Outcome:
    column = f"{layer}/factorization"
    return _beyond(table, column, f"score of {layer}", 0.5, 0.1)


def _beyond(
    table: pd.DataFrame,
    column: str,
    what: str,
    bound: float,
    margin: float,
    *more: str,
    falls: bool = False,
    unit: Unit = "",
) -> Outcome:
    """Judge whether a measure is beyond a bound, and beyond its null models by a margin.

    Args:
        table: One row per trial and step.
        column: Column of the measure.
        what: What it measures.
        bound: The bound at the end of training.
        margin: Least difference from the images, and from the untrained network if it was kept.
        more: Sentences to add.
        falls: Whether the measure has to be below.
        unit: Unit of the measure.
    """
    rows = measured(final(table), column, _null(column))
    sign = -1.0 if falls else 1.0
    values = rows[column].to_numpy(float)
    conditions = [Condition(what, of_mean(values), bound, "below" if falls else "above", unit)]
    nulls = {"the image": _null(column), "the untrained network": _null(column, "untrained")}
    texts = []
    for name, null in nulls.items():
        if null not in rows or rows[null].isna().any():
            continue
        found = rows[null].to_numpy(float)
        conditions.append(
            Condition(f"beyond {name}", of_mean(sign * (values - found)), margin, unit=unit)
        )
        shown = f"{100 * found.mean():.0f} %" if unit == "%" else f"{found.mean():.2f}"
        texts.append(f"{name} {shown}")
    if not np.isfinite(values).all():
        raise NotMeasuredError(f"{column} is not finite.")
    return decide(conditions, f"{'; '.join(texts).capitalize()}.", *more)


CLAIMS: Sequence[Claim] = (
    Claim(
        "The representation of periodic labels is a torus.",
        "[F] Fig. 2b",
        "Betti numbers (1, 2, 1) of layer 4 at the end, and others of the image, in more than 45 % "
        "of all trials that one could train",
        IMAGE,
        _holes,
    ),
    Claim(
        "The effective dimension falls and settles.",
        "[F] Fig. 2c (our reading)",
        "at the end below half of the value at first and more than a tenth below that of the "
        "image, and a change of less than a quarter over the last third of training",
        "the clean images at the layer's resolution, which the drawn ones approach",
        _settles,
        ours=True,
    ),
    Claim(
        "Four principal components hold most of the variance, as for a Clifford torus.",
        "[F] Fig. 2d (our reading)",
        "more than 80 % of the variance of layer 4, and more than 10 points above the null models",
        IMAGE,
        _few_components,
        ours=True,
    ),
    Claim(
        "x and y use orthogonal directions.",
        "[F] Fig. 3, left",
        "mean absolute cosine of displacements along x and along y below 0.2 in layer 4, and more "
        "than 0.02 below the null models",
        IMAGE,
        _orthogonal,
    ),
    Claim(
        "The torus is closer to the Clifford torus, where x and y are factorized, than to the "
        "torus in space.",
        "[F] Fig. 3",
        "factorization score of layer 4 above 0.5, and more than 0.1 above the null models",
        IMAGE,
        partial(_factorized, layer="layer4"),
    ),
    Claim(
        "An earlier layer factorizes x and y beyond the image that is about to be drawn.",
        "[F] Fig. 3 (our question)",
        "factorization score of layer 3 above 0.5, and more than 0.1 above the null models",
        IMAGE,
        partial(_factorized, layer="layer3"),
        ours=True,
    ),
)
