"""Estimates of the time that a plan takes."""

import pytest
import torch

from factorlab.errors import UserError
from factorlab.parsing import parse
from factorlab.storage.record import Record
from sweeps.planning import experiment, plan
from sweeps.planning.cost import estimate
from tests.sweeps.reporting import synthetic_records

FILE = """
name: priced
base: {data: {size: 8}, model: {width: 4}, training: {steps: 100}}
axes: {seed: [0, 1, 2], training.steps: [100, 300]}
"""


@pytest.fixture(scope="module")
def priced(tmp_path_factory):
    """A plan and its estimate; a probe takes seconds."""
    folder = tmp_path_factory.mktemp("priced")
    path = folder / "priced.yaml"
    path.write_text(FILE)
    made = plan.make(experiment.load(str(path)), folder / "runs")
    return made, estimate.estimate(made.state(), made.state().pending())


def test_estimate_sums_costs_of_trials(priced):
    made, left = priced
    assert set(left.seconds) == {trial.key for trial in made.trials}
    assert left.steps == 3 * (100 + 300)
    assert left.wall == pytest.approx(
        max(sum(left.seconds.values()) / left.slots, *left.seconds.values())
    )
    short, long = sorted(set(left.seconds.values()))
    evaluation = 121 * 10 / (3 * 64)  # in steps: 121 labels, 10 network calls each
    assert long - short == pytest.approx(200 * short / (100 + evaluation))


def test_flops_linear_in_steps():
    def flops(**training):
        run = parse({"model": {"width": 4}, "training": training})
        return estimate.flops(run, estimate.work_of(run))

    one, two, three = (flops(steps=steps) for steps in (100, 200, 300))
    assert three - two == pytest.approx(two - one)


def test_estimate_uses_finished_trials(priced):
    made, _ = priced
    first = made.trials[0]
    record = Record(made.runs, first.key)
    record.path.mkdir(parents=True)
    record.write_result({"seconds": {"train": 700.0}, "steps": 100})
    left = estimate.estimate(made.state(), made.trials[1:2])
    assert left.basis == "finished trials"
    evaluation = 121 * 10 / (3 * 64)
    assert left.wall == pytest.approx(7 * (made.trials[1].run.training.steps + evaluation))


def test_estimate_reports_missing_cuda_device(priced):
    made, _ = priced
    trial = made.trials[0]
    settings = {**trial.settings, "device": "cuda"}
    absent = plan.PlannedTrial(key=trial.key, name=trial.name, settings=settings)
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    with pytest.raises(UserError, match="no usable CUDA device"):
        estimate.estimate(made.state(), [absent])


def test_estimate_without_pending_trials(priced):
    made, _ = priced
    nothing = estimate.estimate(made.state(), [])
    assert (nothing.seconds, nothing.wall, nothing.steps) == ({}, 0, 0)


def test_estimate_of_trial_that_lacks_its_result_alone(tmp_path):
    made = synthetic_records.make_plan(tmp_path, axes={"seed": [0]}, representations={})
    (trial,) = made.trials
    synthetic_records.write_evaluations(made, trial, steps=(trial.run.training.steps,))
    left = estimate.estimate(made.state(), made.state().pending())
    assert (left.steps, left.wall, left.packs) == (0, 0, ((trial,),))
