"""Verdicts on the papers' findings, for tables in which they hold and in which they do not."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import findings
from sweeps.planning.experiment import available
from tests.helpers.synthetic_trials import trials

SEEDS = (0, 1)


def rows(*axes, steps=(500,), **columns):
    """One row for each combination of settings, seed and step. Columns may be functions of it."""
    found = []
    for values in itertools.product(*axes):
        settings = {k: v for part in values for k, v in part.items()}
        for seed, step in itertools.product(SEEDS, steps):
            row = {
                "key": f"{settings}-{seed}",
                "state": "done",
                "seed": seed,
                "step": step,
                "last": step == steps[-1],
                **settings,
            }
            found.append(row | {k: c(row) if callable(c) else c for k, c in columns.items()})
    return pd.DataFrame(found)


def axis(key, *values):
    return [{key: value} for value in values]


def verdicts(experiment, table):
    return [outcome.verdict for _, outcome in findings.judge(experiment, table)]


def composition(*, learns):
    """Accuracy by family: only 2D examples and stripes together learn, or nothing does."""
    means = {"stripes": 0.4, "sos": 0.5, "sos+stripes": 0.95}
    cross = rows(
        axis("data.family", *means),
        axis("data.subsample", 0.1, 1.0),
        **{"data.held_out.kind": "cross"},
        samples_2d=lambda r: 0 if r["data.family"] == "stripes" else 100 * r["data.subsample"],
        accuracy=lambda r: means[r["data.family"]] if learns else 0.5,
    )
    rim = rows(
        axis("data.family", "sos+stripes"),
        **{"data.held_out.kind": "rim", "data.subsample": 1.0},
        samples_2d=20,
        accuracy=0.9 if learns else 0.5,
    )
    table = pd.concat([cross, rim], ignore_index=True)
    for part in ("in_distribution", "arm_vertical", "arm_horizontal", "intersection"):
        table[f"accuracy_{part}"] = table["accuracy"]
    return table


def widths(place, *, falls):
    return rows(
        axis("data.family", "bump", "sos"),
        axis("data.held_out.place", *place),
        axis("data.held_out.width", 1.0, 2.0, 4.0),
        accuracy_in_distribution=1.0,
        accuracy_out_of_distribution=lambda r: (
            (1 - 0.15 * r["data.held_out.width"] - 0.2 * (r["data.held_out.place"] == "exterior"))
            if falls
            else 0.5 + 0.01 * r["data.held_out.width"]
        ),
    )


def holes(*, filled, larger=0.04):
    """Holes of 5 and 11 % of the labels at N = 10, and a larger one."""
    lost = {2.0: 0.05, 3.0: 0.05 + larger, 5.0: 0.5}
    return rows(
        axis("data.held_out.width", *lost),
        **{"data.size": 10},
        accuracy_in_distribution=1.0,
        accuracy_out_of_distribution=lambda r: (
            (1 if filled else 0.7) - lost[r["data.held_out.width"]]
        ),
        **{f"layer4/r_squared_{a}": 0.9 if filled else 0.3 for a in "xy"},
    )


def imbalance(*, coupled):
    """x and y rise together, less for coarser lattices; or y rises long after x."""
    spacings = [{"data.spacing": s} for s in ((0.25, 0.25), (0.25, 1.0), (0.25, 2.0))]

    def lost(row):
        return 0.02 * (row["data.spacing"][1] / 0.25 - 1)

    def rise(row, late):
        return min(1.0, max(row["step"] - late, 0) / 200)

    return rows(
        spacings,
        steps=(0, 50, 100, 150, 200, 300, 400, 500),
        accuracy_x=lambda r: rise(r, 0) * (1 - lost(r)) if coupled else rise(r, 0),
        accuracy_y=lambda r: (
            min(1.0, rise(r, 0) * (1 - lost(r)) + 0.01)
            if coupled
            else rise(r, 200 * (r["data.spacing"][1] > 0.25))
        ),
        **{
            "layer4/r_squared_x": lambda r: rise(r, 0),
            "layer4/r_squared_y": lambda r: rise(r, 0 if coupled else 250),
        },
    )


def phases(*, courses, failures=(0.3, 0.2, 0.4), misplaced=0.5, fits=True):
    """Trials with known phases. Accuracy falls with the spacing of the lattice."""
    steps = tuple(100 * i for i in range(len(courses[0])))
    rest = (0.6 - misplaced) / 2
    shares = {"A": failures, "B": (rest, misplaced, rest), "C": (0.0, 0.1, 0.0)}

    def at(row):
        return courses[(0.25, 0.5, 1.0).index(row["data.spacing"])][steps.index(row["step"])]

    def accuracy(row):
        return 1 - sum(shares[at(row)]) - 0.05 * row["data.spacing"]

    def r_squared(row):
        return accuracy(row) if fits else 1 - accuracy(row)

    return rows(
        axis("data.spacing", 0.25, 0.5, 1.0),
        steps=steps,
        accuracy=accuracy,
        share_none=lambda r: shares[at(r)][0],
        share_misplaced=lambda r: shares[at(r)][1],
        share_several=lambda r: shares[at(r)][2],
        **{"layer4/phase": at, "layer4/r_squared_x": r_squared, "layer4/r_squared_y": r_squared},
    )


def spread(*, depends, learned=0.7):
    rng = np.random.default_rng(0)
    noise = {(d, s, seed): rng.normal() for d in (0.5, 1.0) for s in range(4) for seed in SEEDS}

    def accuracy(row):
        place = (0.25, 0.5, 0.75, 1.0).index(row["data.sigma"])
        wide = row["data.spacing"] if not depends else 1 / row["data.spacing"]
        drawn = 0.02 * noise[row["data.spacing"], place, row["seed"]]
        between = 0.05 * wide * row["seed"]
        return learned + (0.05 * place + drawn if depends else 0.02 * (-1) ** place) + between

    return rows(
        axis("data.spacing", 0.5, 1.0), axis("data.sigma", 0.25, 0.5, 0.75, 1.0), accuracy=accuracy
    )


def torus(*, factorized):
    numbers = {"betti_0": 1, "betti_1": 2 if factorized else 1, "betti_2": int(factorized)}
    numbers |= {"variance_top_four": 0.9 if factorized else 0.3}
    numbers |= {"factorization": 0.8 if factorized else 0.1}
    numbers |= {"orthogonality_x_on_y": 0.05 if factorized else 0.4}
    return rows(
        [{}],
        steps=(0, 100, 200, 300),
        accuracy=1.0,
        **{f"layer4/{name}": value for name, value in numbers.items()},
        **{
            "layer4/dimension": lambda r: (
                (20.0, 4.0, 4.2, 4.1)[r["step"] // 100] if factorized else 20 + r["step"] / 10
            )
        },
    )


def percolation(*, needed, steep=0.2, gap=0.02):
    """The accuracy of each sigma crosses 60 % at the `needed` number of examples."""
    return rows(
        axis("data.sigma", *needed),
        axis("data.subsample", 0.02, 0.05, 0.1, 0.2, 0.5, 1.0),
        **{"data.size": 8, "data.spacing": 0.5},
        samples_2d=lambda r: round(225 * r["data.subsample"]),
        accuracy=lambda r: float(
            np.clip(
                0.6 + steep * np.log(225 * r["data.subsample"] / needed[r["data.sigma"]]), 0.05, 1
            )
        ),
        ceiling=1.0,
        train_loss=0.05,
        validation_loss=lambda r: 0.05 * (1 + gap / r["data.subsample"] - gap),
    )


SHOWN, NOT = "shown", "not shown"
PAPERS = {"bump": (0.2, 2.0), "bump+stripes": (1.0, 1.0), "bump+thinned-stripes": (0.5, 1.3)}
REVERSED = {"bump": (40.0, 0.5), "bump+stripes": (2.0, 2.0), "bump+thinned-stripes": (0.2, 2.0)}
CASES = {
    "composition": (composition(learns=True), [SHOWN] * 5),
    "composition not": (composition(learns=False), [NOT] * 5),
    "interpolation": (widths(["interior"], falls=True), [SHOWN]),
    "interpolation not": (widths(["interior"], falls=False), [NOT]),
    "holdout": (widths(["interior", "exterior"], falls=True), [SHOWN] * 3),
    "holdout not": (widths(["interior", "exterior"], falls=False), [NOT] * 3),
    "holes": (holes(filled=True), [SHOWN] * 3),
    "holes not": (holes(filled=False), [NOT, SHOWN, NOT]),  # both holes missed alike
    "holes larger": (holes(filled=True, larger=0.3), [NOT, NOT, SHOWN]),
    "imbalance": (imbalance(coupled=True), [SHOWN] * 3),
    "imbalance not": (imbalance(coupled=False), [NOT] * 3),
    "phases": (phases(courses=("AABCC", "AABBC", "AAABC")), [SHOWN] * 4),
    "phases not": (phases(courses=("AAACC", "AACCC", "ABBCC")), [NOT, SHOWN, NOT, SHOWN]),
    "phases several": (
        phases(courses=("ABBCC",) * 3, failures=(0.0, 0.4, 0.5), misplaced=0.1, fits=False),
        [SHOWN, NOT, SHOWN, NOT],
    ),
    "spread": (spread(depends=False), [SHOWN] * 2),
    "spread not": (spread(depends=True), [NOT] * 2),
    "torus": (torus(factorized=True), [SHOWN] * 5),
    "torus not": (torus(factorized=False), [NOT] * 5),
    # At an overlap of 0.5 the largest cluster holds 60 % at 22 examples for 0.5 and 5 for 1.
    "percolation": (percolation(needed={0.5: 20.0, 1.0: 6.0}), [SHOWN] * 4),
    "percolation not": (percolation(needed={0.5: 30.0, 1.0: 90.0}), [SHOWN, NOT, NOT, SHOWN]),
    "percolation flat": (
        percolation(needed={0.5: 30.0, 1.0: 20.0}, steep=0.04, gap=0.0),
        [NOT, SHOWN, NOT, NOT],
    ),
    "scaling": (trials(noise=0.05, laws=PAPERS), [SHOWN] * 4 + [NOT, SHOWN, SHOWN]),
    "scaling not": (trials(noise=0.05, laws=REVERSED), [NOT] * 7),
}


@pytest.mark.parametrize("case", CASES)
def test_judge_verdicts_follow_the_table(case):
    table, expected = CASES[case]
    judged = findings.judge(case.partition(" ")[0], table)
    assert [o.verdict for _, o in judged] == expected, [o.numbers for _, o in judged]


@pytest.mark.parametrize("experiment", findings.available())
def test_judge_unfinished_sweep_is_not_measured(experiment):
    table = CASES[experiment][0].assign(last=False)
    assert set(verdicts(experiment, table)) == {"not measured"}


@pytest.mark.parametrize("experiment", findings.available())
def test_judge_names_metrics_that_were_not_evaluated(experiment):
    """The table has the settings of the trials, but no metric."""
    full = CASES[experiment][0]
    bare = full[[c for c in full if c in ("key", "state", "seed", "step", "last") or "data." in c]]
    for _, outcome in findings.judge(experiment, bare):
        assert outcome.verdict in ("not measured", "not reachable")
        assert outcome.numbers


@given(st.sampled_from(sorted(CASES)), st.randoms(use_true_random=False))
@settings(max_examples=25)
def test_judge_gives_reason_whatever_is_missing(case, random):
    """Any combination of unfinished trials and of steps and metrics that were not measured."""
    table, _ = CASES[case]
    measured = [c for c in table if "data." not in c and c not in ("key", "state", "seed", "last")]
    dropped = random.sample(measured, random.randrange(len(measured)))
    keys = random.sample(list(table["key"].unique()), random.randrange(table["key"].nunique()))
    kept = table.drop(columns=[c for c in dropped if c != "step"])
    holes = [c for c in kept if c in measured and c != "step" and random.random() < 0.3]
    kept = kept.astype(dict.fromkeys(holes, object)) if holes else kept
    for column in holes:
        kept[column] = kept[column].where([random.random() < 0.7 for _ in range(len(kept))])
    kept = kept.infer_objects()
    kept.loc[kept["key"].isin(keys), "last"] = False
    rows = [i for i in kept.index if random.random() < 0.8]
    for claim, outcome in findings.judge(case.partition(" ")[0], kept.loc[rows]):
        assert outcome.numbers
        if outcome.verdict == SHOWN:
            assert "nan" not in outcome.numbers, claim.text


def test_judge_scaling_needs_ceiling():
    table = CASES["scaling"][0].drop(columns="ceiling")
    assert set(verdicts("scaling", table)) == {"not measured"}


def test_judge_torus_ignores_end_of_unfinished_trials():
    table = torus(factorized=True)
    half = table[(table["seed"] == 0) | (table["step"] <= 100)]
    half = half.assign(last=half["last"] & (half["seed"] == 0))
    assert findings.judge("torus", half)[1][1].numbers.count("at the end") == 1


@pytest.mark.parametrize("family", ["bump", "sos"])
def test_judge_holdout_needs_both_families(family):
    table = widths(["interior", "exterior"], falls=True)
    one = table[table["data.family"] == family]
    assert verdicts("holdout", one) == ["not measured"] * 3


def test_judge_scaling_stripes_that_never_suffice():
    laws = {"bump": (0.2, 2.0), "bump+stripes": (1e4, 1.0)}
    assert verdicts("scaling", trials(noise=0.05, laws=laws))[3] == NOT


def test_judge_scaling_needs_trials_that_differ_in_the_family_alone():
    table = trials(noise=0.05, laws=PAPERS)
    apart = table.assign(seed=table["seed"] + 10 * (table["data.family"] == "bump"))
    assert verdicts("scaling", apart)[3] == "not measured"
    few = table[table["seed"] == 0]
    assert verdicts("scaling", few)[3] == "not reachable"


def test_judge_scaling_fit_with_remark():
    laws = {"bump": (0.15, 2), "bump+stripes": (1.2, 1)}
    table = trials(noise=0.4, lambdas=(0.02, 0.05, 0.1, 0.2), laws=laws)
    outcome = findings.judge("scaling", table)[0][1]
    assert outcome.verdict in (SHOWN, NOT)
    assert "lies outside the measured range with a probability of" in outcome.numbers


def test_available_covers_every_experiment():
    papers = {"scaling", "percolation", "torus", "composition", "interpolation"}
    papers |= {"holdout", "phases", "spread", "imbalance", "holes"}
    assert papers <= set(findings.available()) <= set(available())


def test_judge_scaling_exponent_near_simulated_one():
    table = trials(noise=0.05, laws={"bump": (1.4, 1.22), "bump+stripes": (1.2, 1.0)})
    judged = verdicts("scaling", table)
    # 1.29 by simulation
    assert judged == [NOT, SHOWN, "not measured", SHOWN, SHOWN, SHOWN, SHOWN]


def test_judge_percolation_names_widths_not_learned():
    table = percolation(needed={0.5: 1000.0, 1.0: 2000.0})
    judged = findings.judge("percolation", table)
    assert [o.verdict for _, o in judged][:3] == ["not reachable"] * 3
    assert "Not learned" in judged[0][1].numbers
