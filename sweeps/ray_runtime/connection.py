"""Start Ray on this machine, or connect to a cluster.

No module may import Ray before `connect`, because Ray reads its settings from the environment at
import time.
"""

from __future__ import annotations

import logging
import os
import re
import signal
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from factorlab.errors import UserError, user_message
from factorlab.system.cores import usable
from sweeps.ray_runtime import ray_log, ray_settings
from sweeps.ray_runtime.answers import first_answer

OBJECT_STORE_BYTES = 100 * 2**20
"""Size of Ray's shared memory on this machine. Trials exchange only a few numbers."""

_QUIET: dict[str, Any] = {"logging_level": logging.WARNING, "log_to_driver": False}

_CLIENT_TRIES = 3
"""Times that a connection through Ray Client is tried."""

_open = ExitStack()
"""What `disconnect` closes."""


def connect(address: str | None, runs: Path) -> None:
    """Start Ray with all cores this process may use, or connect to a cluster.

    Does nothing if Ray is already running.

    Args:
        address: Address of a cluster; None to start Ray on this machine.
        runs: Folder of all records. Ray's own messages go to a file in its subfolder `logs`.

    Raises:
        UserError: No cluster answers at the address, it requires a different token, or Ray fails
            to start on this machine.
    """
    ray_settings.configure(address)
    if "ray" in sys.modules:
        import ray  # noqa: PLC0415 - Ray reads its settings at import time

        if ray.is_initialized():
            return
    log = runs / "logs" / f"ray-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
    _open.enter_context(ray_log.redirected(log))
    handler = signal.getsignal(signal.SIGTERM)
    try:
        if address is None:
            _start()
        else:
            _join(address)
    except BaseException:
        _open.close()
        raise
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)  # Ray has installed one that exits at once


def _start() -> None:
    """Start Ray on this machine."""
    import ray  # noqa: PLC0415 - as above

    try:
        ray.init(
            address="local",  # do not join another cluster on this machine
            num_cpus=usable(),
            include_dashboard=False,
            object_store_memory=OBJECT_STORE_BYTES,
            _temp_dir=ray_settings.temporary_folder(),
            job_config=ray_settings.job_config(local=True),
            **_QUIET,
        )
    except Exception as error:  # Ray raises bare exceptions if one of its processes fails to start
        if user_message(error) is not None:
            raise
        raise UserError(f"Ray failed to start on this machine: {reason(error)}") from None


def _join(address: str) -> None:
    """Connect to a cluster.

    Raises:
        UserError: No cluster answers, or it requires a different token.
    """
    client = address.startswith(ray_settings.CLIENT)
    if os.environ.get("RAY_AUTH_MODE") == "token" and not ray_settings.has_token():
        raise _unreachable(address, "AuthenticationError", "")
    try:
        failure = first_answer(address, _QUIET, starts_a_process=client)
    except TimeoutError as error:
        raise UserError(f"--address {address}: no Ray cluster answers {error}") from None
    except (OSError, OverflowError) as error:  # OverflowError if there is no such port
        raise UserError(f"--address {address}: no Ray cluster answers: {error}") from None
    if failure is not None:
        raise _unreachable(address, *failure)
    import ray  # noqa: PLC0415 - as above

    # Ray Client takes no job configuration of our own, and starts no worker that trains.
    job = {} if client else {"job_config": ray_settings.job_config(local=False)}
    for again in reversed(range(_CLIENT_TRIES if client else 1)):
        try:
            ray.init(address=address, **job, **_QUIET)
        except (ConnectionError, ValueError, RuntimeError) as error:
            # The process of this client on the head node may have crashed; see `first_answer`.
            if not (again and isinstance(error, ConnectionAbortedError)):
                raise _unreachable(address, type(error).__name__, str(error)) from None
        else:
            return


def _unreachable(address: str, name: str, text: str) -> UserError:
    """Return the message for an error of Ray while it connects."""
    if name == "AuthenticationError":
        return UserError(
            f"--address {address}: Ray needs the token of that cluster in RAY_AUTH_TOKEN or "
            "~/.ray/auth_token ('ray get-auth-token --generate' creates one); for a cluster "
            "without a token, set RAY_AUTH_MODE=disabled"
        )
    # Ray raises the same errors for a rejected token and for an unreachable cluster.
    to = " to this token" if os.environ.get("RAY_AUTH_MODE") == "token" else ""
    return UserError(f"--address {address}: no Ray cluster answers{to}: {reason(text)}")


def reason(error: BaseException | str) -> str:
    """Return the cause of a failure on Ray in one line.

    Args:
        error: Exception raised by Ray, or its text. The text is either a traceback, which ends
            with the relevant exception, or an explanation, which starts with a summary.
    """
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip()
    text = re.sub(r" [0-9a-f]{24,}\b", "", text)  # ids of actors and nodes
    lines = [line for line in text.splitlines() if line.strip()]
    frames = [i for i, line in enumerate(lines) if re.match(r'\s+File "', line)]
    after = lines[frames[-1] + 1 :] if frames else lines
    found = next((line.strip() for line in after if frames == [] or not line[0].isspace()), "")
    return found or type(error).__name__


def disconnect() -> None:
    """Stop Ray on this machine or disconnect from the cluster. No-op if Ray was never started."""
    if "ray" in sys.modules:
        import ray  # noqa: PLC0415

        ray.shutdown()
    _open.close()
