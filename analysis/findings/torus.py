"""The torus of representations of periodic labels ([F] Figs 2, 3)."""

from collections.abc import Sequence

import pandas as pd

from analysis.findings import Claim, Outcome
from analysis.findings._claims import finished, measured, outcome
from analysis.tables.selection import final

_BETTI = ("betti_0", "betti_1", "betti_2")
_TORUS = (1, 2, 1)

# Largest relative change of the dimension over the last third of training once it has settled.
_SETTLED = 0.25


def _layers(table: pd.DataFrame, measure: str) -> list[str]:
    """Return the layers with a measure, starting with layer 4 as in the papers."""
    columns = [str(c).rpartition("/") for c in table]
    found = [layer for layer, slash, name in columns if slash and name == measure]
    return sorted(found, key=lambda layer: (layer != "layer4", layer))


def _holes(table: pd.DataFrame) -> Outcome:
    texts, shown = [], []
    for layer in _layers(table, "betti_1") or ["layer4"]:
        columns = [f"{layer}/{name}" for name in _BETTI]
        rows = measured(final(table), *columns)
        found = [tuple(int(n) for n in row) for row in rows[columns].to_numpy()]
        texts.append(f"{layer}: {', '.join(map(str, found))}")
        shown.append(all(numbers == _TORUS for numbers in found))
    return outcome("; ".join(texts) + ".", shown=shown[0])


def _settles(table: pd.DataFrame) -> Outcome:
    rows = measured(finished(table), "layer4/dimension").sort_values("step")
    texts, shown = [], []
    for _, course in rows.groupby("key"):
        numbers = course["layer4/dimension"]
        late = numbers[course["step"] >= 2 / 3 * course["step"].max()]
        change = (late.max() - late.min()) / late.mean()
        texts.append(
            f"{numbers.iloc[0]:.0f} at first, minimum {numbers.min():.1f}, {late.iloc[-1]:.1f} at "
            f"the end, change of {100 * change:.0f} % over the last third"
        )
        shown.append(change <= _SETTLED and late.iloc[-1] < numbers.iloc[0] / 2)
    return outcome("; ".join(texts) + ".", shown=all(shown))


def _few_components(table: pd.DataFrame) -> Outcome:
    shares = {
        layer: measured(final(table), f"{layer}/variance_top_four")[f"{layer}/variance_top_four"]
        for layer in _layers(table, "variance_top_four") or ["layer4"]
    }
    text = "; ".join(
        f"{layer}: {', '.join(f'{100 * s:.0f} %' for s in found)}"
        for layer, found in shares.items()
    )
    return outcome(f"{text}.", shown=bool((next(iter(shares.values())) >= 0.8).all()))


def _factorized(table: pd.DataFrame) -> Outcome:
    texts, shown = [], []
    for layer in _layers(table, "factorization") or ["layer4"]:
        columns = [f"{layer}/factorization", f"{layer}/orthogonality_x_on_y"]
        rows = measured(final(table), *columns)[columns]
        texts.append(
            f"{layer}: score {', '.join(f'{s:.2f}' for s in rows.iloc[:, 0])}, x-on-y "
            f"orthogonality {', '.join(f'{s:.2f}' for s in rows.iloc[:, 1])}"
        )
        shown.append(bool((rows.iloc[:, 0] > 0.5).all()))
    return outcome("; ".join(texts) + ".", shown=shown[0])


def _orthogonal(table: pd.DataFrame) -> Outcome:
    column = "layer4/orthogonality_x_on_y"
    found = measured(final(table), column)[column]
    text = f"Mean absolute cosine: {', '.join(f'{v:.2f}' for v in found)}"
    text += "; 0 for a Clifford torus, 0.41 for a torus in space."
    return outcome(text, shown=bool((found < 0.2).all()))


CLAIMS: Sequence[Claim] = (
    Claim(
        "The representation of periodic labels is a torus.",
        "[F] Fig. 2b",
        "Betti numbers (1, 2, 1) of layer 4 at the end, for every seed",
        _holes,
    ),
    Claim(
        "The effective dimension falls and settles.",
        "[F] Fig. 2c (our reading)",
        "at the end below half of the value at first, and a change of at most a quarter over the "
        "last third of training",
        _settles,
        ours=True,
    ),
    Claim(
        "Four principal components hold most of the variance, as for a Clifford torus.",
        "[F] Fig. 2d (our reading)",
        "at least 80 % of the variance of layer 4, for every seed",
        _few_components,
        ours=True,
    ),
    Claim(
        "x and y use orthogonal directions.",
        "[F] Fig. 3, left",
        "mean absolute cosine of displacements along x and along y below 0.2 in layer 4, for every "
        "seed",
        _orthogonal,
    ),
    Claim(
        "The torus is closer to the Clifford torus, where x and y are factorized, than to the "
        "torus in space.",
        "[F] Fig. 3",
        "factorization score of layer 4 above 0.5, for every seed",
        _factorized,
    ),
)
