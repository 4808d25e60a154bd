"""Sweeps train with the code of the command that was called, and report changes of it."""

import os
import shutil
import signal
import subprocess
import sys

import pytest

from factorlab.provenance import sources
from factorlab.provenance.sources import Sources, at_start, refusal
from tests.helpers.experiments import records_of, train_options, write_experiment
from tests.helpers.processes import FACTORLAB, wait_for, worker_of

SEEDS = {"seed": [0, 1]}

NAMES = """
torch numpy cv2 pydantic numba llvmlite scipy networkx ray mlflow pandas sklearn umap ripser
persim matplotlib typer click rich psutil pyarrow safetensors yaml sqlalchemy alembic flask
requests joblib PIL packaging attr cloudpickle grpc filelock msgpack jsonschema aiohttp
"""
DEPENDENCIES = NAMES.split()


@pytest.fixture
def project(tmp_path):
    """A copy of the packages in a git repository: its folder, and a function that calls git."""
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


def test_sweep_ignores_code_in_working_folder(tmp_path, no_server):
    """The folder holds another version of the packages, and files named like dependencies."""
    folder = tmp_path / "called here"
    folder.mkdir()
    for package in sources.PACKAGES:
        shutil.copytree(sources.ROOT / package, folder / package)
        for path in (folder / package).rglob("*.py"):
            path.write_text(path.read_text() + "\nraise SystemExit('foreign code')\n")
    for name in DEPENDENCIES:
        (folder / f"{name}.py").write_text("raise SystemExit('foreign code')\n")
    kept = {"layers": ["layer4"], "grid": 6}
    path = write_experiment(folder / "code.yaml", axes=SEEDS, representations=kept)
    command = [FACTORLAB, "sweep", "code.yaml"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "foreign" not in done.stderr
    for record in records_of(path, folder / "runs"):
        (entry,) = record.result()["code"]
        assert entry["sources_sha256"] == at_start(sources.TRAINING).digest
        assert record.measures("layer4").exists()


CURVE = ["--size", "6", "--spacing", "1", "--sigma", "1", "--threshold", "0.5"]


@pytest.mark.parametrize(
    "arguments",
    [["train", *train_options()], ["percolate", "curve", *CURVE, "--realisations", "2"]],
    ids=["train", "percolate"],
)
def test_train_and_percolate_ignore_code_in_working_folder(tmp_path, arguments):
    for name in (*DEPENDENCIES, *sources.PACKAGES):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('foreign code')\n")
    done = subprocess.run([FACTORLAB, *arguments], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_train_refuses_numba_config_in_working_folder(tmp_path):
    (tmp_path / ".numba_config.yaml").write_text("disable_jit: 1\n")
    command = [FACTORLAB, "train", "--set", "training.steps=2"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("factorlab: .numba_config.yaml: numba reads this file")


def test_sweep_refuses_process_with_other_code(tmp_path, project, no_server):
    root, _ = project
    path = root / "factorlab" / "training" / "step.py"
    path.write_text(path.read_text() + "\n# one line more\n")
    write_experiment(tmp_path / "code.yaml")
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


@pytest.mark.slow
def test_sweep_records_code_change_per_run(tmp_path, project, no_server):
    root, git = project
    path = write_experiment(
        tmp_path / "code.yaml",
        axes=SEEDS,
        resources={"pack": 1},
        training={"steps": 900, "checkpoint_every": 20},
    )
    held, other = records_of(path, tmp_path / "runs")
    environment = {**os.environ, "PYTHONPATH": str(root)}
    command = [sys.executable, "-P", "-m", "sweeps.cli.main", "sweep", "code.yaml"]
    first = git("rev-parse", "HEAD")
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
    ) as driver:
        wait_for(lambda: all(len(list(r.checkpoints.glob("*.pt"))) == 2 for r in (held, other)))
        code = root / "factorlab" / "training" / "step.py"
        code.write_text(code.read_text() + "\n# one line more\n")
        git("commit", "--quiet", "--all", "-m", "second")
        (root / "factorlab" / "families" / "ring.py").write_text("TITLE = 'Ring'\n")
        os.kill(worker_of(driver, held).pid, signal.SIGKILL)
        _, messages = driver.communicate()
    assert driver.returncode == 0, messages
    before, after = held.result()["code"]
    assert other.result()["code"] == [before]
    assert (before["from_step"], before["revision"]) == (0, first)
    assert before["difference_sha256"] is None
    assert after["from_step"] in range(40, 900, 20)  # a checkpoint, the second or a later one
    assert after["revision"] == git("rev-parse", "HEAD") != first
    assert "the code changed while the sweep ran: 1 runs were finished" in messages
    # Commit and difference restore what was imported, including the untracked file.
    clone = tmp_path / "clone"
    git("clone", "--quiet", str(root), str(clone))
    saved = tmp_path / "runs" / "code" / f"{after['difference_sha256']}.patch"
    subprocess.run(["git", "-C", str(clone), "apply", str(saved)], check=True)
    restored = sources.sources_of(sources.read(clone, sources.TRAINING), clone)
    assert restored.digest == after["sources_sha256"]


def test_refusal_of_other_code():
    ours, who = at_start(), "a worker on a1"
    foreign = Sources("/elsewhere", {**ours.files, "factorlab/trial.py": "0" * 64})
    assert refusal(Sources("/elsewhere", ours.files), ours, who, replaces=False) is None
    for replaces in (False, True):
        reason = refusal(foreign, ours, who, replaces=replaces)
        assert reason.startswith("a worker on a1 imported other code than this command")
        assert "factorlab/trial.py" in reason


def test_refusal_accepts_code_on_disk_once_training(tmp_path):
    (tmp_path / "factorlab").mkdir()
    trial = tmp_path / "factorlab" / "trial.py"
    trial.write_text("a = 1\n")
    ours = sources.on_disk(tmp_path)
    trial.write_text("a = 2\n")
    theirs = sources.on_disk(tmp_path)
    assert "factorlab/trial.py" in refusal(theirs, ours, "a worker", replaces=False)
    assert refusal(theirs, ours, "a worker", replaces=True) is None
    trial.write_text("a = 3\n")
    assert "factorlab/trial.py" in refusal(theirs, ours, "a worker", replaces=True)
