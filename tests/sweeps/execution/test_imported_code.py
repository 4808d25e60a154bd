"""Sweeps train with the code of the command that was called, and say so when it changes."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from factorlab.provenance import sources
from factorlab.provenance.sources import Sources, at_start
from factorlab.storage.record import Record
from sweeps.execution.work_queue import Task, WorkQueue
from sweeps.planning import plan
from sweeps.planning.experiment import load
from tests.helpers.processes import FACTORLAB, trainer, wait_for

EXPERIMENT = """
name: code
base:
  data: {size: 6, spacing: 1.0}
  model: {width: 4, encoding: 8}
  diffusion: {prediction: v, sampling_steps: 2}
  training: {steps: %d, batch_size: 4, checkpoint_every: 20}
  evaluation: {samples: 4, loss_samples: 4, keep: 0}
  representations: {layers: [%s], grid: 6}
axes: {seed: [%s]}
resources: {pack: 1}
"""

NAMES = """
torch numpy cv2 pydantic numba llvmlite scipy networkx ray mlflow pandas sklearn umap ripser
persim matplotlib typer click rich psutil pyarrow safetensors yaml sqlalchemy alembic flask
requests joblib PIL packaging attr cloudpickle grpc filelock msgpack jsonschema aiohttp
"""
DEPENDENCIES = NAMES.split()


def records(folder, runs):
    planned = plan.make(load(str(folder / "code.yaml")), runs)
    return [Record(runs, trial.key) for trial in planned.trials]


@pytest.fixture
def project(tmp_path):
    """A copy of the project's packages in a git repository; returns the folder and git."""
    root = tmp_path / "project"
    root.mkdir()
    for package in sources.PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(sources.ROOT / package, root / package, ignore=ignored)

    def git(*arguments):
        identity = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
        command = ["git", "-C", str(root), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "--quiet")
    (root / ".gitignore").write_text("__pycache__\n")
    git("add", ".")
    git("commit", "--quiet", "-m", "first")
    return root, git


def test_sweep_uses_its_own_code_wherever_it_is_called(tmp_path, no_server):
    """The folder holds another version of the project and files named like its dependencies."""
    folder = tmp_path / "called here"
    folder.mkdir()
    for package in sources.PACKAGES:
        shutil.copytree(sources.ROOT / package, folder / package)
        for path in (folder / package).rglob("*.py"):
            path.write_text(path.read_text() + "\nraise SystemExit('foreign code')\n")
    for name in DEPENDENCIES:
        (folder / f"{name}.py").write_text("raise SystemExit('foreign code')\n")
    (folder / "code.yaml").write_text(EXPERIMENT % (6, "layer4", "0, 1"))
    command = [FACTORLAB, "sweep", "code.yaml"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "foreign" not in done.stderr
    for record in records(folder, folder / "runs"):
        (entry,) = record.result()["code"]
        assert entry["sources_sha256"] == at_start(sources.TRAINING).digest
        assert record.measures("layer4").exists()


@pytest.mark.parametrize("arguments", [["train", "--set", "training.steps=2"], ["percolate"]])
def test_commands_without_ray_ignore_the_working_folder(tmp_path, arguments):
    for name in (*DEPENDENCIES, *sources.PACKAGES):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('foreign code')\n")
    small = ["data.size=6", "model.width=4", "model.encoding=8", "evaluation.samples=4"]
    if arguments[0] == "train":
        arguments = [*arguments, *(word for pair in small for word in ("--set", pair))]
    else:
        arguments += ["curve", "--size", "6", "--spacing", "1", "--sigma", "1"]
        arguments += ["--threshold", "0.5", "--realisations", "2"]
    done = subprocess.run([FACTORLAB, *arguments], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_commands_refuse_a_configuration_of_numba_in_the_working_folder(tmp_path):
    (tmp_path / ".numba_config.yaml").write_text("disable_jit: 1\n")
    command = [FACTORLAB, "train", "--set", "training.steps=2"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("factorlab: .numba_config.yaml: numba reads this file")


def test_sweep_refuses_a_process_that_imports_other_code(tmp_path, project, no_server):
    root, _ = project
    path = root / "factorlab" / "training" / "step.py"
    path.write_text(path.read_text() + "\n# one line more\n")
    (tmp_path / "code.yaml").write_text(EXPERIMENT % (6, "", "0"))
    driver = (
        f"import sys; sys.path.insert(0, {str(root)!r}); from sweeps.cli.main import main; main()"
    )
    command = [sys.executable, "-P", "-c", driver, "sweep", "code.yaml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert "imported other code than this command: factorlab/training/step.py" in last
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "runs" / "trials").glob("*/result.json"))


def test_sweep_says_which_runs_saw_the_code_change(tmp_path, project, no_server):
    root, git = project
    (tmp_path / "code.yaml").write_text(EXPERIMENT % (900, "", "0, 1"))
    held, other = records(tmp_path, tmp_path / "runs")
    environment = {**os.environ, "PYTHONPATH": str(root)}
    command = [sys.executable, "-P", "-m", "sweeps.cli.main", "sweep", "code.yaml"]
    first = git("rev-parse", "HEAD")
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
    ) as driver:
        wait_for(lambda: all(len(list(r.checkpoints.glob("*.pt"))) == 2 for r in (held, other)))
        path = root / "factorlab" / "training" / "step.py"
        path.write_text(path.read_text() + "\n# one line more\n")
        git("commit", "--quiet", "--all", "-m", "second")
        (root / "factorlab" / "families" / "ring.py").write_text("TITLE = 'Ring'\n")
        os.kill(trainer(driver, held).pid, signal.SIGKILL)
        _, messages = driver.communicate()
    assert driver.returncode == 0, messages
    before, after = held.result()["code"]
    assert other.result()["code"] == [before]
    assert (before["from_step"], before["revision"]) == (0, first)
    assert before["difference_sha256"] is None
    assert after["from_step"] > 0
    assert after["revision"] == git("rev-parse", "HEAD") != first
    assert "the code changed while the sweep ran: 1 runs were finished" in messages
    # What was imported, the untracked file included, comes back from commit and difference.
    clone = tmp_path / "clone"
    git("clone", "--quiet", str(root), str(clone))
    saved = tmp_path / "runs" / "code" / f"{after['difference_sha256']}.patch"
    subprocess.run(["git", "-C", str(clone), "apply", str(saved)], check=True)
    restored = sources.sources_of(sources.read(clone, sources.TRAINING), clone)
    assert restored.digest == after["sources_sha256"]


def work(ours):
    return WorkQueue([(Task("a", {}, "runs"),), (Task("b", {}, "runs"),)], restarts=0, sources=ours)


def test_admit_takes_the_same_code_only_until_training_began():
    ours = at_start()
    begun = work(ours)
    foreign = Sources("/elsewhere", {**ours.files, "factorlab/trial.py": "0" * 64})
    assert begun.admit(Sources("/elsewhere", ours.files), "a worker on a1") is None
    assert "factorlab/trial.py" in begun.admit(foreign, "a worker on a1")
    begun.take("one", [])
    assert "factorlab/trial.py" in begun.admit(foreign, "a worker on a1")


def test_admit_takes_what_is_on_the_disk_after_training_began(tmp_path):
    (tmp_path / "factorlab").mkdir()
    (tmp_path / "factorlab" / "trial.py").write_text("a = 1\n")
    ours = sources.on_disk(tmp_path)
    (tmp_path / "factorlab" / "trial.py").write_text("a = 2\n")
    begun, theirs = work(ours), sources.on_disk(tmp_path)
    assert "factorlab/trial.py" in begun.admit(theirs, "a worker on a1")
    begun.take("one", [])
    assert begun.admit(theirs, "a worker on a1") is None
    (Path(tmp_path) / "factorlab" / "trial.py").write_text("a = 3\n")
    assert "factorlab/trial.py" in begun.admit(theirs, "a worker on a1")
