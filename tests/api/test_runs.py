"""Single runs: trained, opened, and sampled from."""

import builtins
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pandas as pd
import pytest
import torch

import factorlab.api as fl
from factorlab import families, label_reader
from factorlab.api._arguments import console
from factorlab.data.rendering import render, to_8_bit, to_model
from factorlab.device import one_thread
from factorlab.errors import UserError
from factorlab.evaluation import sampling
from factorlab.evaluation.evaluator import Evaluator
from factorlab.model.diffusion import Diffusion
from factorlab.parsing import parse
from factorlab.prepared_trial import PreparedTrial
from factorlab.storage.record import Record
from factorlab.trial import Trial
from tests.helpers.settings import TINY, updated

CPU = torch.device("cpu")


def test_run_trains_as_a_trial_does(tmp_path):
    found = fl.run(TINY, runs=tmp_path / "one", progress=False)
    trial = Trial(parse(TINY), tmp_path / "other")
    with one_thread():
        list(trial.run())
    mine, theirs = found.record.result(), trial.record.result()
    assert found.key == trial.record.key
    assert mine["weights_sha256"] == theirs["weights_sha256"]
    assert found.metrics == theirs["metrics"]
    assert found.curve["step"].tolist() == [p.step for p in trial.record.points()[0]]
    assert found.samples is None  # evaluation.keep is 0
    assert repr(found).startswith(f"Run({found.key[:12]}, done, accuracy ")


def test_run_restores_threads_and_handlers(tmp_path):
    before = torch.get_num_threads(), signal.getsignal(signal.SIGINT)
    fl.run(TINY, runs=tmp_path, progress=False)
    assert (torch.get_num_threads(), signal.getsignal(signal.SIGINT)) == before


def test_run_takes_nested_and_dotted_settings(tmp_path):
    dotted = {
        "data.size": np.int64(6),
        "data": {"spacing": (1.0, 1.0)},
        "model": {"width": 4, "encoding": 8},
        "diffusion": {"prediction": "v"},
        "diffusion.sampling_steps": 2,
        "training": {"steps": 4, "batch_size": 4},
        "evaluation": {"samples": 4, "loss_samples": 4, "keep": 0},
    }
    found = fl.run(dotted, runs=tmp_path, progress=False)
    same = updated(TINY, data={"spacing": [1.0, 1.0]})
    assert found.key == PreparedTrial(parse(same), tmp_path).identity.key
    assert found.settings == parse(same)
    assert dotted["data"] == {"spacing": (1.0, 1.0)}
    assert fl.run(parse(same), runs=tmp_path, progress=False).key == found.key


def test_finished_run_is_returned_at_once(tmp_path):
    found = fl.run(TINY, runs=tmp_path, progress=False)
    times = {path: path.stat().st_mtime_ns for path in found.path.rglob("*.json*")}
    fl.run(TINY, runs=tmp_path, progress=False)
    assert times == {path: path.stat().st_mtime_ns for path in found.path.rglob("*.json*")}


def test_progress_is_shown_unless_unwanted(tmp_path, capsys):
    fl.run(TINY, runs=tmp_path, progress=False)
    assert capsys.readouterr() == ("", "")
    fl.run(updated(TINY, seed=1), runs=tmp_path)
    assert "4/4" in capsys.readouterr().err


def test_run_works_outside_of_the_main_thread(tmp_path):
    found = []
    thread = threading.Thread(
        target=lambda: found.append(fl.run(TINY, runs=tmp_path, progress=False))
    )
    thread.start()
    thread.join()
    assert found[0].state == "done"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"data": {"size": 3}}, r"settings: data\.size = 3: .*greater than or equal to 6"),
        ({"data.sizes": 8}, r"unknown key 'data\.sizes'.*did you mean"),
        ({"seed": object()}, "settings: a value of type object"),
        ({"seed.deep": 1, "seed": 2, "data.size.x": 3}, "size"),
    ],
)
def test_mistakes_in_settings_are_named(settings, message, tmp_path):
    with pytest.raises(UserError, match=message):
        fl.run(settings, runs=tmp_path, progress=False)


def test_interrupted_run_is_resumed_with_the_same_bits(tmp_path):
    long = updated(TINY, training={"steps": 150, "checkpoint_every": 10**6, "log_every": 5})
    script = f"import factorlab.api as fl; fl.run({long!r}, runs={str(tmp_path / 'a')!r})"
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True)
    (path,) = _wait_for(lambda: [*(tmp_path / "a" / "trials").glob("*/metrics.jsonl")])
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=100)
    assert "KeyboardInterrupt" in errors
    assert "the same call resumes" in errors
    record = Record(tmp_path / "a", path.parent.name)
    assert record.state() == "resumable"
    assert list(record.checkpoints.iterdir())
    resumed = fl.run(long, runs=tmp_path / "a", progress=False)
    whole = fl.run(long, runs=tmp_path / "b", progress=False)
    results = [run.record.result()["weights_sha256"] for run in (resumed, whole)]
    assert results[0] == results[1]


def _wait_for(found, seconds=100):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found():
            return found()
        time.sleep(0.05)
    raise AssertionError("it did not happen")


def test_open_run_takes_a_row_a_key_and_its_beginning(runs):
    row = fl.load("holes").iloc[2]
    for one in (row, row.to_dict(), row["key"], row["key"][:10]):
        assert fl.open_run(one).key == row["key"]
    with pytest.raises(UserError, match="no key starts with 'ffffffffff'"):
        fl.open_run("ffffffffff")
    for wrong in ("", "../..", "../" + row["key"], "holes"):
        with pytest.raises(UserError, match="not a key"):
            fl.open_run(wrong)


def test_row_finds_its_record_without_the_folder(runs, monkeypatch):
    row = fl.load("holes").iloc[0]
    monkeypatch.delenv("FACTORLAB_RUNS")
    assert fl.open_run(row).path == runs / "trials" / row["key"]


def test_samples_are_those_of_the_evaluation(runs):
    run = fl.open_run(fl.load("holes").iloc[0])
    trial = PreparedTrial(run.settings, runs)
    diffusion = Diffusion(run.settings.diffusion, CPU)
    evaluator = Evaluator(run.settings, trial.dataset, diffusion, CPU)
    model = sampling.load_model(run.record, run.settings, CPU)
    # The seed of the run and the labels of its evaluation, but for the places of their noise.
    expected = diffusion.sample(
        model,
        torch.from_numpy(evaluator.labels).float(),
        [sampling.integer(run.settings.seed, sampling.Stream.SAMPLES, i) for i in range(8)],
        run.settings.data.size,
    )
    images = fl.samples(run, evaluator.labels, seed=run.settings.seed)
    np.testing.assert_allclose(2 * images - 1, expected[:, 0], atol=1e-6)
    kept = [np.flatnonzero((evaluator.labels == one).all(axis=1))[0] for one in run.samples.labels]
    again = evaluator.generate(model)[kept].astype(int)
    np.testing.assert_allclose(run.samples.images.astype(int), again, atol=1)


def test_samples_depend_on_seed_and_place_alone(runs):
    row = fl.load("holes").iloc[0]
    labels = [(2, 3), (4.5, 4.5), (2, 3)]
    images = fl.samples(row, labels, seed=1)
    assert images.shape == (3, 6, 6)
    assert images.dtype == np.float32
    assert images.min() >= 0
    assert images.max() <= 1
    np.testing.assert_array_equal(images, fl.samples(row["key"], labels, seed=1))
    np.testing.assert_allclose(images[:1], fl.samples(row, (2, 3), seed=1), atol=1e-5)
    assert not np.allclose(images[0], images[2])
    assert not np.allclose(images, fl.samples(row, labels, seed=2))


def test_samples_leave_the_global_generator_alone(runs):
    torch.manual_seed(5)
    state = torch.get_rng_state()
    fl.samples(fl.load("holes").iloc[0], (2, 3))
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([(0.9, 3)], r"\(0\.9, 3\) is outside; allowed: x and y from 1 to 6 pixels$"),
        ([(2, 3), (3, 6.1)], r"\(3, 6\.1\) is outside"),
        ([(2, float("nan"))], "outside"),
        ([(1, 2, 3)], r"shape \(1, 3\); allowed: \(n, 2\)"),
        ([], "shape"),
        ("abc", "not numbers"),
    ],
)
def test_labels_outside_of_the_frame_are_refused(runs, labels, message):
    with pytest.raises(UserError, match=message):
        fl.samples(fl.load("holes").iloc[0], labels)


def test_labels_of_stripes_and_of_tori():
    stripes = parse({"data": {"family": "bump+stripes", "size": 8, "sigma": 1.0}}).data
    sampling.check_labels([(2, 3), (-2, 3), (3, 14), (8, 8)], stripes)
    for wrong in ((-2, -2), (3, 14.1), (-5.1, 3)):
        with pytest.raises(UserError, match=r"for a stripe one of them there.*from -5 to 14"):
            sampling.check_labels([wrong], stripes)
    torus = parse({"data": {"size": 8, "periodic": True}}).data
    sampling.check_labels([(8.9, 1)], torus)
    with pytest.raises(UserError, match="up to but without 9"):
        sampling.check_labels([(9, 1)], torus)


def test_samples_need_intact_weights_and_a_result(runs, tmp_path):
    row = fl.load("holes").iloc[0]
    copy = tmp_path / "runs"
    shutil.copytree(runs / "trials" / row["key"], copy / "trials" / row["key"])
    weights = copy / "trials" / row["key"] / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(UserError, match="checksum does not match"):
        fl.samples(row["key"], (2, 3), runs=copy)
    weights.unlink()
    with pytest.raises(UserError, match="the weights are missing, as in records from an archive"):
        fl.samples(row["key"], (2, 3), runs=copy)
    (weights.parent / "result.json").unlink()
    with pytest.raises(UserError, match=r"no result yet.*'resumable'"):
        fl.samples(row["key"], (2, 3), runs=copy)


@pytest.mark.parametrize("family", ["bump", "sos"])
def test_read_labels_is_the_reader_of_evaluations(family):
    data = parse({"data": {"family": family, "size": 12}}).data
    labels = np.stack(np.meshgrid([3.0, 6.2, 9.7], [4.1, 8.0]), axis=-1).reshape(-1, 2)
    clean = render(torch.from_numpy(labels).float(), data)
    eight_bit = to_8_bit(to_model(clean)).numpy()
    expected = label_reader.read(eight_bit, families.of(family).READ)
    for images in (clean[:, 0].numpy(), eight_bit):
        found = fl.read_labels(images, family)
        np.testing.assert_array_equal(found[["x", "y"]], expected.labels)
        np.testing.assert_array_equal(found["shapes"], expected.objects)
    assert (np.abs(expected.labels - labels) < 1).all()


def test_read_labels_takes_a_run_and_a_row(runs):
    row = fl.load("holes").iloc[0]
    images = fl.samples(row, [(2, 3), (4.5, 4.5)])
    of_row, of_run = (fl.read_labels(images, one) for one in (row, fl.open_run(row)))
    pd.testing.assert_frame_equal(of_row, of_run)
    pd.testing.assert_frame_equal(of_row, fl.read_labels(images, row["data.family"]))


@pytest.mark.parametrize(
    ("images", "family", "message"),
    [
        (np.ones((2, 8, 7)), "bump", r"shape \(2, 8, 7\)"),
        (np.full((1, 8, 8), 1.2), "bump", "values from 1.2 to 1.2; allowed: from 0 to 1"),
        (np.full((1, 8, 8), np.nan), "bump", "allowed: from 0 to 1"),
        (np.ones((1, 8, 8)), "bumps", "family = 'bumps'; allowed: bump, sos"),
    ],
)
def test_images_that_cannot_be_read_are_refused(images, family, message):
    with pytest.raises(UserError, match=message):
        fl.read_labels(images, family)


def test_console_updates_a_plain_line_in_notebooks_without_widgets(monkeypatch):
    class ZMQInteractiveShell:
        pass

    assert not console().is_jupyter
    monkeypatch.setattr(builtins, "get_ipython", ZMQInteractiveShell, raising=False)
    found = console()
    assert found.is_terminal
    assert not found.is_jupyter
