"""Measures read representations in blocks of features."""

import numpy as np
import pytest

from analysis.measures import validation
from analysis.measures.factorization import angles
from tests.helpers.rounding import EXACT


@pytest.mark.parametrize("features", [7, 60])
def test_angles_do_not_depend_on_the_block(monkeypatch, features):
    grid = np.random.default_rng(0).normal(size=(5, 6, features))
    whole = angles(grid)
    monkeypatch.setattr(validation, "BLOCK", 2)
    parts = angles(grid)
    for kind in ("orthogonality", "parallelism", "alignment"):
        for name, values in getattr(whole, kind).items():
            np.testing.assert_allclose(getattr(parts, kind)[name], values, rtol=0, atol=EXACT)
