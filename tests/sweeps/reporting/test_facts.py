"""What the live view knows of a sweep from its plan."""

import pytest
import yaml

from factorlab.storage.record import Record
from sweeps.planning import plan
from sweeps.planning.cost.estimate import NOTHING
from sweeps.planning.experiment import load
from sweeps.reporting.live import facts
from tests.helpers.experiments import write_experiment


def facts_with(folder, also, axes=None, **groups):
    """Return the facts of a sweep with a second grid, whose trials are all done."""
    path = write_experiment(folder / "grids.yaml", axes=axes or {"seed": [0, 1]}, **groups)
    path.write_text(path.read_text() + yaml.safe_dump({"also": also}))
    made = plan.make(load(str(path)), folder / "runs")
    for trial in made.trials:
        record = Record(made.runs, trial.key)
        record.path.mkdir(parents=True)
        record.write_result({"steps": 6, "metrics": {"accuracy": 0.5}, "seconds": {}})
    return facts.facts_of(made.state(), NOTHING)


@pytest.mark.parametrize(
    ("also", "groups", "axis"),
    [
        ({"data.margin": [1.0, 2.0]}, {}, "data.margin"),  # None in the main grid
        ({"data.sigma": [1.0, 2.0]}, {"data": {"sigma": [1.0, 2.0]}}, "data.sigma"),  # a pair
        ({"training.ema": [0.01, 0.9]}, {}, "training.ema"),  # 0 has no logarithm
        ({"training.batch_size": [6, 8]}, {}, "training.batch_size"),  # 4, below the axis
    ],
)
def test_sketch_leaves_out_trials_that_are_not_on_its_axis(tmp_path, also, groups, axis):
    known = facts_with(tmp_path, [also], **groups)
    assert known.total == 6
    assert known.sketch.axis == axis
    values = also[axis]
    assert sorted(point.x for point in known.sketch.points) == sorted([*values, *values])
    assert sorted(at for at, _ in known.places.values()) == sorted([*values, *values])
    assert axis in known.sketch.lines()[0]


def test_sketch_shows_both_grids_on_one_axis(tmp_path):
    axes = {"data.subsample": [0.5, 1.0]}
    known = facts_with(tmp_path, [{"data.subsample": [0.2], "data.family": ["sos"]}], axes)
    assert sorted(point.x for point in known.sketch.points) == [0.2, 0.5, 1.0]
