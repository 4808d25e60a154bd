"""Tracking URIs: one that MLflow cannot use is refused before anything trains."""

import subprocess
import sys

import pytest
from mlflow.exceptions import MlflowException

from factorlab.errors import UserError
from factorlab.storage.record import Record
from sweeps.tracking.mlflow_sync import LONGEST_MESSAGE, sentence
from sweeps.tracking.store.uri import (
    check_tracking_uri,
    own_database,
    redact,
    sqlite_file,
    tracking_uri,
    uri_of,
)
from tests.helpers.experiments import write_experiment
from tests.helpers.mlflow_runs import (
    all_runs,
    assert_same_points,
    finish,
    key_of,
    sync_of,
    write_record,
)
from tests.helpers.processes import factorlab

pytestmark = pytest.mark.usefixtures("no_server")

REFUSED = [
    ("file:./store", "a folder of files"),
    ("./store", "a folder of files"),
    ("/tmp/store", "a folder of files"),
    ("store", "a folder of files"),
    ("htp://host", "unknown scheme 'htp'; did you mean 'http'?"),
    ("s3://bucket/x", "unknown scheme 's3'"),
    ("postgres://u@h/d", "unknown scheme 'postgres'; did you mean 'postgresql'?"),
    ("localhost:5000", "it has no scheme; did you mean 'http://localhost:5000'?"),
    ("127.0.0.1:5000", "it has no scheme; did you mean 'http://127.0.0.1:5000'?"),
    ("http://", "the host is missing"),
    ("http:/127.0.0.1:9", "the host is missing"),
    ("http://host:many", "the port is not a number"),
    ("https://[bad", "not a URI"),
    ("mysql+missing://u@h/d", "not the URI of a database"),
    ("postgresql://u:p@h:port/d", "not the URI of a database"),
    ("sqlite:x.db", "not the URI of a database"),
    ("sqlite://x.db", "three slashes"),
    ("sqlite://", "in-memory"),
    ("sqlite:///:memory:", "in-memory"),
]

ALLOWED = [
    "",
    " ",
    "http://127.0.0.1:9",
    "HTTPS://user:word@host/path",
    " http://host ",
    "sqlite:///relative.db",
    "sqlite:////proc/no/such.db",
    "sqlite+pysqlite:////tmp/x.db?timeout=5",
    "databricks",
    "databricks://profile",
]


@pytest.mark.parametrize(("uri", "why"), REFUSED)
def test_check_tracking_uri_refuses_unusable_uri(tmp_path, monkeypatch, uri, why):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(UserError) as told:
        check_tracking_uri(tmp_path)
    assert why in str(told.value)
    assert "allowed: http://HOST:PORT" in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("uri", ALLOWED)
def test_check_tracking_uri_accepts_usable_uri(tmp_path, monkeypatch, uri):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    check_tracking_uri(tmp_path)


@pytest.mark.parametrize(
    ("scheme", "driver", "package"),
    [
        ("postgresql", "psycopg", "'factorlab[postgres]'"),
        ("postgresql+psycopg2", "psycopg2", "psycopg2-binary"),
        ("mysql", "MySQLdb", "mysqlclient"),
        ("mysql+pymysql", "pymysql", "pymysql"),
        ("mssql", "pyodbc", "pyodbc"),
    ],
)
def test_check_tracking_uri_names_missing_driver(tmp_path, monkeypatch, scheme, driver, package):
    monkeypatch.setitem(sys.modules, driver, None)  # not installed
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"{scheme}://user:s3cret@host/db")
    with pytest.raises(UserError) as told:
        check_tracking_uri(tmp_path)
    assert f"install it by: pip install {package};" in str(told.value)
    assert "s3cret" not in str(told.value)


def test_check_tracking_uri_names_the_missing_library_of_s3(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "boto3", None)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/other.db")
    monkeypatch.setenv("MLFLOW_DEFAULT_ARTIFACT_ROOT", "s3://bucket/path")
    check_tracking_uri(tmp_path)  # a SQLite file has its artifacts beside it
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://host/db")
    with pytest.raises(UserError, match=r"pip install 'factorlab\[s3\]'"):
        check_tracking_uri(tmp_path)


@pytest.mark.parametrize(
    "arguments", [["sweep", "mine.yaml"], ["reproduce"], ["sync"], ["analyse", "mine"], ["ui"]]
)
def test_check_tracking_uri_precedes_every_command(tmp_path, arguments):
    write_experiment(tmp_path / "mine.yaml")
    (tmp_path / "runs" / "sweeps").mkdir(parents=True)
    ended = factorlab(*arguments, cwd=tmp_path, MLFLOW_TRACKING_URI="file:./mlruns")
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert line.startswith("factorlab: MLFLOW_TRACKING_URI = file:./mlruns: a folder of files")
    assert "mlflow migrate-filestore" in line
    assert {path.name for path in tmp_path.rglob("*")} == {"mine.yaml", "runs", "sweeps"}


def test_sentence_keeps_remedy_of_long_message():
    remedy = "set X=true to go on"
    long = MlflowException("First line.\n" + "word " * LONGEST_MESSAGE + remedy)
    said = sentence(long, "")
    assert said.startswith("First line. word")
    assert said.endswith(remedy)
    assert len(said) == LONGEST_MESSAGE + len(" ... ")
    of_sql = "(sqlite3.OperationalError) database is locked\n[SQL: SELECT 1]\n(Background: ...)"
    assert sentence(MlflowException(of_sql), "").endswith("database is locked")
    assert sentence(TimeoutError(), "") == "TimeoutError"


def test_sync_fills_file_store_if_allowed(tmp_path):
    code = (
        "from pathlib import Path\n"
        "from tests.helpers.mlflow_runs import *\nruns = Path('runs')\n"
        "write_record(runs, 0, done=True); write_record(runs, 1)\n"
        "print(sync_of(runs, [0, 1]).sync(), sync_of(runs, [0, 1]).sync(), len(all_runs(runs)))"
    )
    environment = {
        "MLFLOW_ALLOW_FILE_STORE": "true",
        "MLFLOW_TRACKING_URI": f"file:{tmp_path}/store",
        "PYTHONPATH": ":".join(filter(None, sys.path)),
    }
    check = "from sweeps.tracking.store.uri import check_tracking_uri; check_tracking_uri(runs)"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{check}"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["20", "0", "3"], done.stderr


def test_own_database_by_any_spelling(tmp_path, monkeypatch):
    runs = tmp_path / "100% of?it"
    own = runs / "mlflow.db"
    assert own_database(uri_of(runs), runs) == own
    assert sqlite_file(uri_of(runs)) == own
    monkeypatch.chdir(tmp_path)
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "runs")
    for uri in ("sqlite:///runs/mlflow.db", f"sqlite:///{link}/mlflow.db?timeout=3"):
        assert own_database(uri, tmp_path / "runs") == tmp_path / "runs" / "mlflow.db"
    for uri in ("sqlite:///mlflow.db", "http://runs/mlflow.db", "sqlite://", "postgresql://h/d"):
        assert own_database(uri, tmp_path / "runs") is None


@pytest.mark.parametrize(
    ("uri", "secret"),
    [
        ("https://user:s3cret@host/path", "s3cret"),
        ("https://token-of-mine@host", "token-of-mine"),
        ("postgresql+psycopg://u:p/w%40rd@host:5432/db?sslmode=require", "p/w%40rd"),
        ("mysql://host/db?user=u&password=s3cret", "s3cret"),
        ("https://user:s3[cret@host", "s3[cret"),
    ],
)
def test_redact_removes_secrets(uri, secret):
    assert secret not in redact(f"cannot reach {uri}: {secret} was refused", uri)
    assert "host" in redact(uri, uri)


def test_tracking_uri_ignores_blank_variable(runs, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "  ")
    assert tracking_uri(runs) == uri_of(runs)
    finish(write_record(runs, 0))
    sync_of(runs, [0]).sync()
    assert assert_same_points(runs, [0]) == 10
    assert len(all_runs(runs)) == 2
    assert Record(runs, key_of(0)).state() == "done"
