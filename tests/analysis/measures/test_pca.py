"""Principal components against scikit-learn and closed forms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import ortho_group
from sklearn.decomposition import PCA

from analysis.measures.pca import principal
from tests.analysis.measures.in_one_call import participation_ratio
from tests.helpers.rounding import DOUBLE, EXACT, gamma

shapes = st.tuples(st.integers(2, 12), st.integers(1, 12))
floats = st.floats(-100, 100).map(lambda value: round(value, 3))


def varied(points):
    """Whether the points differ by more than rounding."""
    return points.std(axis=0).max() > 1e-2


@given(data=st.data(), shape=shapes)
def test_principal_matches_scikit_learn(data, shape):
    points = data.draw(arrays(float, shape, elements=floats).filter(varied))
    reference = PCA().fit(points)
    found = principal(points)
    count = len(found.variances)
    assert count == min(shape[0] - 1, shape[1])
    largest = reference.explained_variance_[0]
    np.testing.assert_allclose(
        found.variances, reference.explained_variance_[:count], rtol=0, atol=EXACT * largest
    )
    # The signs of scores are free, and so are directions of equal variance: compare products.
    there = reference.transform(points)
    for one, other in ((found.scores, there), (found.scores[:, :1], None)):
        if other is not None:
            np.testing.assert_allclose(
                one @ one.T, other @ other.T, rtol=0, atol=EXACT * largest * shape[0]
            )
    assert found.share(4) == pytest.approx(reference.explained_variance_ratio_[:4].sum())
    ratio = reference.explained_variance_
    assert found.dimension == pytest.approx(ratio.sum() ** 2 / (ratio**2).sum())
    assert found.dimension == pytest.approx(participation_ratio(points))


@given(data=st.data(), shape=shapes, scale=st.floats(1e-3, 1e3))
def test_principal_dimension_invariant_under_turning_moving_scaling(data, shape, scale):
    points = data.draw(arrays(float, shape, elements=floats).filter(varied))
    turn = ortho_group.rvs(shape[1], random_state=0) if shape[1] > 1 else np.ones((1, 1))
    moved = scale * points @ turn + 3.0
    # Rounding goes with the size of the numbers, and the dimension with their spread.
    size = (np.abs(points).max() + 3 / scale) / points.std(axis=0).max()
    bound = gamma(100 * size, DOUBLE)
    assert principal(moved).dimension == pytest.approx(principal(points).dimension, rel=bound)


def test_principal_dimension_closed_form():
    angle = 2 * np.pi * np.arange(64) / 64
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    assert principal(circle).dimension == pytest.approx(2)
    x, y = (a.ravel() for a in np.meshgrid(angle[::4], angle[::4]))
    torus = np.stack([np.cos(x), np.sin(x), np.cos(y), np.sin(y)], axis=1)
    assert principal(torus).dimension == pytest.approx(4)
    assert principal(torus).share(4) == pytest.approx(1)
    assert principal(np.outer(angle, [1.0, 2.0, 3.0])).dimension == pytest.approx(1)
    # A simplex has one equal eigenvalue less than samples.
    assert principal(np.eye(20)).dimension == pytest.approx(19)


def test_principal_reads_memory_mapped_half_precision(tmp_path):
    rng = np.random.default_rng(0)
    points = rng.normal(size=(40, 10_000)).astype(np.float16)
    np.save(tmp_path / "points.npy", points)
    mapped = np.load(tmp_path / "points.npy", mmap_mode="r")
    expected = PCA().fit(points.astype(float)).explained_variance_[:39]
    np.testing.assert_allclose(principal(mapped).variances, expected, rtol=EXACT)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.ones((5, 3)), "All 5 representations are the same"),
        (np.ones((1, 3)), "There are 1 representations; expected at least 2"),
        (np.array([[1.0, np.nan], [2.0, 3.0]]), "not finite"),
        (np.ones(4), r"shape \(4,\)"),
        (np.ones((4, 0)), r"shape \(4, 0\)"),
    ],
)
def test_principal_refuses_what_has_no_components(points, message):
    with pytest.raises(ValueError, match=message):
        principal(points)
