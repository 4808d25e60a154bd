"""The Makefile: variables are passed on verbatim, and no text in them is executed."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
NAMES = sorted(path.stem for path in (ROOT / "sweeps" / "experiments").glob("*.yaml"))

FAKE = """#!/bin/sh
'''exec' "{python}" "$0" "$@"
' '''
import json, os, sys
with open("calls.jsonl", "a") as calls:
    print(json.dumps([*sys.argv[1:], os.environ.get("FACTORLAB_RUNS")]), file=calls)
sys.exit(3 if "{failing}" in sys.argv else 0)
"""

AWKWARD = [
    "my runs",
    "two  spaces ",  # make drops leading spaces
    "it's",
    'a "quoted" word',
    "$(touch planted)",
    "$(shell touch planted)",
    "`touch planted`",
    "a; touch planted",
    "a' ; touch planted '",
    "$HOME ${HOME} $$ $",
    "a#b",
    "a\\b",
    "*",
    "über/läufe",
    "-n",
]


@pytest.fixture
def checkout(tmp_path):
    """A folder with an environment whose commands log their arguments."""
    folder = tmp_path / "a checkout"
    (folder / ".venv" / "bin").mkdir(parents=True)
    (folder / "sweeps" / "experiments").mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, folder / name)
    for name in NAMES:
        (folder / "sweeps" / "experiments" / f"{name}.yaml").touch()
    for command in ("factorlab", "python"):
        script = folder / ".venv" / "bin" / command
        script.write_text(FAKE.format(python=sys.executable, failing="phases"))
        script.chmod(0o755)
    (folder / ".venv" / ".ready").touch()
    return folder


def make(folder, *arguments, **environment):
    """Run make; return the process, and the arguments of the commands that it called."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if name not in VARIABLES and not name.startswith("MAKE") and name != "MFLAGS"
    }
    ended = subprocess.run(
        ["make", *arguments],
        cwd=folder,
        env=clean | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    log = folder / "calls.jsonl"
    calls = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    assert not list(folder.glob("**/planted")), "a command in a variable was run"
    return ended, calls


VARIABLES = {
    "PYTHON",
    "PROFILE",
    "SET",
    "SHARE",
    "COUNT",
    "ADDRESS",
    "RUNS",
    "FIGURES",
    "FACTORLAB_RUNS",
}
DEFAULTS = ["--profile=laptop", "--runs=runs", "--figures=figures"]


def test_make_sweep_passes_defaults(checkout):
    assert make(checkout, "sweep-scaling")[1] == [["sweep", "scaling", *DEFAULTS, "runs"]]


def test_make_sweep_all_runs_one_command(checkout):
    assert make(checkout, "sweep-all")[1] == [["sweep", *NAMES, *DEFAULTS, "runs"]]


@pytest.mark.parametrize("where", ["argument", "environment"])
@pytest.mark.parametrize("text", AWKWARD)
def test_make_sweep_passes_variables_verbatim(checkout, text, where):
    values = dict.fromkeys(("PROFILE", "SET", "ADDRESS", "RUNS", "FIGURES"), text)
    given = [f"{name}={value}" for name, value in values.items()]
    if where == "argument":
        ended, calls = make(checkout, "sweep-scaling", *given)
    else:
        ended, calls = make(checkout, "sweep-scaling", **values)
    assert ended.returncode == 0, ended.stderr
    options = [f"--{name}={text}" for name in ("profile", "runs", "figures", "address", "set")]
    assert calls == [["sweep", "scaling", *options, text]]


@pytest.mark.parametrize(
    "text",
    ["seed=[0, 1]", "seed=[0, 1] data.family='bump+stripes' data.size=8", 'a={b: "c d=1"}'],
)
def test_make_sweep_passes_set_as_one_argument(checkout, text):
    assert f"--set={text}" in make(checkout, "sweep-scaling", f"SET={text}")[1][0]


@pytest.mark.parametrize("text", ["it's", "-n", "$HOME", "$(>planted)", "`>planted`", "a;>planted"])
def test_make_sweep_passes_experiment_name_verbatim(checkout, text):
    _, calls = make(checkout, "--", f"sweep-{text}")
    assert calls == [["sweep", text, *DEFAULTS, "runs"]]


@pytest.mark.parametrize("text", AWKWARD)
def test_make_ui_chaos_reproduce_pass_variables_verbatim(checkout, text):
    assert make(checkout, "ui", f"RUNS={text}")[1][-1] == ["ui", f"--runs={text}", text]
    _, calls = make(checkout, "chaos", f"SHARE={text}")
    assert calls[-1] == ["-m", "tests.chaos.run", f"--share={text}", "runs"]
    _, calls = make(checkout, "mutation", f"COUNT={text}")
    assert calls[-1] == ["-m", "tests.mutation", f"--count={text}", "runs"]
    _, calls = make(checkout, "reproduce", f"PROFILE={text}", f"RUNS={text}", f"FIGURES={text}")
    options = [f"--{name}={text}" for name in ("profile", "runs", "figures")]
    assert calls[-1] == ["reproduce", *options, text]


def test_make_reproduce_refuses_set(checkout):
    ended, calls = make(checkout, "reproduce", "SET=seed=[0, 1]")
    assert ended.returncode == 2
    assert "reproduce takes no SET" in ended.stderr
    assert calls == []


def test_make_figures_continues_after_failing_experiment(checkout):
    runs = checkout / "my 'runs'"
    for name in ("phases", "scaling", "torus"):
        (runs / "sweeps" / f"{name}_laptop").mkdir(parents=True)
        (runs / "sweeps" / f"{name}_laptop" / "plan.json").touch()
    ended, calls = make(checkout, "figures", f"RUNS={runs.name}", "FIGURES=my figures")
    options = [f"--runs={runs.name}", "--figures=my figures", runs.name]
    assert calls == [["figures", name, *options] for name in ("phases", "scaling", "torus")]
    assert ended.returncode == 2  # the status of make; that of the command for phases is 3
    assert "Error 3" in ended.stderr


def test_make_figures_refuses_missing_folder(checkout):
    ended, calls = make(checkout, "figures", "RUNS=typo")
    assert ended.returncode == 2
    assert "folder typo does not exist" in ended.stderr
    assert calls == []
    assert not (checkout / "typo").exists()


def test_make_accepts_python_path_with_spaces(checkout):
    python = checkout / "my python" / "python3"
    python.parent.mkdir()
    python.write_text(f"#!/bin/sh\necho \"$@\" >>'{checkout}/python calls'\nexit 9\n")
    python.chmod(0o755)
    (checkout / ".venv" / ".ready").unlink()
    ended, calls = make(checkout, "sweep-scaling", f"PYTHON={python}")
    assert ended.returncode == 2
    assert calls == []
    assert (checkout / "python calls").read_text().startswith("-c import sys")


def test_make_sweep_reads_factorlab_runs(checkout):
    _, calls = make(checkout, "sweep-scaling", FACTORLAB_RUNS="other $runs")
    assert "--runs=other $runs" in calls[0]
    _, calls = make(checkout, "sweep-scaling", "RUNS=mine", FACTORLAB_RUNS="other")
    assert calls[1][-1] == "mine"
