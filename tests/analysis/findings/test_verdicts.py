"""Verdicts on the papers' findings, for tables in which they hold and in which they do not."""

from random import Random

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import findings
from sweeps.planning.experiment import available
from tests.analysis.findings import tables
from tests.helpers.synthetic_trials import trials


def verdicts(experiment, table):
    return [outcome.verdict for _, outcome in findings.judge(experiment, table)]


SHOWN, NOT, OPEN = "shown", "not shown", "not resolvable"
PAPERS = {"bump": (0.1, 2.0), "bump+stripes": (0.6, 1.0), "bump+thinned-stripes": (0.3, 1.3)}
REVERSED = {"bump": (40.0, 0.5), "bump+stripes": (2.0, 2.0), "bump+thinned-stripes": (0.2, 2.0)}
SIZES = (10, 14, 20, 28, 40)
LAMBDAS = (0.003, 0.006, 0.012, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0)


def scaling(laws):
    return trials(noise=0.05, sizes=SIZES, lambdas=LAMBDAS, laws=laws)


CASES = {
    "composition": (tables.composition(learns=True), [SHOWN] * 5),
    "composition not": (tables.composition(learns=False), [NOT] * 5),
    "interpolation": (tables.interpolation(holds=True), [SHOWN] * 3),
    "interpolation not": (tables.interpolation(holds=False), [NOT] * 3),
    "holdout": (tables.holdout(holds=True), [SHOWN] * 3),
    "holdout not": (tables.holdout(holds=False), [NOT] * 3),
    "holes": (tables.holes(filled=True), [SHOWN] * 3),
    "holes not": (tables.holes(filled=False), [NOT, SHOWN, NOT]),  # both holes missed alike
    "holes larger": (tables.holes(filled=True, larger=0.35), [NOT, NOT, SHOWN]),
    "holes saturated": (tables.holes(filled=True, image=0.95), [SHOWN, SHOWN, OPEN]),
    "imbalance": (tables.imbalance(coupled=True), [SHOWN] * 3),
    "imbalance not": (tables.imbalance(coupled=False), [NOT] * 3),
    "phases": (tables.phases(courses=("AABCC", "AABBC", "AAABC")), [SHOWN] * 4),
    "phases not": (
        tables.phases(courses=("AAAAC", "AAACC", "ABBCA")),
        [NOT, SHOWN, NOT, SHOWN],
    ),
    "phases several": (
        tables.phases(courses=("ABBCC",) * 3, failures=(0.0, 0.4, 0.5), misplaced=0.1, fits=False),
        [SHOWN, NOT, SHOWN, NOT],
    ),
    "spread": (tables.spread(depends=False), [SHOWN] * 2),
    "spread not": (tables.spread(depends=True), [NOT] * 2),
    "torus": (tables.torus(factorized=True), [SHOWN] * 6),
    "torus not": (tables.torus(factorized=False), [NOT] * 6),
    "percolation": (tables.percolation(needed=tables.percolating()), [SHOWN] * 4),
    "percolation not": (
        tables.percolation(needed={0.5: 10.0, 0.6: 14.0, 0.7: 20.0, 0.8: 28.0}),
        [SHOWN, NOT, NOT, SHOWN],
    ),
    "percolation flat": (
        tables.percolation(needed={0.5: 30.0, 1.0: 20.0}, steep=0.04, gap=0.0),
        [OPEN] * 4,
    ),
    "intervention": (tables.intervention(matters=True), [SHOWN] * 2),
    "intervention not": (tables.intervention(matters=False), [NOT] * 2),
    "full-range": (tables.full_range(fails=True), [SHOWN] * 3),
    "full-range not": (tables.full_range(fails=False), [NOT] * 3),
    "atlas": (tables.atlas(factorized=True), [SHOWN] * 3),
    "atlas not": (tables.atlas(factorized=False), [NOT] * 3),
    "scaling": (scaling(PAPERS), [SHOWN] * 7),
    "scaling not": (scaling(REVERSED), [NOT] * 7),
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
        assert outcome.verdict in ("not measured", OPEN)
        assert outcome.numbers


@given(st.sampled_from(sorted(CASES)), st.integers(0, 10**6))
@settings(max_examples=40)
def test_judge_gives_reason_whatever_is_missing(case, seed):
    """Any combination of unfinished trials and of steps and metrics that were not measured."""
    random = Random(seed)
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
        assert outcome.error is None, (claim.text, outcome.error)
        if outcome.verdict == SHOWN:
            assert "nan" not in outcome.numbers, claim.text


def test_judge_scaling_needs_ceiling():
    table = CASES["scaling"][0].drop(columns="ceiling")
    assert set(verdicts("scaling", table)) == {"not measured"}


def test_judge_torus_ignores_end_of_unfinished_trials():
    table = tables.torus(factorized=True)
    half = table[(table["seed"] == 0) | (table["step"] <= 100)]
    half = half.assign(last=half["last"] & (half["seed"] == 0))
    assert findings.judge("torus", half)[1][1].numbers.count("at the end") == 1


@pytest.mark.parametrize("family", ["bump", "sos"])
def test_judge_holdout_needs_both_families(family):
    table = tables.holdout(holds=True)
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
    assert verdicts("scaling", few)[3] == OPEN


def test_judge_scaling_fit_with_remark():
    laws = {"bump": (0.15, 2), "bump+stripes": (1.2, 1)}
    table = trials(noise=0.4, lambdas=(0.02, 0.05, 0.1, 0.2), laws=laws)
    outcome = findings.judge("scaling", table)[0][1]
    assert outcome.verdict in (SHOWN, NOT, OPEN)
    assert "lies outside the measured range with a probability of" in outcome.numbers


def test_available_covers_every_experiment():
    papers = {"scaling", "percolation", "torus", "composition", "interpolation"}
    papers |= {"holdout", "phases", "spread", "imbalance", "holes"}
    assert papers <= set(findings.available()) <= set(available())


def test_judge_scaling_exponent_far_from_the_simulated_one():
    judged = verdicts("scaling", scaling({"bump": (0.7, 1.22), "bump+stripes": (0.6, 1.0)}))
    # 2.34 by simulation
    assert judged == [NOT, SHOWN, "not measured", SHOWN, NOT, SHOWN, SHOWN]


def test_judge_scaling_where_percolation_sets_no_threshold():
    table = trials(noise=0.05, sizes=(7, 10, 14), laws=PAPERS)
    outcome = findings.judge("scaling", table)[4][1]
    assert outcome.verdict == OPEN
    assert "Below 3 bumps it sets no threshold" in outcome.numbers


def test_judge_torus_of_images_that_are_tori():
    table = tables.torus(factorized=True)
    for i, number in enumerate((1, 2, 1)):
        table[f"layer4/null_image_betti_{i}"] = number
    outcome = findings.judge("torus", table)[0][1]
    assert (outcome.verdict, outcome.error) == (OPEN, None)
    assert "The images are tori already" in outcome.numbers


@pytest.mark.parametrize(
    ("case", "claim", "axes"), [("phases", 3, ["x", "y"]), ("imbalance", 0, ["y"])]
)
def test_judge_curves_of_different_runs_do_not_go_together(case, claim, axes):
    """Each run gets the R-squared of the next run with the same lattice."""
    table, _ = CASES[case]
    fits = [f"layer4/r_squared_{axis}" for axis in axes]
    mixed = table.copy()
    mixed[fits] = (
        table.sort_values("seed").groupby(["data.spacing", "step"], sort=False)[fits].shift(1)
    )
    first = table["seed"] == table["seed"].min()
    last = table[table["seed"] == table["seed"].max()].set_index(["data.spacing", "step"])[fits]
    wanted = pd.MultiIndex.from_frame(table.loc[first, ["data.spacing", "step"]])
    mixed.loc[first, fits] = last.loc[wanted].to_numpy()
    assert findings.judge(case, table)[claim][1].verdict == SHOWN
    assert findings.judge(case, mixed)[claim][1].verdict != SHOWN


def test_judge_percolation_needs_numbers_of_examples_at_every_sigma():
    table = tables.percolation(needed=tables.percolating())
    table["samples_2d"] = table["samples_2d"].where(table["data.sigma"] > table["data.sigma"].min())
    judged = [outcome for _, outcome in findings.judge("percolation", table)]
    assert [outcome.error for outcome in judged] == [None] * 4
    assert judged[1].verdict == "not measured"
    assert "samples_2d" in judged[1].numbers


def test_judge_percolation_names_widths_not_learned():
    table = tables.percolation(needed={0.5: 1000.0, 1.0: 2000.0})
    judged = findings.judge("percolation", table)
    assert [o.verdict for _, o in judged][:3] == [OPEN] * 3
    assert "Not learned" in judged[0][1].numbers
