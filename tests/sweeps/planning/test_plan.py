"""Plans as data, and the estimate of what they have left."""

import json

import pytest

from factorlab.errors import UserError
from factorlab.storage.files import DamagedFile, read_json, write_json
from factorlab.storage.journal import Journal
from sweeps.planning import plan, saved_plans
from sweeps.planning.command import command_of
from sweeps.planning.cost import estimate
from sweeps.planning.experiment import load
from sweeps.reporting import reports

FILE = """
name: planned
base:
  data: {size: 8}
  model: {width: 4}
  training: {steps: 100, batch_size: 64}
  diffusion: {sampling_steps: 10}
axes: {seed: [0, 1, 2]}
resources: {cpu: 2, pack: 3}
"""
TESTED = 121
"""Labels of the lattice of size 8 that lie a pixel from the rim: 11 x 11."""


@pytest.fixture
def made(tmp_path):
    (tmp_path / "planned.yaml").write_text(FILE)
    return plan.make(load(str(tmp_path / "planned.yaml")), tmp_path / "runs")


def finish(made, number, *, train, evaluate=None):
    """Write the result of a run that took so many seconds."""
    record = made.record(made.trials[number])
    record.path.mkdir(parents=True)
    seconds = {"train": train} | ({} if evaluate is None else {"evaluate": evaluate})
    record.write_result({"seconds": seconds, "steps": 100, "metrics": {}})


def begin(made, number, step):
    """Write the journal of a run that was interrupted."""
    record = made.record(made.trials[number])
    record.path.mkdir(parents=True)
    write_json(record.path / "config.json", {"key": record.key})
    Journal(record.journal).append(step, {"loss": 1.0})


def test_load_returns_what_save_wrote(made, tmp_path):
    saved_plans.save(made)
    assert saved_plans.load(plan.path_of(made.runs, made.sweep)) == made
    made.runs.rename(tmp_path / "moved")
    moved = saved_plans.find(tmp_path / "moved", "planned")
    assert moved.model_dump() == made.model_dump()
    assert moved.runs == tmp_path / "moved"
    assert moved.resources.pack == 3
    assert moved.values == {"seed": [0, 1, 2]}


def test_save_keeps_the_fields_of_version_0_1(made):
    saved_plans.save(made)
    document = read_json(plan.path_of(made.runs, made.sweep))
    assert {
        "experiment",
        "profile",
        "sweep",
        "source",
        "overrides",
        "figures",
        "axes",
        "planned",
        "trials",
    } <= document.keys()
    assert document["axes"] == ["seed"]
    assert {frozenset(trial) for trial in document["trials"]} == {
        frozenset(["key", "name", "settings"])
    }


def test_load_refuses_what_is_no_plan(made):
    saved_plans.save(made)
    path = plan.path_of(made.runs, made.sweep)
    document = read_json(path)
    for change in ({"trials": 1}, {"experiment": "../x"}, {"sweep": "another"}, {"figures": [1]}):
        write_json(path, document | change)
        with pytest.raises(DamagedFile, match=f"^{path}: "):
            saved_plans.load(path)
        assert saved_plans.saved(made.runs) == []
    path.unlink()
    assert saved_plans.load(path) is None


def test_plan_with_a_family_that_is_gone_can_be_read(made):
    saved_plans.save(made)
    path = plan.path_of(made.runs, made.sweep)
    document = read_json(path)
    for trial in document["trials"]:
        trial["settings"]["data"]["family"] = "gone"
    write_json(path, document)
    finish(made, 0, train=50.0)
    found = saved_plans.find(made.runs, "planned")
    status = reports.status(found)
    assert status.counts["done"] == 1
    assert status.counts["new"] == 2
    assert status.seconds_left is None
    with pytest.raises(UserError, match=r"s0: data\.family = 'gone'"):
        _ = found.trials[0].run


def test_state_selects_and_counts_trials(made):
    finish(made, 0, train=50.0)
    begin(made, 1, 60)
    made.record(made.trials[2]).path.mkdir(parents=True)
    made.record(made.trials[2]).write_failure("loss is nan", 3)
    state = made.state()
    assert state.counts() == {"done": 1, "resumable": 1, "failed": 1}
    assert state.select("done", "failed") == [made.trials[0], made.trials[2]]
    assert state.pending() == [made.trials[1]]
    assert state.pending(retry_failed=True) == [made.trials[1], made.trials[2]]


def test_seconds_left_needs_a_finished_trial_of_the_shape(made):
    assert estimate.seconds_left(made.state()) is None
    finish(made, 0, train=50.0)
    # Without a time of its own a network call of an image costs a third of that of a step.
    step = 50.0 / 100
    one = step * 100 + step / (3 * 64) * TESTED * 10
    assert estimate.seconds_left(made.state()) == pytest.approx(2 * one)


def test_seconds_left_uses_measured_evaluations_and_steps_done(made):
    finish(made, 0, train=50.0, evaluate=8.0)
    begin(made, 1, 60)
    state = made.state()
    expected = (40 * 0.5 + 8.0) + (100 * 0.5 + 8.0)  # both still have their only evaluation
    assert estimate.seconds_left(state) == pytest.approx(expected)
    left = estimate.estimate(state, state.pending())
    assert sum(left.seconds.values()) == pytest.approx(expected)
    assert left.steps == 40 + 100
    assert left.basis == "finished trials"


def test_work_of_counts_evaluations_that_are_left(made):
    run = made.trials[0].run
    tested = run.model_copy(
        update={"evaluation": run.evaluation.model_copy(update={"every": 25, "at": (0, 60)})}
    )
    for done, steps, evaluations in ((0, 100, 6), (1, 99, 5), (60, 40, 2), (100, 0, 0)):
        work = estimate.work_of(tested, done)
        assert (work.steps, work.calls) == (steps, evaluations * TESTED * 10)


def test_status_prints_plain_values(made):
    finish(made, 0, train=50.0)
    shown = json.loads(json.dumps(reports.status(made).plain()))
    assert shown["sweep"] == "planned_default"
    assert {name: shown[name] for name in reports.STATES if shown[name]} == {"done": 1, "new": 2}


def test_command_of_a_dictionary_names_the_call(tmp_path):
    content = {"name": "experiment", "base": {"data": {"size": 6}}, "axes": {"seed": [0]}}
    made = plan.make(load(content), tmp_path)
    assert command_of(made).startswith("factorlab.api.sweep(...)")
    (tmp_path / "experiment.yaml").write_text(json.dumps(content))
    from_file = plan.make(load(str(tmp_path / "experiment.yaml")), tmp_path)
    assert command_of(from_file) == f"factorlab sweep {tmp_path}/experiment.yaml"
