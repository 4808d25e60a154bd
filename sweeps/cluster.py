"""Starting Ray on this machine, or connecting to a cluster.

Nothing may import Ray before: it reads its settings from the environment when it is imported.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

from factorlab.errors import UserError

OBJECT_STORE_BYTES = 100 * 2**20
"""Ray's shared memory on this machine: trials exchange nothing but a few numbers."""

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
        address: of a cluster; without one nothing listens beyond this machine.
    """
    settings = dict(_SETTINGS)
    if address is None:
        # Despite its name this decides, on every system, whether Ray's processes bind to the
        # loopback address or to all interfaces.
        settings["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    for key, value in settings.items():
        os.environ.setdefault(key, value)


def connect(address: str | None) -> None:
    """Start Ray with all cores this process may use, or connect to a cluster.

    Raises:
        UserError: no cluster answers at the address.
    """
    _configure(address)
    import ray  # noqa: PLC0415 - it reads its settings when it is imported

    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if address is not None:
        try:
            ray.init(address=address, **quiet)
        except (ConnectionError, ValueError, RuntimeError) as error:
            reason = str(error).strip().splitlines()[0]
            raise UserError(f"--address {address}: no Ray cluster answers: {reason}") from None
        return
    ray.init(
        address="local",  # whatever other cluster runs on this machine
        num_cpus=len(os.sched_getaffinity(0)),
        include_dashboard=False,
        object_store_memory=OBJECT_STORE_BYTES,
        **quiet,
    )


def disconnect() -> None:
    """Stop Ray on this machine, or leave the cluster; nothing if Ray was never started."""
    if "ray" in sys.modules:
        import ray  # noqa: PLC0415

        ray.shutdown()
