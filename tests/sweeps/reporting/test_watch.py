"""The live view from another process: it sees what the records say."""

import pytest

from factorlab.storage.journal import Journal
from factorlab.trial import Trial
from sweeps.planning import plan, saved_plans
from sweeps.planning.experiment import load
from sweeps.planning.search import continuation
from sweeps.reporting.live.watch import Watched
from tests.helpers.experiments import write_experiment


@pytest.fixture
def made(tmp_path):
    """A sweep of three runs; the first is done."""
    path = write_experiment(
        tmp_path / "seen.yaml", axes={"data.subsample": [0.2, 0.5, 1.0]}, training={"steps": 40}
    )
    made = plan.make(load(str(path)), tmp_path / "runs")
    saved_plans.save(made)
    list(Trial(made.trials[0].run, made.runs).run())
    return made


def test_watch_shows_what_runs_and_what_has_ended(made):
    watched, second = Watched(), made.record(made.trials[1])
    trial = Trial(made.trials[1].run, made.runs)
    with second.lease():
        second.create(trial.identity, trial.dataset)
        journal = Journal(second.journal)
        journal.append(10, {"loss": 0.5})
        journal.append(20, {"loss": 0.25})
        _, shown = watched.look(made, 0.0)
    (running,) = shown.running
    assert (running.name, running.step, running.steps, running.loss) == ("λ.5", 20, 40, 0.25)
    assert running.speed > 0
    assert (shown.done, shown.total, shown.ended) == (1, 3, [])
    assert 1 / 3 < shown.share < 0.6  # one and a half of three runs, and their evaluations
    assert [point.x for point in shown.sketch.points] == [0.2]

    second.write_failure("loss is nan", 30)
    _, shown = watched.look(made, 5.0)
    assert shown.failures == ["λ.5: loss is nan"]
    assert list(shown.ended) == ["λ.5: failed"]
    assert shown.message == "no process trains this sweep now"

    list(Trial(made.trials[2].run, made.runs).run())
    _, shown = watched.look(made, 9.0)
    assert shown.ended[0].startswith("λ1.0: accuracy ")
    assert (shown.share, shown.message) == (1.0, "")


def test_watch_shows_what_a_search_knows(tmp_path):
    path = write_experiment(
        tmp_path / "searched.yaml",
        axes={"data.subsample": {"loguniform": [0.05, 1.0]}, "seed": [0]},
        search={"threshold": {"axis": "data.subsample"}, "runs": 6},
        training={"steps": 4},
        figures=[],
    )
    made = plan.make(load(str(path)), tmp_path / "runs")
    watched = Watched()
    _, shown = watched.look(continuation.continued(made, simulate=False), 0.0)
    assert "after 0 runs" in shown.crossings[0].text
    list(Trial(made.at({"data.subsample": 0.5, "seed": 0}).run, made.runs).run())
    _, shown = watched.look(continuation.continued(made, simulate=False), 1.0)
    (known,) = shown.crossings
    assert "after 1 run" in known.text
    assert sum(known.masses) <= 1
