"""Start Ray on this machine or connect to a cluster, and determine its capacity.

No module may import Ray before `connect`, because Ray reads its settings from the environment at
import time.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factorlab.errors import UserError, user_message
from factorlab.storage.files import can_write
from factorlab.system.cores import usable
from sweeps.planning.experiment import Resources

OBJECT_STORE_BYTES = 100 * 2**20
"""Size of Ray's shared memory on this machine. Trials exchange only a few numbers."""

SOCKET_PATH = 107 if sys.platform == "linux" else 103
"""Maximum length of a socket path in bytes."""

_SESSION = len("/session_2026-11-25_23-08-44_917801_1234567/sockets/plasma_store.1")
"""Bytes that Ray appends to its folder to form a socket path."""

_SHORT = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 - Ray creates its own subfolders there
"""Fallback locations of Ray's folder if the path set in the environment is too long."""

_LOOPBACK = ("127.0.0.1", "localhost", "::1")

_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # Ray's future default; avoids a warning
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # each trial writes its own record
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",  # rarely, as the state is in the plan and the records
}


def _configure(address: str | None) -> None:
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
        if not _has_token() and not can_write(Path.home() / ".ray"):
            # Ray would write the token of the local cluster to ~/.ray.
            settings["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    elif address.rpartition(":")[0].strip("[]") not in _LOOPBACK:
        settings["RAY_AUTH_MODE"] = "token"  # anyone who can reach a cluster can run code on it
    for key, value in settings.items():
        os.environ.setdefault(key, value)


def connect(address: str | None) -> None:
    """Start Ray with all cores this process may use, or connect to a cluster.

    Does nothing if Ray is already running.

    Args:
        address: Address of a cluster; None to start Ray on this machine.

    Raises:
        UserError: No cluster answers at the address, it requires a different token, or Ray fails
            to start on this machine.
    """
    _configure(address)
    import ray  # noqa: PLC0415 - Ray reads its settings at import time
    from ray.exceptions import AuthenticationError  # noqa: PLC0415

    if ray.is_initialized():
        return
    quiet: dict[str, Any] = {
        "logging_level": logging.ERROR,
        "log_to_driver": False,
        "job_config": _job(local=address is None),
    }
    if address is not None:
        try:
            ray.init(address=address, **quiet)
        except AuthenticationError:
            raise UserError(
                f"--address {address}: Ray needs the token of that cluster in RAY_AUTH_TOKEN or "
                "~/.ray/auth_token ('ray get-auth-token --generate' creates one); for a cluster "
                "without a token, set RAY_AUTH_MODE=disabled"
            ) from None
        except (ConnectionError, ValueError, RuntimeError) as error:
            # Ray raises the same errors for a rejected token and for an unreachable cluster.
            to = " to this token" if os.environ.get("RAY_AUTH_MODE") == "token" else ""
            raise UserError(
                f"--address {address}: no Ray cluster answers{to}: {reason(error)}"
            ) from None
        return
    try:
        ray.init(
            address="local",  # do not join another cluster on this machine
            num_cpus=usable(),
            include_dashboard=False,
            object_store_memory=OBJECT_STORE_BYTES,
            _temp_dir=_temporary_folder(),
            **quiet,
        )
    except Exception as error:  # Ray raises bare exceptions if one of its processes fails to start
        if user_message(error) is not None:
            raise
        raise UserError(f"Ray failed to start on this machine: {reason(error)}") from None


def _has_token() -> bool:
    """Return whether this user has a token for Ray clusters."""
    given = os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH")
    return bool(given) or (Path.home() / ".ray" / "auth_token").exists()


def _temporary_folder() -> str:
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


def reason(error: BaseException | str) -> str:
    """Return the cause of a failure on Ray in one line.

    Args:
        error: Exception raised by Ray, or its text. The text is either a traceback, which ends
            with the relevant exception, or an explanation, which starts with a summary.
    """
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip()
    lines = [line for line in text.splitlines() if line.strip()]
    frames = [i for i, line in enumerate(lines) if re.match(r'\s+File "', line)]
    after = lines[frames[-1] + 1 :] if frames else lines
    found = next((line.strip() for line in after if frames == [] or not line[0].isspace()), "")
    return found or type(error).__name__


def _job(*, local: bool) -> Any:  # noqa: ANN401 - Ray has no types
    """Return a job configuration with which workers import the same packages as the driver.

    By default, Ray puts the driver's working folder first on the import path of every worker. It
    does not do so for a job with its own working folder. This job claims to have one.

    Args:
        local: Whether workers run on this machine, with this Python.
    """
    from ray.job_config import JobConfig  # noqa: PLC0415 - as in `connect`

    class Installed(JobConfig):  # type: ignore[misc]  # Ray has no types
        def _runtime_env_has_working_dir(self) -> bool:
            return True

    quoted = shlex.quote(sys.executable)
    if local and quoted != sys.executable:  # Ray passes the path to a shell without quoting it
        return Installed(runtime_env={"py_executable": quoted})
    return Installed()


@dataclass(frozen=True)
class Capacity:
    """Capacity of the connected cluster."""

    resources: dict[str, float]
    """Resources per trial or pack, by Ray's resource names."""

    slots: int
    """Number of trials or packs that fit on the cluster at the same time."""


def capacity(wanted: Resources) -> Capacity:
    """Return how many trials or packs fit on the connected cluster.

    Args:
        wanted: Resources per trial or pack.

    Raises:
        UserError: Not a single one fits.
    """
    import ray  # noqa: PLC0415 - as above

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    resources = {"CPU": wanted.cpu}
    if any(node.get("GPU", 0) > 0 for node in nodes):
        resources["GPU"] = wanted.gpu
    slots = sum(min(int(node.get(k, 0) / v) for k, v in resources.items()) for node in nodes)
    if slots == 0:
        asked = ", ".join(f"resources.{k.lower()} = {v:g}" for k, v in resources.items())
        has = "; ".join(
            " and ".join(f"{node.get(k, 0):g} {k}" for k in resources) for node in nodes
        )
        raise UserError(f"{asked}: no machine of the cluster has that much; available: {has}")
    return Capacity(resources, slots)


def disconnect() -> None:
    """Stop Ray on this machine or disconnect from the cluster. No-op if Ray was never started."""
    if "ray" in sys.modules:
        import ray  # noqa: PLC0415

        ray.shutdown()
