"""Contract of scalar measures."""

import math
import re

import numpy as np
import pytest
from scipy.stats import ortho_group

from analysis.measures import scalars
from analysis.measures.checkpoint import measure
from tests.helpers.rounding import DOUBLE, gamma

SIDES = (6, 6)
LABELS = np.stack(np.meshgrid(np.arange(6), np.arange(6), indexing="ij"), -1).reshape(-1, 2)
FROM_EMBEDDING = {"r_squared_x", "r_squared_y"}
"""UMAP amplifies rounding, so these are equal for the same bits alone."""


def points():
    """A noisy sheet in ten dimensions."""
    rng = np.random.default_rng(0)
    return LABELS @ rng.normal(size=(2, 10)) + 0.3 * rng.normal(size=(36, 10))


@pytest.fixture(scope="module")
def measured():
    return measure(points(), LABELS, SIDES)


@pytest.fixture(scope="module")
def again():
    return measure(points(), LABELS, SIDES)


@pytest.fixture(scope="module")
def turned():
    """The same representations in another basis, moved and scaled."""
    turn = ortho_group.rvs(10, random_state=1)
    return measure(7.0 * points() @ turn + 2.0, LABELS, SIDES)


@pytest.mark.parametrize("name", scalars.available())
def test_scalars_are_named_finite_numbers(measured, name):
    found = scalars.load(name).scalars(measured)
    assert found
    for key, value in found.items():
        assert re.fullmatch(r"[a-z][a-z0-9_]*", key)
        assert isinstance(value, int | float)
        assert math.isfinite(value)


@pytest.mark.parametrize("name", scalars.available())
def test_scalars_are_the_same_for_the_same_seed(measured, again, name):
    assert scalars.load(name).scalars(again) == scalars.load(name).scalars(measured)


@pytest.mark.parametrize("name", scalars.available())
def test_scalars_do_not_depend_on_basis_origin_and_unit(measured, turned, name):
    found, other = (scalars.load(name).scalars(m) for m in (measured, turned))
    assert found.keys() == other.keys()
    for key in found.keys() - FROM_EMBEDDING:
        # Ripser computes in float32, and a confidence subtracts a ratio of two persistences from 1.
        # All else is float64: 360 products, amplified by the condition of the cloud, below 100.
        tolerance = gamma(8) if name == "holes" else gamma(36_000, DOUBLE)
        assert other[key] == pytest.approx(found[key], rel=tolerance, abs=tolerance), key


def test_modules_have_disjoint_names(measured):
    parts = [scalars.load(name).scalars(measured) for name in scalars.available()]
    assert len(scalars.of(measured)) == sum(map(len, parts))
