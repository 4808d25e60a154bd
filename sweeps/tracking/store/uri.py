"""MLflow tracking URIs: validation, the runs folder's own database, and redaction of secrets.

This module does not import MLflow, because that takes seconds.
"""

from __future__ import annotations

import os
import re
import shlex
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from factorlab.errors import UserError, suggestion

VARIABLE = "MLFLOW_TRACKING_URI"
ARTIFACTS = "MLFLOW_DEFAULT_ARTIFACT_ROOT"

_DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
_SERVERS = ("http", "https")
_PACKAGES = {
    "MySQLdb": "mysqlclient",
    "psycopg": "'factorlab[postgres]'",
    "psycopg2": "psycopg2-binary",
}
"""Package name of a database driver, by module name, where the two differ."""

_SECRET_OPTION = re.compile(
    r"([?&][\w.-]*(?:pass|pwd|token|secret|key|sig)[\w.-]*=)([^&\s'\"]+)", re.I
)
_CREDENTIALS = re.compile(r"://(\S*)@")
_SQLITE_FILE = re.compile(r"sqlite(?:\+pysqlite)?:///([^?]+)(?:\?.*)?", re.I)
_HOST_AND_PORT = re.compile(r"[\w.-]+:\d+(/.*)?")


def tracking_uri(runs: Path) -> str:
    """Return the store's URI: MLFLOW_TRACKING_URI, or else a SQLite file in the runs folder."""
    return os.environ.get(VARIABLE, "").strip() or uri_of(runs)


def uri_of(runs: Path) -> str:
    """Return the URI of a runs folder's own database."""
    return uri_of_file(_own(runs))


def uri_of_file(database: Path) -> str:
    """Return the URI of a SQLite database, which may not exist yet."""
    path = str(database)
    if "%" in path or "?" in path:
        # SQLAlchemy decodes the path of a URI. MLflow creates the folder of a `sqlite:///` URI
        # without decoding the path, but does not do so for this form of URI.
        return f"sqlite+pysqlite:///{path.replace('%', '%25').replace('?', '%3F')}"
    return f"sqlite:///{path}"


def own_database(uri: str, runs: Path) -> Path | None:
    """Return the path of the runs folder's own database if a URI refers to it, else None."""
    own = _own(runs)
    if uri == uri_of(runs):
        return own
    path = sqlite_file(uri)
    return own if path is not None and path.resolve() == own else None


def _own(runs: Path) -> Path:
    return runs.resolve() / "mlflow.db"


def sqlite_file(uri: str) -> Path | None:
    """Return the file of a SQLite URI, or None for other URIs and in-memory databases."""
    match = _SQLITE_FILE.fullmatch(uri)
    return Path(unquote(match[1])) if match and match[1] != ":memory:" else None


def artifact_root(uri: str, runs: Path) -> str | None:
    """Return the artifact location of new MLflow experiments as a URI.

    For a SQLite file, artifacts are stored next to the file, so that both can be moved and shared
    together. For other databases, they are stored in MLFLOW_DEFAULT_ARTIFACT_ROOT, such as
    `s3://BUCKET/PATH`, or else in the runs folder; MLflow would use the working folder. For
    servers, the result is None and the server decides.
    """
    if _kind(uri) not in _DATABASES:
        return None
    file = sqlite_file(uri)
    chosen = os.environ.get(ARTIFACTS, "").strip()
    if file is None and chosen:
        return chosen
    folder = file.resolve().parent if file is not None else runs.resolve()
    return (folder / "artifacts").as_uri()


def is_server(uri: str) -> bool:
    """Return whether a URI refers to an MLflow server."""
    return _kind(uri) in _SERVERS


def _kind(uri: str) -> str:
    return uri.partition(":")[0].partition("+")[0].lower()


def purge_command(uri: str) -> str:
    """Return the command that permanently removes deleted runs and experiments from a store."""
    if _kind(uri) not in _DATABASES:
        return "mlflow gc, on the server"
    shown = shlex.quote(redact(uri))
    return f"mlflow gc --backend-store-uri {shown} --tracking-uri {shown}"


def redact(text: str, uri: str = "") -> str:
    """Return a text without credentials.

    Credentials in any URI are masked, and those of the given URI wherever they occur.

    Args:
        text: Text that may contain credentials.
        uri: URI whose credentials are masked everywhere.
    """
    secrets = [os.environ.get(f"MLFLOW_TRACKING_{name}", "") for name in ("PASSWORD", "TOKEN")]
    secrets += [match[2] for match in _SECRET_OPTION.finditer(uri)]
    for match in _CREDENTIALS.finditer(uri):
        user, _, password = match[1].partition(":")
        if password or _kind(uri) not in _DATABASES:  # a user without a password may be a token
            secrets.append(password or user)
    text = _SECRET_OPTION.sub(r"\1***", _CREDENTIALS.sub("://***@", text))
    for secret in sorted({*secrets, *map(unquote, secrets)} - {""}, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def check_tracking_uri(runs: Path) -> None:
    """Reject a tracking URI that MLflow can never use, before training starts.

    A server or database that does not respond is accepted, since training works without it.

    Raises:
        UserError: The URI is malformed or of an unknown kind, or the database driver is missing.
    """
    uri = tracking_uri(runs)
    if own_database(uri, runs) is not None:
        return
    root = artifact_root(uri, runs) or ""
    if root.startswith("s3://") and find_spec("boto3") is None:
        raise UserError(
            f"{ARTIFACTS} = {root}: the library boto3 is missing; install it by: "
            "pip install 'factorlab[s3]'"
        )
    allowed = f"; if it is not set, MLflow uses {_own(runs)}"
    check_uri(uri, f"{VARIABLE} = {redact(uri)}", allowed)


def check_uri(uri: str, source: str, allowed: str = "") -> None:
    """Reject a URI that MLflow can never use.

    Args:
        uri: URI of a store.
        source: Option and value to name in the message, without credentials.
        allowed: Text to add to what is allowed.

    Raises:
        UserError: The URI is malformed or of an unknown kind, or the database driver is missing.
    """
    problem = _problem(uri)
    if problem is not None:
        raise UserError(
            f"{source}: {problem}; allowed: http://HOST:PORT of an MLflow server, "
            "sqlite:////PATH/FILE.db, or the URI of a postgresql, mysql or mssql database"
            f"{allowed}"
        )


def _problem(uri: str) -> str | None:
    """Return why MLflow cannot use a URI, or None if it may be usable."""
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
    """Return why a file store cannot be used, or None if the environment allows it."""
    if os.environ.get("MLFLOW_ALLOW_FILE_STORE", "").lower() in ("true", "1"):
        return None
    return (
        "a folder of files, which MLflow no longer writes to ('mlflow migrate-filestore' converts "
        "it to a SQLite database; MLFLOW_ALLOW_FILE_STORE=true allows it anyway)"
    )


def _server_problem(parts: SplitResult) -> str | None:
    """Return what is wrong with the URI of a server, or None."""
    try:
        port = parts.port
    except ValueError:  # its message may quote a password
        return "the port is not a number up to 65535"
    return None if parts.hostname and port != 0 else "the host is missing, or the port is 0"


def _database_problem(uri: str) -> str | None:
    """Return what is wrong with the URI of a database or which driver is missing, or None."""
    from sqlalchemy.engine import make_url  # noqa: PLC0415 - half a second
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415

    try:
        url = make_url(uri)
        url.get_dialect().import_dbapi()
    except ImportError as error:
        package = _PACKAGES.get(error.name or "", error.name)
        return f"the database driver is missing ({error}); install it by: pip install {package}"
    except ArgumentError as error:
        return f"not the URI of a database: {redact(str(error), uri).splitlines()[0]}"
    except ValueError:  # as above
        return "not the URI of a database: invalid host, port or driver"
    if url.get_backend_name() == "sqlite":
        if url.host:
            return (
                "a SQLite URI has three slashes before a relative path, four before an absolute one"
            )
        if url.database in (None, "", ":memory:"):
            return "it has no file name, and an in-memory database is lost when the process ends"
    return None
