"""Means of repeated shares: against closed forms, and how often their intervals hold the truth."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import expit, logit

from analysis.statistics.cell_means import CellMeans

LABELS = 400


def table(shares):
    """One row per accuracy: the cells' accuracies by name."""
    return pd.DataFrame(
        [
            {"cell": cell, "seed": seed, "accuracy": a}
            for cell, found in shares.items()
            for seed, a in enumerate(found)
        ]
    )


def means(shares, labels=LABELS):
    rows = table(shares)
    return CellMeans(rows, "accuracy", [labels] * len(rows), ["cell"])


def test_mean_of_many_alike_seeds_is_that_of_binomial_labels():
    """Seeds that scatter less than binomial draws leave the uncertainty of the labels alone."""
    found = means({"a": [0.7] * 40, "b": [0.2] * 40}).mean({"cell": "a"})
    expected = stats.beta(0.5 + 0.7 * 40 * LABELS, 0.5 + 0.3 * 40 * LABELS)
    assert found.value == pytest.approx(0.7, abs=0.004)
    # The largest concentration on the grid, 3000, adds LABELS / 3000 to the variance.
    assert found.high - found.low == pytest.approx(np.diff(expected.interval(0.95))[0], rel=0.25)


def test_mean_of_many_scattered_seeds_is_that_of_the_seeds():
    drawn = np.random.default_rng(0).beta(6, 4, 60)
    found = means({"a": drawn}).mean({"cell": "a"})
    standard = drawn.std(ddof=1) / np.sqrt(60)
    assert found.value == pytest.approx(drawn.mean(), abs=0.3 * standard)
    assert found.high - found.low == pytest.approx(2 * 1.96 * standard, rel=0.2)


def test_cells_with_one_seed_learn_the_scatter_from_the_others():
    rng = np.random.default_rng(1)
    wide = {str(i): rng.beta(3, 3, 4) for i in range(6)} | {"one": [0.5]}
    narrow = {str(i): rng.beta(300, 300, 4) for i in range(6)} | {"one": [0.5]}
    found = [means(shares) for shares in (wide, narrow)]
    widths = [one.draws({"cell": "one"}).std() for one in found]
    assert widths[0] > 3 * widths[1]
    assert found[0].mean({"cell": "one"}).high == np.inf  # one seed has no interval of its own


def test_cell_at_the_ceiling_is_known_better_than_one_in_the_middle():
    found = means({"a": [1.0, 1.0, 0.995], "b": [0.4, 0.6, 0.5]})
    top, middle = found.mean({"cell": "a"}), found.mean({"cell": "b"})
    assert top.high - top.low < 0.4 * (middle.high - middle.low)
    assert top.high <= 1


def test_difference_and_mean_over_cells_follow_from_the_draws():
    found = means({"a": [0.2, 0.3], "b": [0.6, 0.7], "c": [0.9, 1.0]})
    a, b = found.draws({"cell": "a"}), found.draws({"cell": "b"})
    assert found.difference(({"cell": "a"}, {"cell": "b"})).value == pytest.approx((b - a).mean())
    third = found.draws({"cell": "c"})
    assert found.mean({}).value == pytest.approx(((a + b + third) / 3).mean())
    assert found.mean({}).runs == 2


def test_same_table_gives_the_same_numbers():
    one, other = (means({"a": [0.2, 0.3], "b": [0.6, 0.7]}).draws({}) for _ in range(2))
    assert (one == other).all()


def test_wrong_tables_are_refused():
    for shares in ([1.2], [float("nan")], [-0.1]):
        with pytest.raises(ValueError, match="share"):
            means({"a": shares})
    with pytest.raises(KeyError, match="no cell"):
        means({"a": [0.5]}).draws({"cell": "b"})


def beta(mean, rng):
    return rng.beta(30 * mean, 30 * (1 - mean), 3)


def logistic_normal(mean, rng):
    """Seeds scatter by 0.4 in the logit, which no beta distribution does."""
    return expit(logit(mean) + 0.4 * rng.normal(size=3))


@pytest.mark.parametrize("seeds", [beta, logistic_normal])
def test_intervals_of_differences_hold_the_truth(seeds):
    """Of 200 designs of eight cells with three seeds; 0.87 is five standard errors below 0.95."""
    rng = np.random.default_rng(7)
    held = 0
    for _ in range(200):
        truth = rng.uniform(0.05, 0.98, 8)
        drawn = {str(i): rng.binomial(LABELS, seeds(p, rng)) / LABELS for i, p in enumerate(truth)}
        # A logistic normal scatters about the median in the logit, not about the mean.
        expected = [_mean_of(seeds, p) for p in truth[:2]]
        found = means(drawn).difference(({"cell": "0"}, {"cell": "1"}))
        held += found.low <= expected[1] - expected[0] <= found.high
    assert held / 200 >= 0.87


def _mean_of(seeds, middle):
    if seeds is beta:
        return middle
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    return float((expit(logit(middle) + 0.4 * nodes) * weights).sum() / weights.sum())
