"""Thousands of malformed inputs: each gives status 2 and one sentence, and leaves no file.

Every command line runs through `cli.main`, as the console command does.
"""

import contextlib
import copy
import io
import sys

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from analysis.scaling.threshold_search import ThresholdSearch
from factorlab.parsing import setting_keys
from sweeps import series
from sweeps.cli import main
from sweeps.planning.experiment import FOLDER

DOCUMENT = {
    "name": "fuzzed",
    "base": {
        "data": {"family": "bump", "size": 8, "spacing": 0.5, "sigma": 1.0},
        "model": {"width": 4},
        "training": {"steps": 4, "batch_size": 4, "learning_rate": 1e-3},
        "evaluation": {"samples": 4, "every": 2},
    },
    "axes": {"data.subsample": [0.5, 1.0], "seed": [0, 1]},
    "also": [{"data.size": [9], "seed": [2]}],
    "figures": [{"name": "curves", "draw": "curves", "options": {}}],
    "resources": {"cpu": 1, "pack": "auto"},
    "profiles": {"laptop": {"base": {"training": {"steps": 6}}}},
}

EACH = settings(
    max_examples=700,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

KEYS = [*setting_keys()]
WORDS = st.sampled_from(
    [*KEYS, "data", "size", "sigma", "kind", "smoke", "", "x", "a.b.c", "data."]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.sampled_from([-1, 0, 1, 2, 0.5, 1e300, -0.0, "bump", "auto", "../../etc", "~", "1e-3"])
    | st.floats()
    | st.text(max_size=8)
)
JUNK = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture(autouse=True)
def nothing_runs(monkeypatch, tmp_path):
    """Skip the estimates and the training of plans that are valid."""
    monkeypatch.setattr(ThresholdSearch, "expected_runs", lambda _search, most: (most, most, most))
    monkeypatch.setattr(series, "estimate", lambda *_: None)
    monkeypatch.setattr(series, "show_plan", lambda *_: None)
    monkeypatch.chdir(tmp_path)


def ended(arguments, monkeypatch):
    """Return the exit status and the standard error of a command line."""
    monkeypatch.setattr(sys, "argv", ["factorlab", *arguments])
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            main.main()
        except SystemExit as end:
            status = end.code
    return status or 0, said.getvalue()


def check_refused(status, said):
    assert status == 2, said
    assert said.startswith("factorlab: ")
    assert said.count("\n") == 1
    assert "Traceback" not in said


def places(document, prefix=()):
    """Yield the paths of everything in a nested document."""
    items = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in items:
        yield (*prefix, key)
        if isinstance(value, dict | list):
            yield from places(value, (*prefix, key))


@st.composite
def mutated(draw):
    """Draw a document with one to three entries replaced, renamed, added or deleted."""
    document = copy.deepcopy(DOCUMENT)
    for _ in range(draw(st.integers(1, 3))):
        *where, last = draw(st.sampled_from(list(places(document))))
        parent = document
        for key in where:
            parent = parent[key]
        how = draw(st.sampled_from(["replace", "delete", "rename", "add"]))
        if how == "replace":
            parent[last] = draw(JUNK)
        elif how == "delete":
            del parent[last]
        elif isinstance(parent, dict):
            key = draw(st.text(max_size=6) | WORDS)
            parent[key] = parent.pop(last) if how == "rename" else draw(JUNK)
    return document


@EACH
@given(document=mutated())
def test_sweep_dry_run_of_mutated_experiment(tmp_path, monkeypatch, document):
    path = tmp_path / "fuzzed.yaml"
    path.write_text(yaml.safe_dump(document))
    status, said = ended(["sweep", "fuzzed.yaml", "--dry-run"], monkeypatch)
    if status:
        check_refused(status, said)
        assert "fuzzed.yaml" in said
    assert [p.name for p in tmp_path.iterdir()] == ["fuzzed.yaml"]


@EACH
@given(
    content=st.binary(max_size=60)
    | st.integers(0, 2000).map(lambda n: (FOLDER / "scaling.yaml").read_bytes()[:n])
    | st.text(st.sampled_from("{}[]:,-&*!|>'\"%@` \n\tab1"), max_size=40).map(str.encode)
)
@example(content=b"")
@example(content=b"a: &a [*a]")
@example(content=b"!!python/object/apply:os.system ['touch planted']")
@example(content=b"{name: x, name: y}")
def test_sweep_dry_run_of_torn_file(tmp_path, monkeypatch, content):
    (tmp_path / "fuzzed.yaml").write_bytes(content)
    status, said = ended(["sweep", "fuzzed.yaml", "--dry-run"], monkeypatch)
    if status:
        check_refused(status, said)
    assert [p.name for p in tmp_path.iterdir()] == ["fuzzed.yaml"]


@EACH
@given(
    key=st.sampled_from(KEYS) | WORDS | st.text(max_size=10),
    value=st.text(max_size=10) | JUNK.map(lambda junk: yaml.safe_dump(junk).strip()),
)
def test_sweep_dry_run_of_any_override(tmp_path, monkeypatch, key, value):
    path = tmp_path / "fuzzed.yaml"
    path.write_text(yaml.safe_dump(DOCUMENT))
    status, said = ended(
        ["sweep", "fuzzed.yaml", "--dry-run", "--set", f"{key}={value}"], monkeypatch
    )
    if status:
        check_refused(status, said)
    assert [p.name for p in tmp_path.iterdir()] == ["fuzzed.yaml"]


COMMANDS = st.sampled_from(
    [
        *("sweep", "train", "status", "figures", "report", "analyse", "export", "reproduce"),
        *("illustrate", "sync"),
    ]
)
OPTIONS = st.sampled_from(
    ["--profile", "--set", "--runs", "--json", "--dry-run", "--seed", "--layer", "--address"]
)


@EACH
@given(
    command=COMMANDS | st.text(max_size=6),
    options=st.lists(OPTIONS | st.text(max_size=6), max_size=4),
)
def test_main_refuses_unknown_option(tmp_path, monkeypatch, command, options):
    line = [word for word in [command, *options] if word not in ("--help", "--")]
    # Before the other options, which might take it as a value.
    status, said = ended([*line[:1], "--nonsense", *line[1:]], monkeypatch)
    check_refused(status, said)
    assert not list(tmp_path.iterdir())


@EACH
@given(
    command=st.sampled_from(["status", "figures", "analyse", "export", "percolate"]),
    name=st.text(max_size=12).filter(lambda name: name != "--help"),
    runs=st.sampled_from(["runs", "/proc/nowhere", "a\nb"]),
)
def test_main_refuses_what_does_not_exist(tmp_path, monkeypatch, command, name, runs):
    rest = {"export": ["out.csv"], "percolate": ["--size"]}.get(command, [])
    status, said = ended([command, name, *rest, "--runs", runs], monkeypatch)
    check_refused(status, said)
    assert not list(tmp_path.iterdir())
