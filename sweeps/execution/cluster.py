"""Starting Ray on this machine, or connecting to a cluster, and how much room there is.

Nothing may import Ray before: it reads its settings from the environment when it is imported.
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
"""Ray's shared memory on this machine: trials exchange nothing but a few numbers."""

SOCKET_PATH = 107 if sys.platform == "linux" else 103
"""Bytes that the path of a socket may have."""

_SESSION = len("/session_2026-11-25_23-08-44_917801_1234567/sockets/plasma_store.1")
"""Bytes that Ray adds to its folder for the path of a socket."""

_SHORT = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 - Ray makes folders of its own there
"""Where Ray's folder may lie if that of the environment has too long a path."""

_LOOPBACK = ("127.0.0.1", "localhost", "::1")

_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # the coming default, without its warning
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # the record is written by the trial itself
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",  # plan and records are the state, not Tune's own file
}


def _configure(address: str | None) -> None:
    """Set Ray up through the environment; what the user has set there stays.

    Args:
        address: of a cluster; without one nothing listens beyond this machine, and with one that
            lies elsewhere Ray asks for a token.
    """
    settings = dict(_SETTINGS)
    if address is None:
        # Despite its name this decides, on every system, whether Ray's processes bind to the
        # loopback address or to all interfaces.
        settings["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        if not _has_token() and not can_write(Path.home() / ".ray"):
            # Ray would write it there for this machine's own cluster.
            settings["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    elif address.rpartition(":")[0].strip("[]") not in _LOOPBACK:
        settings["RAY_AUTH_MODE"] = "token"  # whoever reaches a cluster may run code on it
    for key, value in settings.items():
        os.environ.setdefault(key, value)


def connect(address: str | None) -> None:
    """Start Ray with all cores this process may use, or connect to a cluster; once.

    Raises:
        UserError: no cluster answers at the address, it asks for another token, or Ray does not
            start on this machine.
    """
    _configure(address)
    import ray  # noqa: PLC0415 - it reads its settings when it is imported
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
                "~/.ray/auth_token ('ray get-auth-token --generate' makes one); a cluster without "
                "any takes RAY_AUTH_MODE=disabled"
            ) from None
        except (ConnectionError, ValueError, RuntimeError) as error:
            # Ray does not tell a cluster that refuses the token from one that is not there.
            to = " to this token" if os.environ.get("RAY_AUTH_MODE") == "token" else ""
            raise UserError(
                f"--address {address}: no Ray cluster answers{to}: {reason(error)}"
            ) from None
        return
    try:
        ray.init(
            address="local",  # whatever other cluster runs on this machine
            num_cpus=usable(),
            include_dashboard=False,
            object_store_memory=OBJECT_STORE_BYTES,
            _temp_dir=_temporary_folder(),
            **quiet,
        )
    except Exception as error:  # Ray raises no other where one of its processes does not start
        if user_message(error) is not None:
            raise
        raise UserError(f"Ray does not start on this machine: {reason(error)}") from None


def _has_token() -> bool:
    """Return whether Ray has a token for clusters of this user."""
    given = os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH")
    return bool(given) or (Path.home() / ".ray" / "auth_token").exists()


def _temporary_folder() -> str:
    """Return the folder for Ray's sockets and logs: in RAY_TMPDIR, TMPDIR or where it is short.

    Batch systems set TMPDIR to paths that are too long for sockets.

    Raises:
        UserError: no folder can be used.
    """
    longest = SOCKET_PATH - _SESSION - len("/ray")
    given = os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or _SHORT[0]
    for folder in (Path(given), *map(Path, _SHORT)):
        fits = str(folder).isascii() and len(str(folder)) <= longest
        if folder.is_absolute() and fits and folder.is_dir() and os.access(folder, os.W_OK):
            return str(folder / "ray")
    raise UserError(
        f"{given}: Ray needs a writable folder with an ASCII path of at most {longest} bytes, and "
        f"{', '.join(_SHORT)} cannot be written; name one in RAY_TMPDIR"
    )


def reason(error: BaseException | str) -> str:
    """Return in a line why something failed on Ray.

    Args:
        error: of Ray, or its text: a traceback, which ends with the exception that counts, or an
            explanation, which begins with a summary.
    """
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip()
    lines = [line for line in text.splitlines() if line.strip()]
    frames = [i for i, line in enumerate(lines) if re.match(r'\s+File "', line)]
    after = lines[frames[-1] + 1 :] if frames else lines
    found = next((line.strip() for line in after if frames == [] or not line[0].isspace()), "")
    return found or type(error).__name__


def _job(*, local: bool) -> Any:  # noqa: ANN401 - Ray has no types
    """Return a configuration by which workers import what is installed, as the driver does.

    By default Ray puts the driver's working folder in front of every worker's import path, which
    a job with a folder of its own is spared; this one has none, and says that it has.

    Args:
        local: workers run on this machine, by this Python.
    """
    from ray.job_config import JobConfig  # noqa: PLC0415 - as in `connect`

    class Installed(JobConfig):  # type: ignore[misc]  # Ray has no types
        def _runtime_env_has_working_dir(self) -> bool:
            return True

    quoted = shlex.quote(sys.executable)
    if local and quoted != sys.executable:  # Ray passes it to a shell as it is
        return Installed(runtime_env={"py_executable": quoted})
    return Installed()


@dataclass(frozen=True)
class Capacity:
    """The room of the cluster that is connected."""

    resources: dict[str, float]
    """What a trial, or a pack, occupies, by Ray's names."""

    slots: int
    """How many of them fit at a time."""


def capacity(wanted: Resources) -> Capacity:
    """Return how many trials, or packs, fit on the cluster that is connected.

    Raises:
        UserError: not one does.
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
        raise UserError(f"{asked}: no machine of the cluster has as much; they have {has}")
    return Capacity(resources, slots)


def disconnect() -> None:
    """Stop Ray on this machine, or leave the cluster; nothing if Ray was never started."""
    if "ray" in sys.modules:
        import ray  # noqa: PLC0415

        ray.shutdown()
