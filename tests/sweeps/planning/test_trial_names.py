"""Names of trials: short, one line, distinct."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.planning.trial_names import LONGEST_NAME, trial_name

VALUES = {
    "data.size": st.integers(2, 64),
    "data.family": st.sampled_from(["bump", "bump+stripes", "sos"]),
    "data.sigma": st.floats(0.01, 9.0) | st.lists(st.floats(0.01, 9.0), min_size=2, max_size=2),
    "data.subsample": st.floats(1e-4, 1.0),
    "model.width": st.integers(1, 64),
    "data.held_out": st.fixed_dictionaries(
        {"kind": st.sampled_from(["rim", "box"]), "width": st.floats(0.5, 3.0)}
    ),
    "evaluation.at": st.lists(st.integers(0, 10**6), min_size=1, max_size=60),
    "seed": st.integers(0, 2**63 - 1),
}


@pytest.mark.parametrize(
    ("point", "name"),
    [
        ({"data.family": "bump+stripes", "data.size": 9, "data.subsample": 0.07, "seed": 1},
         "N9 bump+stripes λ.07 s1"),
        ({"seed": 0, "data.sigma": [0.1, 0.5], "model.width": 8}, "σ.1x.5 width=8 s0"),
        ({"data.held_out": {"kind": "rim", "width": 1.0}, "data.subsample": 1.0},
         "λ1.0 held_out=rim-1.0"),
        ({"data.held_out": {"width": 1.0, "kind": "rim"}}, "held_out=rim-1.0"),
        ({}, ""),
    ],
)  # fmt: skip
def test_trial_name_uses_symbols(point, name):
    assert trial_name(point) == name


@given(st.sets(st.sampled_from(sorted(VALUES))).flatmap(
    lambda keys: st.tuples(*[st.fixed_dictionaries({k: VALUES[k] for k in keys})] * 2)
))  # fmt: skip
def test_trial_name_is_one_short_line_and_distinct(points):
    in_order = [{key: point[key] for key in points[0]} for point in points]  # that of the axes
    first, second = map(trial_name, in_order)
    assert (first == second) == (points[0] == points[1])
    assert max(len(first), len(second)) <= LONGEST_NAME
    assert "\n" not in first + second
