"""Figures that cannot show the axes of a sweep."""

import pytest

from factorlab.errors import UserError
from sweeps.planning.experiment import load
from sweeps.reporting.figure_checks import check_figures


def test_check_figures_refuses_pair_on_axis(tmp_path):
    with pytest.raises(UserError, match=r"^scaling: data.sigma = \[1.0, 2.0\]: figure 'scaling'"):
        check_figures(load("scaling", "smoke", {"data.sigma": [1.0, 2.0]}))
    check_figures(load("scaling", "smoke", {"data.sigma": 2.0}))
