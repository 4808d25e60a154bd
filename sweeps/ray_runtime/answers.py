"""Find out whether a Ray cluster answers at an address, within a time limit.

Ray itself may try for minutes and cannot be interrupted, so other processes connect first.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from sweeps.ray_runtime import ray_settings

ANSWER_WITHIN = 25.0
"""Seconds within which a cluster must answer."""

_SECOND_TRY_AFTER = 8.0
"""Seconds without an answer after which a second process connects as well."""

_PROGRAM = """\
import json, os, sys
answer = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # Ray prints messages of its own, such as that a node died
import ray
print("imported", file=answer, flush=True)
try:
    ray.init(address=sys.argv[1], **json.loads(sys.argv[2]))
    ray.shutdown()
except Exception as error:
    print(json.dumps([type(error).__name__, str(error)]), file=answer, flush=True)
"""
"""Program that imports Ray, says so, connects to a cluster, and prints the name and text of an
error, if any."""


def first_answer(
    address: str, options: Mapping[str, Any], *, starts_a_process: bool = False
) -> tuple[str, str] | None:
    """Connect to a cluster from other processes.

    Args:
        address: Address of a cluster.
        options: Arguments of `ray.init`.
        starts_a_process: Whether the head node starts a process for each connection, as it does for
            Ray Client. That process may crash (ray-project/ray#63202, in about 1 of 10 starts), and
            Ray takes 40 s to report this. So a second one is tried in time.

    Returns:
        Name and text of the error with which Ray refused; None if the cluster accepted.

    Raises:
        TimeoutError: No answer came in time; the text says in which.
        OSError: Nothing listens at the address, or it cannot be reached.
        OverflowError: The port does not exist.
    """
    late = TimeoutError(f"within {ANSWER_WITHIN:.0f} s")
    host, _, port = address.removeprefix(ray_settings.CLIENT).rpartition(":")
    if port.isdigit():  # the usual case of a wrong address, without waiting for Ray
        try:  # half of the time, since a name may have two addresses
            socket.create_connection((host.strip("[]"), int(port)), ANSWER_WITHIN / 2).close()
        except TimeoutError:
            raise late from None
    limits = [ANSWER_WITHIN]
    if starts_a_process:
        limits = [_SECOND_TRY_AFTER, ANSWER_WITHIN - _SECOND_TRY_AFTER]
    with ExitStack() as open_processes:
        processes: list[subprocess.Popen[str]] = []
        for limit in limits:
            processes.append(open_processes.enter_context(_connecting(address, options)))
            if (ended := _first_ended(processes, limit)) is not None:
                return _result(ended)
    raise late


@contextmanager
def _connecting(address: str, options: Mapping[str, Any]) -> Iterator[subprocess.Popen[str]]:
    """Run a process that has imported Ray and connects to a cluster."""
    command = [sys.executable, "-P", "-c", _PROGRAM, address, json.dumps(options)]
    with subprocess.Popen(  # noqa: S603 - this Python
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()  # the import takes seconds
        try:
            yield process
        finally:
            process.kill()


def _first_ended(
    processes: list[subprocess.Popen[str]], seconds: float
) -> subprocess.Popen[str] | None:
    """Return the first process that ends; None if none does in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for process in processes:
            if process.poll() is not None:
                return process
        time.sleep(0.05)
    return None


def _result(process: subprocess.Popen[str]) -> tuple[str, str] | None:
    """Return what a process that has ended printed as an error."""
    assert process.stdout is not None
    assert process.stderr is not None
    # Not `communicate`: it passes over what `readline` left in the buffer.
    lines = process.stdout.read().splitlines()
    if lines:
        name, text = json.loads(lines[-1])
        return name, text
    return ("", process.stderr.read()) if process.returncode else None
