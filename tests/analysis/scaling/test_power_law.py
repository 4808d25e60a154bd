"""The posterior of an exponent against weighted least squares, and its coverage."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.scaling import power_law
from analysis.scaling.power_law import CrossingDensity, fit_power_law

SIZES = (7, 10, 14, 20)


def normal(size, mean, deviation):
    """Return a normal posterior of a crossing."""
    points = mean + np.linspace(-8, 8, 801) * deviation
    return CrossingDensity(
        size=size, points=points, density=np.exp(-0.5 * ((points - mean) / deviation) ** 2)
    )


def least_squares(sizes, means, variances):
    """Return the weighted least-squares slope and its standard error."""
    x, weights = np.log(sizes), 1 / np.asarray(variances)
    centred = x - np.average(x, weights=weights)
    information = weights @ centred**2
    return (weights * centred) @ means / information, information**-0.5


@settings(max_examples=20, deadline=None)
@given(
    st.floats(0.3, 3),
    st.lists(st.floats(0.03, 0.3), min_size=4, max_size=4),
    st.integers(0, 1000),
)
def test_fit_without_scatter_is_weighted_least_squares(exponent, deviations, seed):
    """With normal posteriors and a fixed scatter the posterior has a closed form."""
    rng = np.random.default_rng(seed)
    means = 1 + exponent * np.log(SIZES) + np.array(deviations) * rng.normal(size=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(power_law, "_SCATTERS", np.array([0.01, 0.0101]))
        found = fit_power_law([*map(normal, SIZES, means, deviations)])
    slope, error = least_squares(SIZES, means, np.square(deviations) + 0.01**2)
    low, high = found.interval(0.6827)
    # The grid has a spacing of 0.01 in the exponent and 0.0125 in the level.
    assert found.value == pytest.approx(slope, abs=0.02 + 0.05 * error)
    assert (high - low) / 2 == pytest.approx(error, rel=0.1, abs=0.02)


def test_scatter_about_the_line_widens_the_interval():
    x = np.log(SIZES)
    straight = [normal(n, 2 * m, 0.05) for n, m in zip(SIZES, x, strict=True)]
    bent = [
        normal(n, 2 * m + d, 0.05) for n, m, d in zip(SIZES, x, (0.3, -0.3, -0.3, 0.3), strict=True)
    ]
    widths = [np.ptp(fit_power_law(one).interval()) for one in (straight, bent)]
    assert widths[0] < 0.7 * widths[1]


def test_odds_are_the_ratio_of_the_likelihoods():
    """Closed form: normal likelihoods at 2 and 1, 16 standard errors squared apart."""
    means = [2 * np.log(n) for n in SIZES]
    law = fit_power_law([normal(n, m, 0.2) for n, m in zip(SIZES, means, strict=True)])
    exact = [least_squares(SIZES, means, 4 * [0.2**2 + scatter**2])[1] for scatter in (0.01, 0.2)]
    low, high = (0.5 / np.square(error) for error in reversed(exact))
    assert low < np.log(law.odds(2, 1)) < high + 0.2
    assert law.odds(1, 2) == pytest.approx(1 / law.odds(2, 1))
    assert law.odds(2, 2) == 1


def test_prefactor_is_the_line_at_one_pixel():
    law = fit_power_law([normal(n, np.log(0.1 * n**2), 0.03) for n in SIZES])
    assert law.prefactor * 12**law.value == pytest.approx(0.1 * 144, rel=0.02)


@pytest.mark.parametrize("scatter", [0.0, 0.1])
def test_interval_coverage(scatter):
    """Nominally 95 %; of 150 draws more than 0.88 hold it with probability 0.999."""
    rng, held = np.random.default_rng(3), 0
    for _ in range(150):
        deviations = rng.uniform(0.05, 0.15, 4)
        means = 2 * np.log(SIZES) + np.sqrt(deviations**2 + scatter**2) * rng.normal(size=4)
        low, high = fit_power_law([*map(normal, SIZES, means, deviations)]).interval()
        held += low <= 2 <= high
    assert held / 150 > 0.88


@pytest.mark.parametrize("sizes", [(), (7,), (7, 7)])
def test_fewer_than_two_sizes_are_refused(sizes):
    with pytest.raises(ValueError, match="needs crossings at two N"):
        fit_power_law([normal(n, 1, 0.1) for n in sizes])
