"""The command line: one sentence and status 2 for a mistake, nothing started by it."""

import json
import signal

import pytest

from factorlab.storage.record import Record
from tests.helpers.processes import factorlab, running, wait_for

TINY = [
    "data.size=6",
    "data.subsample=0.3",
    "model={width: 4, encoding: 4}",
    "diffusion={prediction: v, sampling_steps: 3}",
    "training={steps: 8, batch_size: 4, log_every: 2}",
    "evaluation={samples: 9, loss_samples: 4, keep: 1}",
]


@pytest.mark.parametrize(
    "arguments",
    [
        ["sweep", "scalling"],
        ["sweep", "scaling", "--profile", "desktop"],
        ["sweep", "scaling", "--set", "data.sgima=1"],
        ["sweep", "scaling", "--set", "data.subsample=[]"],
        ["sweep", "scaling", "--set", "data.subsample=2"],
        ["sweep", "scaling", "--set", "data.size=5"],
        ["sweep", "nowhere.yaml"],
        ["sweep", "scaling", "--profil", "smoke"],
        ["sweep", "scaling", "--profile", "smoke", "--runs", "/proc/nowhere"],
        ["sweep", "scaling", "--profile", "smoke", "--runs", "afile"],
        ["sweep"],
        ["train", "--set", "data.size=eight"],
        ["train", "--set", "data.subsample=0.0001"],
        ["train", "--set", "data.size=8", "--runs", "afile"],
        ["train", "--set", "data.size=8", "--runs", "afile/below"],
        ["train", "--set", "data.size=8", "--runs", 300 * "x"],
        ["sweep", "scaling", "--profile", "smoke", "--runs", "afile/below"],
        ["sweep", "scaling", "--profile", "smoke", "--runs", 300 * "x"],
        ["status", "scaling", "--runs", 300 * "x"],
        ["status", "scaling"],
        *([command, "--runs", "typo"] for command in ("sync", "ui")),
        *([command, "scaling", "--runs", "typo"] for command in ("status", "figures", "analyse")),
        ["export", "scaling", "out.csv", "--runs", "typo"],
        ["sync"],
        ["sync", "--runs", "afile"],
        ["sync", "--runs", "afile/below"],
        ["figures", "nothing"],
        ["illustrate", "nothing"],
        ["illustrate", "overlap", "--figures", "afile/figures"],
        ["reproduce", "scalling"],
        ["export", "scaling", "out.parquet"],
        ["nonsense"],
    ],
)
def test_a_mistake_is_one_sentence_and_starts_nothing(tmp_path, arguments):
    (tmp_path / "afile").touch()
    ended = factorlab(*arguments, cwd=tmp_path)
    assert ended.returncode == 2
    assert ended.stdout == ""
    last = ended.stderr.splitlines()[-1]
    assert last.startswith("factorlab: ")
    assert "Traceback" not in ended.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["afile"]


def test_a_dry_run_prices_the_plan_and_leaves_no_file(tmp_path):
    ended = factorlab("sweep", "scaling", "--profile", "smoke", "--dry-run", cwd=tmp_path)
    assert ended.returncode == 0
    assert "8 trials" in ended.stdout
    assert "8 new" in ended.stdout
    assert "on this machine" in ended.stdout
    assert ended.stderr == ""
    assert list(tmp_path.iterdir()) == []


def test_train_runs_once_prints_its_result_and_does_not_run_twice(tmp_path):
    arguments = [part for pair in TINY for part in ("--set", pair)]
    first = factorlab("train", *arguments, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    result = json.loads(first.stdout)
    assert 0 <= result["metrics"]["accuracy"] <= 1
    assert result["metrics"]["ceiling"] == 1
    again = json.loads(factorlab("train", *arguments, cwd=tmp_path).stdout)
    assert again == result


def test_brackets_in_a_path_are_printed_as_they_are(tmp_path):
    arguments = [part for pair in TINY for part in ("--set", pair)]
    ended = factorlab("train", *arguments, "--runs", "a[/b]c[d]", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "record: a[/b]c[d]/trials/" in ended.stderr


def test_train_stops_on_ctrl_c_with_a_checkpoint(tmp_path):
    arguments = [part for pair in TINY for part in ("--set", pair)]
    arguments += ["--set", "training.steps=100000"]
    with running("train", *arguments, cwd=tmp_path) as process:
        wait_for(lambda: list(tmp_path.glob("runs/trials/*/metrics.jsonl")))
        process.send_signal(signal.SIGINT)
        _, messages = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "run the same command again to resume" in messages
    (folder,) = tmp_path.glob("runs/trials/*")
    record = Record(tmp_path / "runs", folder.name)
    assert record.state() == "resumable"
    assert len(list(record.checkpoints.glob("*.pt"))) == 1


def test_sync_refuses_a_folder_that_holds_no_sweep(tmp_path):
    (tmp_path / "runs").mkdir()
    ended = factorlab("sync", cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("factorlab: runs: contains no sweep")
    assert list((tmp_path / "runs").iterdir()) == []
