"""Starting Ray on this machine, or connecting to a cluster, and how much room there is.

Nothing may import Ray before: it reads its settings from the environment when it is imported.
"""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import dataclass
from typing import Any

from factorlab.errors import UserError
from sweeps.experiment import Resources

OBJECT_STORE_BYTES = 100 * 2**20
"""Ray's shared memory on this machine: trials exchange nothing but a few numbers."""

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
    elif address.rpartition(":")[0].strip("[]") not in _LOOPBACK:
        settings["RAY_AUTH_MODE"] = "token"  # whoever reaches a cluster may run code on it
    for key, value in settings.items():
        os.environ.setdefault(key, value)


def connect(address: str | None) -> None:
    """Start Ray with all cores this process may use, or connect to a cluster; once.

    Raises:
        UserError: no cluster answers at the address, or it asks for another token.
    """
    _configure(address)
    import ray  # noqa: PLC0415 - it reads its settings when it is imported
    from ray.exceptions import AuthenticationError  # noqa: PLC0415

    if ray.is_initialized():
        return
    quiet: dict[str, Any] = {
        "logging_level": logging.ERROR,
        "log_to_driver": False,
        "job_config": _installed_code(),
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
            reason = str(error).strip().splitlines()[0]
            # Ray does not tell a cluster that refuses the token from one that is not there.
            to = " to this token" if os.environ.get("RAY_AUTH_MODE") == "token" else ""
            raise UserError(f"--address {address}: no Ray cluster answers{to}: {reason}") from None
        return
    ray.init(
        address="local",  # whatever other cluster runs on this machine
        num_cpus=len(os.sched_getaffinity(0)),
        include_dashboard=False,
        object_store_memory=OBJECT_STORE_BYTES,
        **quiet,
    )


def _installed_code() -> Any:  # noqa: ANN401 - Ray has no types
    """Return a configuration by which workers import what is installed, as the driver does.

    By default Ray puts the driver's working folder in front of every worker's import path, which
    a job with a folder of its own is spared; this one has none, and says that it has.
    """
    from ray.job_config import JobConfig  # noqa: PLC0415 - as in `connect`

    class Installed(JobConfig):  # type: ignore[misc]  # Ray has no types
        def _runtime_env_has_working_dir(self) -> bool:
            return True

    return Installed()


@dataclass(frozen=True)
class Room:
    """The room of the cluster that is connected."""

    resources: dict[str, float]
    """What a trial, or a pack, occupies, by Ray's names."""

    slots: int
    """How many of them fit at a time."""


def room(wanted: Resources) -> Room:
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
    return Room(resources, slots)


def disconnect() -> None:
    """Stop Ray on this machine, or leave the cluster; nothing if Ray was never started."""
    if "ray" in sys.modules:
        import ray  # noqa: PLC0415

        ray.shutdown()
