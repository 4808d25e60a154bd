"""Settings of Ray: environment variables, the folder of its sockets, import paths of workers.

Does not import Ray, which reads its settings at import time.
"""

from __future__ import annotations

import os
import secrets
import shlex
import sys
from pathlib import Path
from typing import Any

from factorlab.errors import UserError
from factorlab.system.cache_folder import can_write

SOCKET_PATH = 107 if sys.platform == "linux" else 103
"""Maximum length of a socket path in bytes."""

_SESSION = len("/session_2026-11-25_23-08-44_917801_1234567/sockets/plasma_store.1")
"""Bytes that Ray appends to its folder to form a socket path."""

_SHORT = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 - Ray creates its own subfolders there
"""Fallback locations of Ray's folder if the path set in the environment is too long."""

CLIENT = "ray://"
"""Beginning of the addresses of Ray Client."""

_LOOPBACK = ("127.0.0.1", "localhost", "::1")

_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # Ray's future default; avoids a warning
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # each trial writes its own record
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",  # rarely, as the state is in the plan and the records
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",  # the summary of the sweep has them
}


def configure(address: str | None) -> None:
    """Configure Ray through environment variables. Variables that the user has set are kept.

    Args:
        address: Address of a cluster. If None, Ray listens on this machine only. If it is on
            another machine, Ray requires a token.
    """
    settings = dict(_SETTINGS)
    if address is None:
        # Despite its name, this variable decides on every system whether Ray's processes bind to
        # the loopback address or to all interfaces.
        settings["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        if not has_token() and not can_write(Path.home() / ".ray"):
            # Ray would write the token of the local cluster to ~/.ray.
            settings["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    elif address.removeprefix(CLIENT).rpartition(":")[0].strip("[]") not in _LOOPBACK:
        settings["RAY_AUTH_MODE"] = "token"  # anyone who can reach a cluster can run code on it
    for key, value in settings.items():
        os.environ.setdefault(key, value)


def has_token() -> bool:
    """Return whether this user has a token for Ray clusters."""
    given = os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH")
    return bool(given) or (Path.home() / ".ray" / "auth_token").exists()


def temporary_folder() -> str:
    """Return the folder for Ray's sockets and logs, in RAY_TMPDIR, TMPDIR or a short fallback.

    The fallback is needed because batch systems set TMPDIR to paths that are too long for sockets.

    Raises:
        UserError: No folder is usable.
    """
    longest = SOCKET_PATH - _SESSION - len("/ray")
    given = os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or _SHORT[0]
    for folder in (Path(given), *map(Path, _SHORT)):
        fits = str(folder).isascii() and len(str(folder)) <= longest
        if folder.is_absolute() and fits and folder.is_dir() and os.access(folder, os.W_OK):
            return str(folder / "ray")
    raise UserError(
        f"{given}: Ray needs a writable folder with an ASCII path of at most {longest} bytes, and "
        f"none of {', '.join(_SHORT)} is writable; set RAY_TMPDIR to such a folder"
    )


def job_config(*, local: bool) -> Any:  # noqa: ANN401 - Ray has no types
    """Return a job configuration with which workers import the same packages as the driver.

    By default, Ray puts the driver's working folder first on the import path of every worker. It
    does not do so for a job with its own working folder. This job claims to have one.

    Args:
        local: Whether workers run on this machine, with this Python.
    """
    from ray.job_config import JobConfig  # noqa: PLC0415 - Ray reads its settings at import time

    class Installed(JobConfig):  # type: ignore[misc]  # Ray has no types
        def _runtime_env_has_working_dir(self) -> bool:
            return True

    quoted = shlex.quote(sys.executable)
    if local and quoted != sys.executable:  # Ray passes the path to a shell without quoting it
        return Installed(runtime_env={"py_executable": quoted})
    return Installed()
