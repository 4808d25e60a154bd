"""Trials stopped, killed and damaged: results stay bit-identical, and damage is noticed."""

import hashlib
import json
import math
import os
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from factorlab.data.dataset import build
from factorlab.errors import TrialFailed
from factorlab.evaluation.evaluator import Evaluator
from factorlab.parsing import parse
from factorlab.storage import checkpoint
from factorlab.storage.files import read_json, temporary_name, write_json
from factorlab.storage.journal import Journal
from factorlab.storage.record import Busy, Record, identify
from factorlab.trial import Trial
from factorlab.trial_runner import TrialRunner
from tests.helpers.settings import updated

SETTINGS = {
    "data": {"size": 6, "subsample": 0.3},
    "model": {"width": 4, "encoding": 4},
    "diffusion": {"prediction": "v", "sampling_steps": 3},
    "training": {"steps": 12, "batch_size": 4, "log_every": 3, "checkpoint_every": 4},
    "evaluation": {"samples": 9, "loss_samples": 8, "every": 6, "at": [0], "keep": 2},
}


def settings_of(**changes):
    return parse(updated(SETTINGS, **changes))


def stopped_at(step, settings, runs):
    """Run a trial, close it after a step, and return it."""
    trial = Trial(settings, runs)
    run = trial.run()
    for progress in run:
        if progress.step == step:
            run.close()
    return trial


def finish(trial):
    """Run a trial to its end and return what must not depend on interruptions."""
    for _ in trial.run():
        pass
    result = trial.record.result()
    points = [(point.step, point.metrics) for point in trial.record.points()[0]]
    samples = {p.name: p.read_bytes() for p in trial.record.samples.glob("*.png")}
    return result["weights_sha256"], result["metrics"], points, samples


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """The outcome of an uninterrupted trial."""
    return finish(Trial(settings_of(), tmp_path_factory.mktemp("whole")))


@pytest.mark.parametrize("stop", [1, 3, 4, 6, 7, 11, 12])
def test_trial_stopped_between_steps_resumes_bit_identical(tmp_path, uninterrupted, stop):
    first = stopped_at(stop, settings_of(), tmp_path)
    assert first.record.state() == ("done" if stop == 12 else "resumable")
    assert finish(Trial(settings_of(), tmp_path)) == uninterrupted


@pytest.mark.parametrize("seconds", [0.0, 0.15])  # `make chaos` has more moments
def test_trial_killed_resumes_bit_identical(tmp_path, uninterrupted, seconds):
    code = (
        "import sys, json, torch; from pathlib import Path\n"
        "from factorlab.parsing import parse; from factorlab.trial import Trial\n"
        "torch.set_num_threads(1)\n"
        "for step in Trial(parse(json.loads(sys.argv[1])), Path(sys.argv[2])).run():\n"
        "    print(step.step, flush=True)\n"
    )
    command = [sys.executable, "-c", code, json.dumps(SETTINGS), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        process.stdout.readline()  # the first step is done
        time.sleep(seconds)
        process.kill()
    assert finish(Trial(settings_of(), tmp_path)) == uninterrupted


def test_trial_resumes_after_torn_journal_and_damaged_checkpoint(tmp_path, uninterrupted, caplog):
    trial = stopped_at(10, settings_of(), tmp_path)
    with trial.record.journal.open("ab") as file:
        file.write(b'{"step": 11, "ti')
    newest = max(trial.record.checkpoints.glob("*.pt"))
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)
    assert finish(Trial(settings_of(), tmp_path)) == uninterrupted
    assert f"{newest} is damaged" in caplog.text


@pytest.mark.parametrize("damage", ["changed", "gone"])
def test_trial_rewrites_journal_damaged_while_running(tmp_path, uninterrupted, caplog, damage):
    trial = Trial(settings_of(), tmp_path)
    journal = trial.record.journal
    for progress in trial.run():
        if progress.step == 8 and damage == "gone":
            journal.unlink()
        elif progress.step == 8:
            journal.write_bytes(journal.read_bytes().replace(b"0.", b"1.", 1))
    assert finish(trial) == uninterrupted
    assert f"{journal} was damaged during training" in caplog.text


def test_trial_skips_checkpoint_ahead_of_journal(tmp_path, uninterrupted):
    trial = stopped_at(10, settings_of(), tmp_path)
    content = trial.record.journal.read_bytes()
    os.truncate(trial.record.journal, content.index(b"\n") + 5)
    weights, metrics, points, _ = finish(Trial(settings_of(), tmp_path))
    assert (weights, metrics, points) == uninterrupted[:3]


def test_trial_finished_is_left_unchanged(tmp_path):
    trial = Trial(settings_of(), tmp_path)
    finish(trial)
    before = {p: p.stat().st_mtime_ns for p in trial.record.path.rglob("*") if p.is_file()}
    assert list(trial.run()) == []
    after = {p: p.stat().st_mtime_ns for p in trial.record.path.rglob("*") if p.is_file()}
    before.pop(trial.record.path / "lease")
    after.pop(trial.record.path / "lease")
    assert after == before
    assert not list(trial.record.checkpoints.glob("*.pt"))


def test_result_names_digest_of_weights_file(tmp_path):
    trial = Trial(settings_of(), tmp_path)
    weights, *_ = finish(trial)
    assert hashlib.sha256(trial.record.weights.read_bytes()).hexdigest() == weights


def test_trial_non_finite_loss_names_step_and_seed(tmp_path):
    trial = Trial(settings_of(training={"learning_rate": 1e30}), tmp_path)
    with pytest.raises(TrialFailed, match=r"loss is (nan|inf) at step \d+, seed 0"):
        list(trial.run())
    assert trial.record.state() == "failed"
    assert trial.record.failure().startswith("loss is")
    assert trial.record.result() is None


@pytest.mark.parametrize("when", [2, 7, 8, 11])
def test_trial_repeats_steps_after_one_non_finite_loss(tmp_path, monkeypatch, caplog, when):
    expected = finish(Trial(settings_of(), tmp_path / "straight"))
    learned, poisoned = TrialRunner.learned, []

    def erring(self, loss, seconds):
        if self.state.step == when and not poisoned:  # a processor that errs once
            poisoned.append(self.state.weights.fill_(math.nan))
            loss = loss * math.nan
        learned(self, loss, seconds)

    monkeypatch.setattr(TrialRunner, "learned", erring)
    trial = Trial(settings_of(), tmp_path / "erring")
    assert finish(trial) == expected
    assert "going back to step" in caplog.text
    # The loss is checked before it is logged, every three steps.
    assert trial.record.result()["repeated_after_step"] == 3 * math.ceil(when / 3)


def test_trial_run_refuses_second_process(tmp_path):
    first, second = Trial(settings_of(), tmp_path), Trial(settings_of(), tmp_path)
    run = first.run()
    next(run)
    assert second.record.state() == "running"
    with pytest.raises(Busy):
        next(second.run())
    run.close()
    assert second.record.state() == "resumable"


def test_write_samples_loads_without_pickle(tmp_path):
    trial = Trial(settings_of(), tmp_path)
    finish(trial)
    with np.load(trial.record.samples / "step-0000000012.npz", allow_pickle=False) as arrays:
        assert arrays["images"].shape == (2, 6, 6)
        assert arrays["labels"].shape == arrays["readings"].shape == (2, 2)


# Keys


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"training": {"checkpoint_every": 7}}, True),
        ({"training": {"log_every": 1}}, True),
        ({"training": {"steps": 13}}, False),
        ({"data": {"sigma": 1.5}}, False),
        ({"diffusion": {"eta": 0.5}}, False),
        ({"evaluation": {"every": 3}}, False),
        ({"model": {"width": 8}}, False),
    ],
)
def test_identify_key_depends_on_result_settings_only(changes, same):
    def key(settings):
        return identify(settings, build(settings.data, settings.seed)).key

    assert (key(settings_of(**changes)) == key(settings_of())) is same


def test_identify_key_ignores_device_not_seed(tmp_path):
    keys = [
        Trial(settings_of(**extra), tmp_path).identity.key
        for extra in ({}, {"device": "cpu"}, {"seed": 1})
    ]
    assert keys[0] == keys[1] != keys[2]


def test_identify_key_same_in_another_process(tmp_path):
    code = (
        "import sys, json; from pathlib import Path\n"
        "from factorlab.parsing import parse; from factorlab.trial import Trial\n"
        "print(Trial(parse(json.loads(sys.argv[1])), Path('.')).identity.key)"
    )
    key = subprocess.run(
        [sys.executable, "-c", code, json.dumps(SETTINGS)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert key.stdout.strip() == Trial(settings_of(), tmp_path).identity.key


# Files


def torn(path):
    path.write_bytes(path.read_bytes()[:-20])


def changed(path):
    path.write_bytes(path.read_bytes().replace(b"0.", b"1.", 1))


def emptied(path):
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [torn, changed, emptied])
@pytest.mark.parametrize("name", ["result.json", "metrics.jsonl"])
def test_record_damaged_file_is_trained_again(tmp_path, uninterrupted, name, damage, caplog):
    trial = Trial(settings_of(), tmp_path)
    finish(trial)
    damage(trial.record.path / name)
    record = Record(tmp_path, trial.identity.key)
    assert record.state() == "damaged"
    assert str(record.path / name) in record.problem()
    with record.lease():
        assert record.state() == "running"
    assert finish(trial) == uninterrupted
    assert str(record.path / name) in caplog.text
    assert record.state() == "done"
    assert record.problem() is None


def test_record_accepts_result_without_journal_digest(tmp_path):
    trial = Trial(settings_of(), tmp_path)
    finish(trial)
    path = trial.record.path / "result.json"
    before = read_json(path)
    del before["journal_sha256"]
    write_json(path, before)
    assert trial.record.state() == "done"


def test_checkpoint_keeps_two_and_refuses_pickle(tmp_path):
    for step in (1, 2, 3):
        checkpoint.save(
            tmp_path, step, {"journal_offset": 0, "device": "cpu", "x": torch.ones(step)}
        )
    assert sorted(p.name[:15] for p in tmp_path.iterdir()) == ["step-0000000002", "step-0000000003"]
    assert checkpoint.newest(tmp_path, 0, "cpu")["x"].shape == (3,)
    checkpoint.save(tmp_path, 4, {"journal_offset": 0, "device": "cpu", "evil": os.system})
    with pytest.raises(Exception, match="Weights only load failed"):
        checkpoint.newest(tmp_path, 0, "cpu")


def test_checkpoint_of_another_device_is_skipped(tmp_path, caplog):
    settings = settings_of().model_copy(update={"device": "cpu"})
    uninterrupted = finish(Trial(settings, tmp_path / "straight"))
    trial = stopped_at(10, settings, tmp_path)
    folder = trial.record.checkpoints
    state = checkpoint.newest(folder, 10**9, "cpu")
    for path in folder.glob("*.pt"):
        path.unlink()
    checkpoint.save(folder, 10, {**state, "device": "cuda"})
    first, *others = trial.record.points()[0]
    book = trial.record.journal
    book.unlink()
    for point in (first, *others):  # a GPU's numbers differ by rounding
        Journal(book).append(point.step, {k: v + 1e-6 for k, v in point.metrics.items()})
    assert finish(Trial(settings, tmp_path))[:3] == uninterrupted[:3]
    assert "was written on cuda" in caplog.text


def test_trial_repairs_leftovers_and_damaged_configuration(tmp_path):
    trial = stopped_at(1, settings_of(), tmp_path)
    checkpoints = trial.record.checkpoints
    earlier = checkpoints / ".step-0000000001-00.pt.123.tmp"  # its name in earlier versions
    leftovers = [earlier, temporary_name(checkpoints / "step-0000000001-00.pt")]
    for leftover in leftovers:
        leftover.write_bytes(b"half")
    (trial.record.path / "config.json").write_bytes(b"{")
    finish(Trial(settings_of(), tmp_path))
    assert not any(leftover.exists() for leftover in leftovers)
    assert trial.record.config()["key"] == trial.identity.key


def test_trial_non_finite_evaluation_fails(tmp_path, monkeypatch):
    monkeypatch.setattr(Evaluator, "losses", lambda *_: {"train_loss": float("nan")})
    trial = Trial(settings_of(), tmp_path)
    with pytest.raises(TrialFailed, match="train_loss is nan at step 0, seed 0"):
        list(trial.run())
    assert trial.record.state() == "failed"


def test_checkpoint_of_another_version_is_skipped(tmp_path, monkeypatch, caplog):
    trial = Trial(settings_of(), tmp_path / "runs")
    expected = finish(Trial(settings_of(), tmp_path / "straight"))
    monkeypatch.setattr(checkpoint, "FORMAT", checkpoint.FORMAT - 1)
    steps = trial.run()
    next(steps)
    steps.close()  # saves a checkpoint
    monkeypatch.undo()
    assert finish(Trial(settings_of(), tmp_path / "runs")) == expected
    assert "by another version" in caplog.text
