"""Figures that cannot show what a sweep varies."""

import pytest

from factorlab.errors import UserError
from sweeps.planning.experiment import load
from sweeps.reporting.figure_checks import check_figures


def test_a_pair_is_no_axis_of_a_figure_of_round_bumps(tmp_path):
    with pytest.raises(UserError, match=r"^scaling: data.sigma = \[1.0, 2.0\]: figure 'scaling'"):
        check_figures(load("scaling", "smoke", {"data.sigma": [1.0, 2.0]}))
    check_figures(load("scaling", "smoke", {"data.sigma": 2.0}))
