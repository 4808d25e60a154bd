"""Contract of the figures of a sweep, on real records and on made-up tables."""

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from analysis.errors import NotDrawableError
from analysis.figures.sweep import available, load, options_of
from analysis.plotting.figure_io import save
from sweeps.planning import saved_plans
from sweeps.reporting import reports
from tests.helpers.earlier_records import unpack
from tests.helpers.synthetic_trials import trials

OPTIONS = {
    "formation": {"seed": 5},
    "scaling": {"realisations": 3},
    "percolation": {"realisations": 3},
}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Evaluations of a run that kept samples and representations."""
    runs = unpack(tmp_path_factory.mktemp("records"))
    return reports.evaluations(saved_plans.find(runs, "kinds", "representations"))


@pytest.fixture(params=["recorded", "synthetic"])
def table(request, recorded):
    return recorded if request.param == "recorded" else trials(sizes=(8, 12), seeds=(0, 1))


def draw(name, table):
    """Draw a figure; None where the table holds nothing that it can show."""
    module = load(name)
    try:
        return module.draw(table, options_of(module, OPTIONS.get(name, {})))
    except NotDrawableError:
        return None


@pytest.mark.parametrize("name", available())
def test_figure_states_columns_axes_and_options(name):
    module = load(name)
    assert all(isinstance(column, str) for column in module.COLUMNS)
    assert module.AXES is None or all(isinstance(axis, str) for axis in module.AXES)
    assert options_of(module, {}) == module.Options()


@pytest.mark.parametrize("name", available())
def test_figure_refuses_a_table_without_its_columns(name, recorded):
    module = load(name)
    for column in module.COLUMNS:
        if column in recorded:
            with pytest.raises(ValueError, match=f"lacks {column};"):
                module.draw(recorded.drop(columns=column), module.Options())


@pytest.mark.parametrize("name", available())
def test_figure_draws_every_table_or_says_why_not(name, table, tmp_path):
    before = table.copy(deep=True)
    drawing = draw(name, table)
    pd.testing.assert_frame_equal(table, before)
    assert not plt.get_fignums()  # no figure is left in pyplot
    if drawing is not None:
        assert all(isinstance(panel, pd.DataFrame) for panel in drawing.panels.values())
        assert any(len(panel) for panel in drawing.panels.values())
        paths = save(drawing, tmp_path, name)
        assert {path.suffix for path in paths} == {".png", ".pdf", ".csv"}


@pytest.mark.parametrize("name", available())
def test_figure_draws_at_least_one_of_the_tables(name, recorded):
    # The records are older than the null models of representations.
    nulls = {
        column.replace("/", "/null_image_"): recorded[column] / 2
        for column in recorded
        if column.endswith("/factorization")
    }
    tables = (recorded.assign(**nulls), trials(sizes=(8, 12), seeds=(0, 1)))
    assert any(draw(name, table) is not None for table in tables)


@pytest.mark.parametrize("name", available())
def test_figure_of_the_same_table_has_the_same_data(name, table):
    first, second = draw(name, table), draw(name, table)
    if first is not None:
        assert first.panels.keys() == second.panels.keys()
        for panel, data in first.panels.items():
            pd.testing.assert_frame_equal(second.panels[panel], data)
