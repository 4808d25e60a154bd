"""The rule for the phases of manifold formation."""

import pytest

from analysis.measures.phases import phase

ORDERED = {
    "accuracy": 0.9,
    "share_none": 0.0,
    "share_misplaced": 0.1,
    "share_several": 0.0,
    "dimension": 8.0,
    "r_squared_x": 0.9,
    "r_squared_y": 0.8,
    "r_squared_pca_x": 0.3,
    "r_squared_pca_y": 0.3,
}
MISPLACED = {"accuracy": 0.3, "share_misplaced": 0.4, "share_several": 0.3}
UNTRAINED = {  # measured at N = 8, where noise is often read as one shape
    "accuracy": 0.11,
    "share_misplaced": 0.53,
    "share_several": 0.36,
    "dimension": 21.4,
    "r_squared_x": 0.07,
    "r_squared_y": 0.07,
    "r_squared_pca_x": 0.08,
    "r_squared_pca_y": 0.08,
}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, "C"),
        ({"r_squared_y": 0.5}, "B"),
        ({"r_squared_y": 0.5, "r_squared_pca_x": 1.0}, "B"),  # neither kind for both labels
        ({"r_squared_y": 0.5, "r_squared_pca_x": 1.0, "r_squared_pca_y": 0.9}, "C"),
        ({"dimension": 17.0}, "C"),  # a torus in many directions is ordered, too
        (MISPLACED, "B"),
        (MISPLACED | {"r_squared_x": 0.0}, "B"),
        (MISPLACED | {"dimension": 17.0}, "A"),
        (MISPLACED | {"dimension": 17.0, "null_image_dimension": 7.0}, "B"),
        (MISPLACED | {"dimension": 17.0, "null_image_dimension": 6.0}, "A"),
        (MISPLACED | {"dimension": 100.0, "null_image_dimension": 70.0}, "B"),
        (MISPLACED | {"share_misplaced": 0.3, "share_several": 0.4}, "A"),
        (UNTRAINED, "A"),
    ],
)
def test_phase_from_failures_dimension_and_order(change, expected):
    assert phase(ORDERED | change) == expected


@pytest.mark.parametrize("name", ORDERED)
def test_phase_names_missing_number(name):
    with pytest.raises(ValueError, match=name):
        phase({key: value for key, value in ORDERED.items() if key != name})
    with pytest.raises(ValueError, match=name):
        phase(ORDERED | {name: float("nan")})
