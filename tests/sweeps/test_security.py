"""What files and addresses from elsewhere must not be able to do."""

import json
import os
import pickle
import subprocess
from pathlib import Path

import pytest
import torch

from factorlab.errors import UserError
from factorlab.parsing import parse
from factorlab.storage import checkpoint
from factorlab.storage.files import DamagedFile, read_json, write_json
from factorlab.storage.record import Record
from factorlab.trial import Trial
from sweeps.planning import plan, saved_plans
from sweeps.planning.experiment import load
from tests.helpers.experiments import small_settings, write_experiment
from tests.helpers.processes import FACTORLAB, PATIENCE

PACKAGES = ("factorlab", "sweeps", "analysis", "percolation")


class Planted:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def settings():
    return parse(small_settings(training={"checkpoint_every": 2}, evaluation={"keep": 1}))


def test_trial_run_executes_no_pickle(tmp_path):
    planted = tmp_path / "planted"
    trial = Trial(settings(), tmp_path / "runs")
    steps = trial.run()
    for progress in steps:
        if progress.step == 5:
            steps.close()
    content = pickle.dumps(Planted(planted), protocol=2)
    for path in trial.record.path.rglob("*"):
        if path.is_file() and path.name != "lease":
            name = path.name
            if path.suffix == ".pt":  # named after its checksum
                name = f"{name.rpartition('-')[0]}-{checkpoint._digest(content)}.pt"
                path.unlink()
            path.with_name(name).write_bytes(content)
    with pytest.raises(pickle.UnpicklingError):
        list(Trial(settings(), tmp_path / "runs").run())
    assert not planted.exists()


def test_checkpoint_newest_executes_no_pickle(tmp_path):
    planted = tmp_path / "planted"
    checkpoint.save(tmp_path, 4, {"journal_offset": 0, "device": "cpu", "x": Planted(planted)})
    with pytest.raises(pickle.UnpicklingError):
        checkpoint.newest(tmp_path, 10**9, "cpu")
    assert not planted.exists()


def test_packages_use_neither_pickle_nor_shell():
    root = Path(__file__).parents[2]
    for package in PACKAGES:
        for path in (root / package).rglob("*.py"):
            text = path.read_text()
            for word in ("import pickle", "pickle.load", "allow_pickle=True", "shell=True"):
                assert word not in text, (path, word)
            assert text.count("torch.load(") == text.count("weights_only=True"), path


@pytest.mark.parametrize("name", ["../out", "a/b", "/tmp/out", "..", "a\x00b", ".hidden", "A"])
def test_load_refuses_names_outside_the_folder(tmp_path, name):
    path, quoted = tmp_path / "mine.yaml", json.dumps(name)
    for text in (
        f"name: {quoted}\nbase: {{data: {{size: 6}}}}\n",
        f"name: mine\nbase: {{data: {{size: 6}}}}\nprofiles: {{{quoted}: {{}}}}\n",
        f"name: mine\nbase: {{data: {{size: 6}}}}\nfigures: [{{name: {quoted}, draw: curves}}]\n",
    ):
        path.write_text(text)
        with pytest.raises(UserError):
            plan.make(load(str(path)), tmp_path / "runs")
        assert [p.name for p in tmp_path.iterdir()] == ["mine.yaml"]


def test_saved_and_layers_refuse_names_outside_the_folder(tmp_path, caplog):
    made = plan.make(load(str(write_experiment(tmp_path / "mine.yaml"))), tmp_path / "runs")
    saved_plans.save(made)
    path = next((tmp_path / "runs").glob("sweeps/*/plan.json"))
    whole = read_json(path)
    entry = {**whole["trials"][0], "key": "../../out"}
    for change in (
        {"sweep": "../../out"},
        {"experiment": "../out"},
        {"profile": "a/b"},
        {"trials": [entry]},
        {"figures": [{"name": "../out", "draw": "curves"}]},
    ):
        write_json(path, whole | change)
        assert saved_plans.saved(tmp_path / "runs") == []
        assert f"{path}: " in caplog.text
        caplog.clear()
    write_json(path, whole)
    assert len(saved_plans.saved(tmp_path / "runs")) == 1
    record = Record(tmp_path / "runs", made.trials[0].key)
    index = record.representations / "step-0000000001" / "index.json"
    index.parent.mkdir(parents=True)
    write_json(index, {"step": 1, "sides": [1, 1], "sha256s": {"/tmp/notes": "0"}})
    with pytest.raises(DamagedFile, match="names unknown layers"):
        record.layers()


def test_sweep_address_needs_token(tmp_path):
    write_experiment(tmp_path / "mine.yaml")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    ended = subprocess.run(
        [FACTORLAB, "sweep", "mine.yaml", "--address", "192.0.2.1:6379"],
        cwd=tmp_path,
        env={**environment, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ended.returncode == 2
    assert "RAY_AUTH_TOKEN" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / ".ray" / "auth_token").exists()


def test_checkpoint_newest_restores_tensors(tmp_path):
    kept = {"journal_offset": 0, "device": "cpu", "x": torch.arange(3)}
    checkpoint.save(tmp_path, 4, kept)
    assert torch.equal(checkpoint.newest(tmp_path, 10**9, "cpu")["x"], kept["x"])
