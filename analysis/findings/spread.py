"""Effect of the spread of the bumps on accuracy ([W] Fig. 8)."""

from collections.abc import Sequence

import pandas as pd

from analysis.findings import Claim, NotMeasuredError, Outcome
from analysis.findings._rules.accuracies import IN_BRACKETS, Accuracies
from analysis.findings._rules.conditions import Condition, decide
from analysis.findings._rules.tables import CONSTANT, LEVEL, POINTS, finished, measured
from analysis.plotting import axis_labels
from analysis.statistics.estimate import of_difference, of_mean
from analysis.tables.selection import final

_SPACING, _SIGMA = "data.spacing", "data.sigma"


def _gains(table: pd.DataFrame) -> "pd.Series[float]":
    """Return how much accuracy each trial gains between its first and its last evaluation.

    Raises:
        NotMeasuredError: No trial was evaluated twice.
    """
    rows = measured(finished(table), "accuracy").sort_values("step")
    courses = rows.groupby("key")["accuracy"]
    gains = (courses.last() - courses.first())[courses.count() > 1]
    if gains.empty:
        raise NotMeasuredError("No trial was evaluated more than once.")
    return gains


def _no_dependence(table: pd.DataFrame) -> Outcome:
    found = Accuracies(final(table), "accuracy", _SPACING, _SIGMA)
    conditions, texts, learned = [], [], False
    for spacing in found.values(_SPACING):
        sigmas = found.values(_SIGMA, {_SPACING: spacing})
        place = axis_labels.value(_SPACING, spacing)
        if len(sigmas) < 2:
            raise NotMeasuredError(f"One sigma alone was trained at {place}.")
        cells: dict[str, object] = {_SPACING: spacing}
        narrow, wide = ({**cells, _SIGMA: sigma} for sigma in (sigmas[0], sigmas[-1]))
        learned |= any(found.mean({**cells, _SIGMA: s}).value >= LEVEL for s in sigmas)
        difference = found.difference((narrow, wide))
        conditions += [
            Condition(f"widest less narrowest at {place}", difference, 2 * POINTS, "below"),
            Condition(f"widest less narrowest at {place}", difference, -2 * POINTS),
        ]
        texts.append(f"{place}: {found.listed(_SIGMA, sigmas, cells)}")
    text = f"{'; '.join(texts)}."
    if not learned:
        return Outcome("not resolvable", f"No sigma is learned; train larger models. {text}")
    gained = of_mean(_gains(table))
    conditions.append(Condition("gain during training, mean of all trials", gained, 2 * POINTS))
    return decide(conditions, text, IN_BRACKETS)


def _seeds(table: pd.DataFrame) -> Outcome:
    rows = measured(finished(table), "accuracy", _SPACING, _SIGMA)
    means = rows.groupby("step")["accuracy"].mean()
    step = means.index[int((means - 0.5).abs().to_numpy().argmin())]
    rows = rows[rows["step"] == step]
    middle = rows.groupby([_SPACING, _SIGMA])["accuracy"].transform("median")
    several = rows.groupby([_SPACING, _SIGMA])["accuracy"].transform("size") > 1
    apart = (rows["accuracy"] - middle).abs()[several]
    spacings = sorted(rows.loc[several, _SPACING].unique())
    if len(spacings) < 2:
        raise NotMeasuredError("Fewer than two increments have several seeds of one sigma.")
    groups = [apart[rows.loc[several, _SPACING] == d] for d in spacings]
    condition = Condition(
        "deviation from the median of the seeds, coarsest less finest lattice",
        of_difference(groups[0], groups[-1]),
        0.0,
    )
    at = ", ".join(
        f"{100 * group.mean():.1f} points at {axis_labels.value(_SPACING, d)}"
        for d, group in zip(spacings, groups, strict=True)
    )
    return decide([condition], f"Mean deviation at step {step}: {at}.")


CLAIMS: Sequence[Claim] = (
    Claim(
        "Accuracy has no strong correlation with the spread of the bumps.",
        "[W] B.1, Fig. 8",
        "less than 20 points between the narrowest and the widest bumps at every increment, while "
        "training gains more than 20 points on average; the null model gains nothing",
        CONSTANT,
        _no_dependence,
    ),
    Claim(
        "Accuracy differs more between seeds on coarser lattices.",
        "[W] B.1",
        "deviation from the median of the seeds with the same sigma larger on the coarsest lattice "
        "than on the finest (Brown-Forsythe), at the step at which accuracy is nearest to 50 % on "
        "average",
        CONSTANT,
        _seeds,
    ),
)
