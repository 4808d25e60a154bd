"""Packed training: every trial has the results that it has alone, whatever happens to others."""

import itertools
import math

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn.attention import SDPBackend, sdpa_kernel

from factorlab.errors import TrialFailed
from factorlab.parsing import parse
from factorlab.storage.record import Busy
from factorlab.training.packed import PackedTraining
from factorlab.trial import Ended, Trial, run_together
from factorlab.trial_runner import ProgressEvent
from tests.helpers.rounding import EXACT, in_float64
from tests.helpers.settings import TINY, updated
from tests.helpers.training import training_step

MEMBERS = [
    {"seed": 0},
    {"seed": 1, "data": {"sigma": 0.7, "subsample": 0.5}},
    {"seed": 2, "data": {"family": "sos+stripes"}, "training": {"learning_rate": 5e-4}},
    {"seed": 3, "diffusion": {"prediction": "noise"}, "training": {"ema": 0.9}},
]
"""Settings in which trials of one shape may differ."""

SETTINGS = updated(
    TINY, training={"steps": 8, "checkpoint_every": 3, "log_every": 2}, evaluation={"keep": 1}
)


def settings_of(member, **training):
    return parse(updated(updated(SETTINGS, **member), training=training))


def step_of(member):
    return training_step(settings_of(member))


def trials(runs, members=MEMBERS, **training):
    return [Trial(settings_of(member, **training), runs) for member in members]


def ends(events):
    """Return the error with which each trial ended, or None, by key."""
    ended = [event for event in events if isinstance(event, Ended)]
    return {end.trial.identity.key: end.error for end in ended}


def weights_of(trial):
    tensors = load_file(trial.record.weights)
    return torch.cat([tensors[name].flatten() for name in sorted(tensors)])


# --- steps ------------------------------------------------------------------------------------


@in_float64()
@sdpa_kernel(SDPBackend.MATH)  # the only one that PyTorch batches in float64
def test_packed_training_step_matches_single_step():
    together = [step_of(member) for member in MEMBERS]
    alone = [step_of(member) for member in MEMBERS]
    losses = PackedTraining(together).step()
    for one, other, loss in zip(together, alone, losses, strict=True):
        (expected,) = PackedTraining([other]).step()
        assert float(loss) == pytest.approx(float(expected), rel=EXACT)
        # AdamW's epsilon is far above a gradient of mere rounding, which therefore moves nothing.
        torch.testing.assert_close(one.state.weights, other.state.weights, rtol=0, atol=EXACT)
        assert torch.equal(one.state.generator.get_state(), other.state.generator.get_state())


@in_float64()
@sdpa_kernel(SDPBackend.MATH)
def test_packed_training_gradients_match_each_loss():
    members = [step_of(member) for member in MEMBERS]
    taken = []
    for one in members:
        one.state.learn = taken.append
    PackedTraining(members).step()
    for member, gradient in zip(MEMBERS, taken, strict=True):
        one = step_of(member)
        batch, model = one.draw(), one.state.model
        loss = one.diffusion.loss(model, batch.x_0, batch.labels, batch.t, batch.noise)
        right = one.state.layout.join(torch.autograd.grad(loss, list(model.parameters())))
        tolerance = EXACT * float(right.abs().max())
        np.testing.assert_allclose(gradient, right, rtol=0, atol=tolerance)


def test_packed_training_member_independent_of_others():
    first = [step_of(member) for member in MEMBERS[:3]]
    others = {"seed": 9}, {"seed": 8, "data": {"sigma": 2.0}}
    second = [step_of(member) for member in (MEMBERS[0], *others)]
    with torch.no_grad():
        second[1].state.weights.data.fill_(math.nan)
    packs = PackedTraining(first), PackedTraining(second)
    for _ in range(5):
        losses = [pack.step() for pack in packs]
        assert torch.equal(losses[0][0], losses[1][0])
    assert losses[1][1].isnan()
    assert torch.equal(first[0].state.weights, second[0].state.weights)


# --- records ----------------------------------------------------------------------------------


@in_float64()
@sdpa_kernel(SDPBackend.MATH)
def test_run_together_writes_each_record(tmp_path):
    packed, alone = trials(tmp_path / "packed"), trials(tmp_path / "alone")
    events = list(run_together(packed))
    assert set(ends(events).values()) == {None}
    progress = [event for event in events if isinstance(event, ProgressEvent)]
    assert [p.step for p in progress if p.trial is packed[1]] == list(range(1, 9))
    for one, other in zip(packed, alone, strict=True):
        for _ in other.run():
            pass
        assert one.identity.key == other.identity.key
        points, expected = one.record.points()[0], other.record.points()[0]
        assert [p.step for p in points] == [p.step for p in expected] == [2, 4, 6, 8]
        assert points[0].metrics["loss"] == pytest.approx(expected[0].metrics["loss"], rel=EXACT)
        assert one.record.result()["trained_together"] == 4
        assert other.record.result()["trained_together"] == 1
        assert not list(one.record.checkpoints.glob("*"))


@pytest.mark.parametrize("stop", [1, 3, 5, 8])
def test_run_together_stopped_pack_resumes_bit_identical(tmp_path, stop):
    straight, stopped = trials(tmp_path / "straight"), trials(tmp_path / "stopped")
    list(run_together(straight))
    events = run_together(stopped)
    seen = 0
    for event in events:
        seen += isinstance(event, ProgressEvent)
        if seen == stop * len(MEMBERS) - 2:  # two members have not reported this step
            events.close()
    list(run_together(trials(tmp_path / "stopped")))
    for one, other in zip(straight, stopped, strict=True):
        assert torch.equal(weights_of(one), weights_of(other))
        points, again = one.record.points()[0], other.record.points()[0]
        assert [(p.step, p.metrics) for p in points] == [(p.step, p.metrics) for p in again]


def test_run_together_members_at_different_steps(tmp_path):
    first, second = trials(tmp_path, MEMBERS[:2])
    alone = first.run()
    next(itertools.islice(alone, 4, None))
    alone.close()
    list(run_together([first, second]))
    assert first.record.result()["steps"] == second.record.result()["steps"] == 8


def test_run_together_members_of_different_lengths(tmp_path):
    short = Trial(settings_of(MEMBERS[0], steps=3), tmp_path)
    long = Trial(settings_of(MEMBERS[1]), tmp_path)
    assert ends(run_together([short, long])) == {
        short.identity.key: None,
        long.identity.key: None,
    }


def test_run_together_failure_stays_with_its_member(tmp_path):
    members = [MEMBERS[0], MEMBERS[1] | {"training": {"learning_rate": 1e30}}]
    good, bad = trials(tmp_path / "packed", members, schedule="constant")
    errors = ends(run_together([good, bad]))
    assert errors[good.identity.key] is None
    assert isinstance(errors[bad.identity.key], TrialFailed)
    assert "loss is" in bad.record.failure()
    assert good.record.state() == "done"


def test_run_together_skips_failed_member_until_cleared(tmp_path):
    members = [MEMBERS[0], MEMBERS[1] | {"training": {"learning_rate": 1e30}}]
    _, bad = trials(tmp_path, members, schedule="constant")
    list(run_together([bad]))
    reason = bad.record.failure()
    good, bad = trials(tmp_path, members, schedule="constant")
    events = list(run_together([good, bad]))  # as after the worker of both died
    assert not [e for e in events if isinstance(e, ProgressEvent) and e.trial is bad]
    assert str(ends(events)[bad.identity.key]) == reason
    bad.record.clear_failure()
    assert any(isinstance(event, ProgressEvent) for event in run_together([bad]))


def test_run_together_unwritable_record_spares_others(tmp_path):
    bad = Trial(settings_of(MEMBERS[0] | {"evaluation": {"at": [2]}}), tmp_path)
    good = Trial(settings_of(MEMBERS[1]), tmp_path)
    events = run_together([bad, good])
    assert [next(events).step, next(events).step] == [1, 1]
    bad.record.samples.rmdir()
    bad.record.samples.touch()  # a file in place of a folder
    progress = next(events)
    assert (progress.trial, progress.step) == (good, 2)
    with pytest.raises(OSError, match="samples"):
        next(events)
    (saved,) = good.record.checkpoints.iterdir()
    assert saved.name.startswith("step-0000000002-")
    assert not list(bad.record.checkpoints.glob("*"))


def test_run_together_frees_lease_of_ended_member(tmp_path):
    short = Trial(settings_of(MEMBERS[0], steps=3), tmp_path)
    long = Trial(settings_of(MEMBERS[1]), tmp_path)
    for event in run_together([short, long]):
        if isinstance(event, Ended) and event.trial is short:
            with short.record.lease():
                assert long.record.state() == "running"


def test_run_together_skips_member_leased_elsewhere(tmp_path):
    mine, theirs, done = trials(tmp_path, MEMBERS[:3])
    list(done.run())
    with theirs.record.lease():
        errors = ends(run_together([mine, theirs, done]))
    assert errors[mine.identity.key] is errors[done.identity.key] is None
    assert isinstance(errors[theirs.identity.key], Busy)
    assert theirs.record.state() == "new"


def test_run_together_refuses_different_shapes(tmp_path):
    wide = parse({"model": {"width": 8}})
    narrow = settings_of(MEMBERS[0])
    with pytest.raises(ValueError, match="must share size"):
        next(run_together([Trial(narrow, tmp_path), Trial(wide, tmp_path)]))
