"""Tracking URIs of MLflow: which are allowed, which is the runs folder's own, and no secrets.

Nothing here imports MLflow, which takes seconds.
"""

from __future__ import annotations

import os
import re
import shlex
from importlib.metadata import entry_points
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from factorlab.errors import UserError, suggestion

VARIABLE = "MLFLOW_TRACKING_URI"

_DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
_SERVERS = ("http", "https")
_PACKAGES = {"MySQLdb": "mysqlclient", "psycopg": "psycopg[binary]", "psycopg2": "psycopg2-binary"}
"""What to install for a driver where that has another name than its module."""

_SECRET_OPTION = re.compile(
    r"([?&][\w.-]*(?:pass|pwd|token|secret|key|sig)[\w.-]*=)([^&\s'\"]+)", re.I
)
_CREDENTIALS = re.compile(r"://(\S*)@")
_SQLITE_FILE = re.compile(r"sqlite(?:\+pysqlite)?:///([^?]+)(?:\?.*)?", re.I)
_HOST_AND_PORT = re.compile(r"[\w.-]+:\d+(/.*)?")


def tracking_uri(runs: Path) -> str:
    """Return the store's URI: MLFLOW_TRACKING_URI, else a SQLite file in the runs folder."""
    return os.environ.get(VARIABLE, "").strip() or uri_of(runs)


def uri_of(runs: Path) -> str:
    """Return the URI of a runs folder's own database."""
    return uri_of_file(_own(runs))


def uri_of_file(database: Path) -> str:
    """Return the URI of a SQLite database, which may not exist yet."""
    path = str(database)
    if "%" in path or "?" in path:
        # SQLAlchemy decodes the path of a URI. MLflow makes the folder of a `sqlite:///` URI
        # without decoding it, but leaves this form of it alone.
        return f"sqlite+pysqlite:///{path.replace('%', '%25').replace('?', '%3F')}"
    return f"sqlite:///{path}"


def own_database(uri: str, runs: Path) -> Path | None:
    """Return a runs folder's own database if that is the store, else None."""
    own = _own(runs)
    if uri == uri_of(runs):
        return own
    path = sqlite_file(uri)
    return own if path is not None and path.resolve() == own else None


def _own(runs: Path) -> Path:
    return runs.resolve() / "mlflow.db"


def sqlite_file(uri: str) -> Path | None:
    """Return the file of a SQLite database by its URI, None where that is something else."""
    match = _SQLITE_FILE.fullmatch(uri)
    return Path(unquote(match[1])) if match and match[1] != ":memory:" else None


def artifact_root(uri: str, runs: Path) -> str | None:
    """Return where the artifacts of new MLflow experiments are to lie, as a URI.

    A SQLite file has them beside it, so that the two can be moved and shared as one. Other
    databases have no folder, so the runs folder takes them. None means that the store decides,
    as a server does; for a mere database MLflow would use the working folder.
    """
    if _kind(uri) not in _DATABASES:
        return None
    file = sqlite_file(uri)
    folder = file.resolve().parent if file is not None else runs.resolve()
    return (folder / "artifacts").as_uri()


def is_server(uri: str) -> bool:
    """Return whether a URI is that of an MLflow server."""
    return _kind(uri) in _SERVERS


def _kind(uri: str) -> str:
    return uri.partition(":")[0].partition("+")[0].lower()


def purge_command(uri: str) -> str:
    """Return the command that removes for good what was deleted in a store."""
    if _kind(uri) not in _DATABASES:
        return "mlflow gc, on the server"
    shown = shlex.quote(redact(uri))
    return f"mlflow gc --backend-store-uri {shown} --tracking-uri {shown}"


def redact(text: str, uri: str = "") -> str:
    """Return a text without credentials: those in URIs, and those of one URI anywhere."""
    secrets = [os.environ.get(f"MLFLOW_TRACKING_{name}", "") for name in ("PASSWORD", "TOKEN")]
    secrets += [match[2] for match in _SECRET_OPTION.finditer(uri)]
    for match in _CREDENTIALS.finditer(uri):
        user, _, password = match[1].partition(":")
        if password or _kind(uri) not in _DATABASES:  # alone, a user may be a token
            secrets.append(password or user)
    text = _SECRET_OPTION.sub(r"\1***", _CREDENTIALS.sub("://***@", text))
    for secret in sorted({*secrets, *map(unquote, secrets)} - {""}, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def check_tracking_uri(runs: Path) -> None:
    """Refuse a tracking URI that MLflow can never use, before anything trains.

    A server or database that does not answer is not refused: training goes on without it.

    Raises:
        UserError: the URI is malformed, of an unknown kind, or of a database without its driver.
    """
    uri = tracking_uri(runs)
    if own_database(uri, runs) is not None:
        return
    problem = _problem(uri)
    if problem is not None:
        raise UserError(
            f"{VARIABLE} = {redact(uri)}: {problem}; allowed: "
            "http://HOST:PORT of an MLflow server, sqlite:////PATH/FILE.db, or the URI of a "
            f"postgresql, mysql or mssql database; without it MLflow uses {_own(runs)}"
        )


def _problem(uri: str) -> str | None:
    """Return why MLflow cannot use a URI, None if it may."""
    try:
        parts = urlsplit(uri)
    except ValueError as error:
        return f"not a URI: {error}"
    plugins = {entry.name for entry in entry_points(group="mlflow.tracking_store")}
    kind = _kind(uri) if ":" in uri else uri
    if kind in plugins or kind == "databricks":
        return None
    if kind in _SERVERS or kind in _DATABASES:
        return _server_problem(parts) if kind in _SERVERS else _database_problem(uri)
    if _HOST_AND_PORT.fullmatch(uri):
        return f"it has no scheme; did you mean 'http://{uri}'?"
    if parts.scheme in ("", "file") or len(parts.scheme) == 1:
        return _file_store_problem()
    return f"unknown scheme '{parts.scheme}'{suggestion(kind, [*_SERVERS, *_DATABASES])}"


def _file_store_problem() -> str | None:
    """Return why a folder of files is no store; MLflow has a variable that allows it."""
    if os.environ.get("MLFLOW_ALLOW_FILE_STORE", "").lower() in ("true", "1"):
        return None
    return (
        "a folder of files, which MLflow no longer writes to ('mlflow migrate-filestore' turns "
        "one into a SQLite database; MLFLOW_ALLOW_FILE_STORE=true allows it all the same)"
    )


def _server_problem(parts: SplitResult) -> str | None:
    """Return what is wrong with the URI of a server."""
    try:
        port = parts.port
    except ValueError:  # its words quote what may be a password
        return "its port is no number up to 65535"
    return None if parts.hostname and port != 0 else "it names no host, or port 0"


def _database_problem(uri: str) -> str | None:
    """Return what is wrong with the URI of a database, or which driver is missing."""
    from sqlalchemy.engine import make_url  # noqa: PLC0415 - half a second
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415

    try:
        url = make_url(uri)
        url.get_dialect().import_dbapi()
    except ImportError as error:
        package = _PACKAGES.get(error.name or "", error.name)
        return f"the database's driver is missing ({error}); 'pip install {package}' adds it"
    except ArgumentError as error:
        return f"not the URI of a database: {redact(str(error), uri).splitlines()[0]}"
    except ValueError:  # as above
        return "not the URI of a database: host, port or driver are not as they should be"
    if url.get_backend_name() == "sqlite":
        if url.host:
            return "a SQLite URI has three slashes before a relative path, four before another"
        if url.database in (None, "", ":memory:"):
            return "it names no file, and a database in memory ends with the process"
    return None
