"""Records of earlier versions: they are found, counted, resumed and shown in MLflow as before."""

import csv
import hashlib
import json

import pytest

from sweeps.planning import experiment, plan
from sweeps.tracking.store import access
from tests.helpers.earlier_records import FIXTURE, unpack
from tests.helpers.mlflow_runs import query
from tests.helpers.processes import factorlab

STATES = {
    "plain": {"done": 1},
    "packed": {"done": 2},
    "representations": {"done": 1},
    "failed": {"failed": 1},
    "half": {"resumable": 1},
}
KEYS = {
    "plain": ["865205c66fa4c3da911bd9ff88e35aa6807546889fa2452f43fbf6233ebd3cf5"],
    "packed": [
        "8c92e3b66fee5077139fd2d55b67f918f8a2bff9eebcb41c6880a9f8b601b567",
        "c5393e29cb356d9be088fe8dac7ae5d5d3fc00368fc01399ab2f2c5475b1f854",
    ],
    "representations": ["098453c3b9952f18ca99f264e61674ad3e6aacc27828d4913e90c137da5d0891"],
    "failed": ["c49c38033367ff83cded658fb0fd56a946c22adbf3c7b0f7d29ac25fb7a45830"],
    "half": ["7bd34d5b4a597c5974570c8895d6faa15100c5b3557c1e19f87c7da384f074c6"],
}
INTERRUPTED_AT = 588


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """The runs folder for tests that only read it."""
    return unpack(tmp_path_factory.mktemp("earlier"))


@pytest.fixture
def own(tmp_path, monkeypatch):
    """The runs folder for a test that writes to it."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    yield unpack(tmp_path)
    access.close()


def call(runs, *arguments, code=0):
    """Run a command over a runs folder and return what it printed."""
    done = factorlab(*arguments, "--runs", str(runs), cwd=runs.parent)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def record_of(runs, profile):
    return runs / "trials" / KEYS[profile][0]


def stored(runs):
    """Name, status, and number of metric points of every run in MLflow, sorted."""
    return sorted(
        query(
            runs,
            "SELECT name, status, (SELECT COUNT(*) FROM metrics m WHERE m.run_uuid = r.run_uuid)"
            " FROM runs r",
        )
    )


@pytest.mark.parametrize("profile", STATES)
def test_plan_finds_earlier_records_by_the_same_keys(shared, profile):
    planned = plan.make(experiment.load(str(FIXTURE / "kinds.yaml"), profile), shared)
    assert [trial.key for trial in planned.trials] == KEYS[profile]
    assert dict(planned.state().counts()) == STATES[profile]


@pytest.mark.parametrize("profile", STATES)
def test_status_counts_earlier_records(shared, profile):
    shown = json.loads(call(shared, "status", "kinds", "--profile", profile, "--json"))
    states = ("done", "running", "resumable", "damaged", "failed", "new")
    assert {state: shown[state] for state in states if shown[state]} == STATES[profile]
    assert shown["failures"] == (
        {"seed=6": "loss is nan at step 2, seed 6"} if profile == "failed" else {}
    )


def test_export_reads_earlier_records(shared, tmp_path):
    call(shared, "export", "kinds", str(tmp_path / "t.csv"), "--profile", "packed")
    with (tmp_path / "t.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["key"] for row in rows] == KEYS["packed"]
    for row in rows:
        result = json.loads((shared / "trials" / row["key"] / "result.json").read_text())
        assert float(row["accuracy"]) == result["metrics"]["accuracy"]


def test_figures_of_earlier_records_need_no_measures(own, tmp_path):
    before = (record_of(own, "representations") / "analysis" / "layer4.jsonl").read_bytes()
    printed = call(own, "figures", "kinds", "--profile", "representations")
    assert "accuracy-representations.png" in printed
    assert "nothing left" not in call(own, "analyse", "kinds", "--profile", "representations")
    after = (record_of(own, "representations") / "analysis" / "layer4.jsonl").read_bytes()
    assert after == before


def test_sync_sends_nothing_twice_after_the_folder_was_moved(own):
    before = stored(own)
    assert len(before) == 11  # five sweeps and six runs
    assert "moved or copied from /tmp/fixture/runs" in (printed := call(own, "sync"))
    assert printed.startswith("0\n")  # points sent
    assert stored(own) == before


def test_sweep_trains_no_finished_run_again(own):
    file = str(FIXTURE / "kinds.yaml")
    results = {p: p.read_bytes() for p in own.glob("trials/*/result.json")}
    assert len(results) == 4
    for profile in ("plain", "packed", "representations"):
        assert "nothing left to train" in call(own, "sweep", file, "--profile", profile)
    assert "nothing left to train" in call(own, "sweep", file, "--profile", "failed", code=1)
    assert {p: p.read_bytes() for p in own.glob("trials/*/result.json")} == results


def test_sweep_resumes_an_interrupted_run_from_its_last_step(own):
    record = record_of(own, "half")
    before = (record / "metrics.jsonl").read_bytes()
    call(own, "sweep", str(FIXTURE / "kinds.yaml"), "--profile", "half")
    after = (record / "metrics.jsonl").read_bytes()
    assert after.startswith(before)
    steps = [json.loads(line)["step"] for line in after.splitlines()]
    assert steps == sorted(set(steps))
    result = json.loads((record / "result.json").read_text())
    assert result["steps"] == 2000
    assert [entry["from_step"] for entry in result["code"]] == [0, INTERRUPTED_AT]
    assert ("seed=7", "FINISHED") in {(name, status) for name, status, _ in stored(own)}


ADDED = {"composition_a100": 3}  # stripes alone, tested on the region of the rim


def keys_by_sweep(path, profiles, tmp_path):
    """The keys of each profile of an experiment file, by sweep."""
    return {
        f"{path.stem}_{profile}": [
            trial.key for trial in plan.make(experiment.load(str(path), profile), tmp_path).trials
        ]
        for profile in profiles
    }


def test_keys_of_all_experiments_are_those_of_earlier_versions(tmp_path):
    """Profiles `smoke` and `a100` train the runs of the first files, in order, and `ADDED` more."""
    known = json.loads((FIXTURE / "keys.json").read_text())
    found = {}
    for path in sorted(FIXTURE.glob("*.yaml")):
        if path.stem != "kinds":
            first = keys_by_sweep(path, experiment.read_yaml(path)["profiles"], tmp_path)
            found |= first
            today = keys_by_sweep(experiment.FOLDER / path.name, ("smoke", "a100"), tmp_path)
            for name, keys in today.items():
                assert [key for key in keys if key in first[name]] == first[name], name
                assert len(keys) - len(first[name]) == ADDED.get(name, 0), name
    assert known == {
        name: {"trials": len(keys), "sha256": hashlib.sha256("\n".join(keys).encode()).hexdigest()}
        for name, keys in found.items()
    }
