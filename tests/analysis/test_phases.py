"""The rule that tells the phases of manifold formation apart."""

import pytest

from analysis.phases import phase

ORDERED = {
    "accuracy": 0.9,
    "share_misplaced": 0.1,
    "dimension": 8.0,
    "r_squared_x": 0.9,
    "r_squared_y": 0.8,
    "r_squared_pca_x": 0.3,
    "r_squared_pca_y": 0.3,
}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, "C"),
        ({"r_squared_y": 0.5}, "B"),
        ({"r_squared_y": 0.5, "r_squared_pca_x": 1.0}, "B"),  # not both of either kind
        ({"r_squared_y": 0.5, "r_squared_pca_x": 1.0, "r_squared_pca_y": 0.9}, "C"),
        ({"accuracy": 0.1, "share_misplaced": 0.8, "r_squared_x": 0.0}, "B"),
        ({"accuracy": 0.1, "share_misplaced": 0.3}, "A"),
        ({"dimension": 61.0}, "A"),
    ],
)
def test_the_phase_follows_from_shapes_dimension_and_order(change, expected):
    assert phase(ORDERED | change) == expected


@pytest.mark.parametrize("name", ORDERED)
def test_a_missing_number_is_named(name):
    with pytest.raises(ValueError, match=name):
        phase({key: value for key, value in ORDERED.items() if key != name})
    with pytest.raises(ValueError, match=name):
        phase(ORDERED | {name: float("nan")})
