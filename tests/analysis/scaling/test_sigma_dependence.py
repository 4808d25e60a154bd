"""Percolation against coverage, on crossings that follow either of them."""

import math

import numpy as np
import pytest

from analysis.scaling.sigma_dependence import sigma_test
from analysis.scaling.thresholds import crossing
from tests.helpers.synthetic_trials import accuracy_at

SIGMAS = (0.5, 0.7, 1.0, 1.4)


def predicted(threshold, sigma):
    """Examples that fall as the inverse square of the reach of a link."""
    return 60 / (sigma**2 * -math.log(threshold))


PREDICTED = {t: {s: predicted(t, s) for s in SIGMAS} for t in (0.05, 0.2, 0.5, 0.8)}


def crossings(needed):
    samples = np.repeat([4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0], 3)
    scatter = np.tile([0.95, 1.0, 1.05], 8)
    return {
        sigma: crossing(samples, accuracy_at(samples, count * scatter))
        for sigma, count in needed.items()
    }


def test_percolation_wins_where_crossings_follow_one_of_its_thresholds():
    found = sigma_test(crossings(PREDICTED[0.5]), PREDICTED, runs=3)
    assert found.thresholds == (0.5, 0.5)
    assert found.percolation.high < 0.4
    assert found.coverage.low > 0.5
    assert found.advantage.low > 0
    assert found.advantage.runs == 3


def test_coverage_wins_where_crossings_do_not_depend_on_sigma():
    found = sigma_test(crossings(dict.fromkeys(SIGMAS, 40.0)), PREDICTED, runs=3)
    assert found.coverage.high < 0.4
    assert found.advantage.high < 0


def test_each_half_is_predicted_from_the_other():
    """Every second sigma follows one threshold, the others another: neither predicts the other."""
    mixed = {s: predicted(0.05 if i % 2 else 0.8, s) for i, s in enumerate(SIGMAS)}
    found = sigma_test(crossings(mixed), PREDICTED, runs=3)
    assert found.thresholds == (0.8, 0.05)
    expected = math.log(math.log(0.05) / math.log(0.8))  # the ratio of both predictions
    assert found.percolation.value == pytest.approx(expected, rel=0.1)


def test_too_few_sigmas_or_thresholds_are_refused():
    few = crossings(dict.fromkeys(SIGMAS[:3], 40.0))
    with pytest.raises(ValueError, match="too few"):
        sigma_test(few, PREDICTED, runs=3)
    with pytest.raises(ValueError, match="too few"):
        sigma_test(crossings(dict.fromkeys(SIGMAS, 40.0)), {}, runs=3)
