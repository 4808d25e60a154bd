"""The live view from another process: it sees what the records say."""

import io
from contextlib import ExitStack
from types import SimpleNamespace

import pytest
from rich.console import Console

from factorlab.storage import journal
from factorlab.storage.journal import Journal
from factorlab.trial import Trial
from sweeps.execution.guided import tune_parts
from sweeps.execution.guided.run_search import RunSearch
from sweeps.planning import plan, saved_plans
from sweeps.planning.experiment import load
from sweeps.planning.plan import path_of
from sweeps.planning.search import continuation, picked
from sweeps.reporting.live import watch
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
        _, shown = watched.look(made)
    (running,) = shown.running
    assert (running.name, running.step, running.steps, running.loss) == ("λ.5", 20, 40, 0.25)
    assert running.speed > 0
    assert (shown.done, shown.total, shown.ended) == (1, 3, [])
    assert 1 / 3 < shown.share < 0.6  # one and a half of three runs, and their evaluations
    assert [point.x for point in shown.sketch.points] == [0.2]

    second.write_failure("loss is nan", 30)
    _, shown = watched.look(made)
    assert shown.failures == ["λ.5: loss is nan"]
    assert list(shown.ended) == ["λ.5: failed"]
    assert shown.message.startswith("no run trains now; ")

    list(Trial(made.trials[2].run, made.runs).run())
    _, shown = watched.look(made)
    assert shown.ended[0].startswith("λ1.0: accuracy ")
    assert (shown.share, shown.message) == (1.0, "")


def test_watch_times_runs_by_their_journals(made, monkeypatch):
    """Lines come rarely, so the time of a look is not that of the work that it sees."""
    watched, trials, clock = Watched(), made.trials[1:], [0.0]
    monkeypatch.setattr(journal, "time", SimpleNamespace(time=lambda: clock[0]))
    with ExitStack() as held:
        for trial in trials:
            record, run = made.record(trial), Trial(trial.run, made.runs)
            held.enter_context(record.lease())
            record.create(run.identity, run.dataset)
        for step in (2, 12, 22, 32):  # a step takes ten seconds
            for i, trial in enumerate(trials):
                clock[0] = 10.0 * step + i
                Journal(made.record(trial).journal).append(step, {"loss": 0.5})
            _, shown = watched.look(made)
    assert shown.left == pytest.approx(80.0, rel=0.25)


def test_watch_waits_for_a_sweep_that_has_no_plan_yet(made, monkeypatch):
    console = Console(file=io.StringIO(), width=200)
    path = path_of(made.runs, made.sweep)
    hidden = path.rename(path.with_suffix(".later"))
    sleeps = []

    def sleep(_):
        sleeps.append(1)
        if len(sleeps) == 3:
            hidden.rename(path)

    monkeypatch.setattr(watch.time, "sleep", sleep)
    assert watch.awaited(made.runs, "seen", None, console).keys == made.keys
    assert console.file.getvalue().count("waiting for it") == 1
    assert len(sleeps) == 3


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
    _, shown = watched.look(continuation.continued(made, simulate=False))
    assert "after 0 runs" in shown.crossings[0].text
    list(Trial(made.at({"data.subsample": 0.5, "seed": 0}).run, made.runs).run())
    _, shown = watched.look(continuation.continued(made, simulate=False))
    (known,) = shown.crossings
    assert "after 1 run" in known.text
    assert sum(known.masses) <= 1


def looks(made, monkeypatch, most=3):
    """Follow a sweep and return the number of looks; a view that does not end is cut off."""
    taken = []

    def sleep(_):
        taken.append(1)
        assert len(taken) < most, "the view goes on"

    monkeypatch.setattr(watch, "time", SimpleNamespace(sleep=sleep, monotonic=lambda: 0.0))
    watch.watch(made, Console(file=io.StringIO()))
    return len(taken) + 1


def search_plan(folder, **changes):
    """Return the saved plan of a random search over two values."""
    search = {"algorithm": "random", "metric": "accuracy", "mode": "max", "runs": 9} | changes
    path = write_experiment(folder / "two.yaml", axes={"seed": [0, 1]}, search=search, figures=[])
    made = continuation.continued(plan.make(load(str(path)), folder / "runs"))
    saved_plans.save(made)
    return made


def write_results(made, *trials):
    for trial in trials:
        record = made.record(trial)
        record.path.mkdir(parents=True)
        result = {"steps": 6, "metrics": {"accuracy": 0.5, "loss": 1.0}, "seconds": {"train": 1.0}}
        record.write_result(result)


def test_watch_ends_with_a_search_that_converged(tmp_path, monkeypatch):
    made = search_plan(tmp_path)
    search = RunSearch(tune_parts.searcher(made), made, lambda _: None)
    write_results(made, search.pick())
    with pytest.raises(AssertionError, match="the view goes on"):  # it may pick further trials
        looks(made, monkeypatch)
    write_results(made, search.pick())
    assert search.pick() is None
    saved = saved_plans.find(made.runs, "two")
    assert saved.state().to_pick > 0
    assert looks(saved, monkeypatch) == 1
    assert not continuation.may_pick(saved)
    more = search_plan(tmp_path, runs=12)  # a later command
    assert continuation.may_pick(more)
    with pytest.raises(AssertionError, match="the view goes on"):
        looks(saved_plans.find(made.runs, "two"), monkeypatch)


def test_watch_ends_with_a_threshold_search_that_is_done(tmp_path, monkeypatch):
    path = write_experiment(
        tmp_path / "cross.yaml",
        axes={"data.subsample": [0.5, 1.0], "seed": [0]},
        search={"threshold": {"level": 0.6}, "runs": 9},
        figures=[],
    )
    made = plan.make(load(str(path)), tmp_path / "runs")
    saved_plans.save(made)
    for value in (0.5, 1.0):  # all values were tried
        point = {"data.subsample": value, "seed": 0}
        picked.append(made, point, made.at(point))
        write_results(made, made.at(point))
    saved = saved_plans.find(made.runs, "cross")
    assert saved.state().to_pick > 0
    assert looks(saved, monkeypatch) == 1


def test_watch_warns_of_other_plans_once(made, monkeypatch, caplog):
    damaged = plan.path_of(made.runs, "other_default")
    damaged.parent.mkdir(parents=True)
    damaged.write_text("{}")
    found = saved_plans.find(made.runs, "seen")
    plan.path_of(made.runs, "seen_default").unlink()  # it is followed nevertheless
    with pytest.raises(AssertionError, match="the view goes on"):
        looks(found, monkeypatch)
    assert len(caplog.records) == 1
