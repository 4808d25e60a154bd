"""The command line: a mistake is one sentence and status 2, and starts nothing."""

import json
import signal

import pytest

from factorlab.storage.record import Record
from tests.helpers.experiments import train_options
from tests.helpers.processes import PATIENCE, factorlab, running, wait_for


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
        *([command, "scaling", "--runs", "typo"] for command in ("status", "figures", "report")),
        ["analyse", "scaling", "--runs", "typo"],
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
def test_main_reports_mistake_in_one_sentence(tmp_path, arguments):
    (tmp_path / "afile").touch()
    ended = factorlab(*arguments, cwd=tmp_path)
    assert ended.returncode == 2
    assert ended.stdout == ""
    last = ended.stderr.splitlines()[-1]
    assert last.startswith("factorlab: ")
    assert "Traceback" not in ended.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["afile"]


def test_sweep_dry_run_writes_no_file(tmp_path):
    ended = factorlab("sweep", "scaling", "--profile", "smoke", "--dry-run", cwd=tmp_path)
    assert ended.returncode == 0
    assert "8 trials" in ended.stdout
    assert "8 new" in ended.stdout
    assert "on this machine" in ended.stdout
    assert ended.stderr == ""
    assert list(tmp_path.iterdir()) == []


def test_train_prints_result_and_trains_once(tmp_path):
    options = train_options(evaluation={"keep": 1})
    first = factorlab("train", *options, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    result = json.loads(first.stdout)
    (folder,) = tmp_path.glob("runs/trials/*")
    stored = Record(tmp_path / "runs", folder.name).result()
    assert result == {"record": str(folder.relative_to(tmp_path)), **stored}
    assert result["metrics"]["accuracy"] in [n / 4 for n in range(5)]  # of four images
    assert result["metrics"]["ceiling"] == 1
    again = json.loads(factorlab("train", *options, cwd=tmp_path).stdout)
    assert again == result


def test_train_prints_brackets_of_path(tmp_path):
    ended = factorlab("train", *train_options(), "--runs", "a[/b]c[d]", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "record: a[/b]c[d]/trials/" in ended.stderr


def test_train_saves_checkpoint_on_ctrl_c(tmp_path):
    options = train_options(training={"steps": 100_000, "log_every": 2})
    with running("train", *options, cwd=tmp_path) as process:
        wait_for(lambda: list(tmp_path.glob("runs/trials/*/metrics.jsonl")))
        process.send_signal(signal.SIGINT)
        _, messages = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert "run the same command again to resume" in messages
    (folder,) = tmp_path.glob("runs/trials/*")
    record = Record(tmp_path / "runs", folder.name)
    assert record.state() == "resumable"
    assert len(list(record.checkpoints.glob("*.pt"))) == 1


def test_sync_refuses_folder_without_sweep(tmp_path):
    (tmp_path / "runs").mkdir()
    ended = factorlab("sync", cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("factorlab: runs: contains no sweep")
    assert list((tmp_path / "runs").iterdir()) == []
