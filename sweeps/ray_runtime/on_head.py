"""Run a command on the head node of a cluster that is reached through Ray Client (`ray://`).

Ray Tune needs its driver inside the cluster, close to the workers and the runs folder. So a command
with such an address runs on the head node, and its output appears here.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

from factorlab.errors import UserError
from factorlab.provenance import code_record, sources
from sweeps.ray_runtime import connection

READ_EVERY = 0.5
"""Seconds between two requests for new output."""

SILENT = 120.0
"""Seconds without a request after which the command is interrupted, since nobody reads it."""

_PASSED = ("MLFLOW_", "AWS_", "FACTORLAB_", "NO_COLOR", "COLUMNS")
"""Beginnings of environment variables that the command gets from this process."""


class Command:
    """A command of factorlab that runs on this machine, as a Ray actor.

    Args:
        arguments: Arguments of `factorlab`.
        client: Address in the arguments, in whose place the cluster's own is put.
        folder: Working folder of the command.
        environment: Further environment variables.
    """

    def __init__(
        self, arguments: Sequence[str], client: str, folder: str, environment: Mapping[str, str]
    ) -> None:
        import ray  # noqa: PLC0415 - Ray reads its settings at import time

        # Not "auto": this machine may be the head of several clusters.
        address = ray.get_runtime_context().gcs_address
        arguments = [word.replace(client, address) for word in arguments]
        self._last_read = time.monotonic()
        self._output: list[tuple[int, bytes]] = []
        self._lock = threading.Lock()
        self._process = subprocess.Popen(  # noqa: S603 - this Python, without a shell
            [sys.executable, "-P", "-m", "sweeps.cli", *arguments],
            cwd=folder,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._readers = [
            threading.Thread(target=self._collect, args=(1, self._process.stdout), daemon=True),
            threading.Thread(target=self._collect, args=(2, self._process.stderr), daemon=True),
        ]
        for thread in (*self._readers, threading.Thread(target=self._watch, daemon=True)):
            thread.start()

    def _collect(self, descriptor: int, stream: Any) -> None:  # noqa: ANN401 - a pipe
        while chunk := stream.read1():
            with self._lock:
                self._output.append((descriptor, chunk))

    def _watch(self) -> None:
        while self._process.poll() is None:
            time.sleep(READ_EVERY)
            if time.monotonic() - self._last_read > SILENT:
                self.interrupt()
                return

    def read(self) -> tuple[list[tuple[int, bytes]], int | None]:
        """Return new output by file descriptor, and the exit status if the command has ended."""
        self._last_read = time.monotonic()
        status = self._process.poll()
        if status is not None:
            for thread in self._readers:
                thread.join()
        with self._lock:
            output, self._output = self._output, []
        return output, status

    def interrupt(self) -> None:
        """Interrupt the command, as Ctrl-C does."""
        self._process.terminate()  # processes below a worker of Ray block SIGINT


def refusal(folder: str, ours: sources.Sources, versions: Mapping[str, str]) -> str | None:
    """Return why a command cannot run in a folder on this machine, or None. Runs on the head node.

    Args:
        folder: Working folder of the command.
        ours: Source files of the process that asks.
        versions: Versions of its libraries.
    """
    who = f"the head node {os.uname().nodename}"
    if not Path(folder).is_dir():
        return f"{who} does not see the working folder {folder}; share it, or change to one it sees"
    return sources.explain(sources.at_start(), ours, who) or code_record.other_versions(
        code_record.versions(), versions, who
    )


def run(address: str, arguments: Sequence[str]) -> int:
    """Run a command on the head node of a cluster and print its output.

    The command ends if this process dies. The same command then continues the sweep.

    Args:
        address: Address of the cluster, which starts with `ray://`.
        arguments: Arguments of `factorlab`, with this address.

    Returns:
        The exit status of the command.

    Raises:
        UserError: No cluster answers, or its head node cannot run the command.
    """
    if find_spec("grpc") is None:
        raise UserError(
            f"--address {address}: the library grpcio is missing; install it by: "
            "pip install 'factorlab[client]'"
        )
    # Once connected, standard output and error of this process take messages of Ray.
    with (
        os.fdopen(os.dup(1), "wb", 0) as out,
        os.fdopen(os.dup(2), "wb", 0) as err,
        tempfile.TemporaryDirectory(prefix="factorlab-") as log,
        (Path(log) / "messages").open("w") as messages,
        redirect_stderr(messages),
    ):
        connection.connect(address, Path(log))
        from ray.exceptions import RayError  # noqa: PLC0415 - as above

        try:
            command = _start(address, arguments)
            return _relay(command, {1: out, 2: err})
        except BrokenPipeError:  # nobody reads the output, as in `factorlab ... | head`
            return 128 + signal.SIGPIPE
        except (RayError, ConnectionError) as error:
            raise UserError(f"--address {address}: {_lost(error)}") from None
        finally:
            connection.disconnect()


def _start(address: str, arguments: Sequence[str]) -> Any:  # noqa: ANN401 - a handle of Ray
    """Start a command on the head node.

    Raises:
        UserError: The head node cannot run it.
    """
    import ray  # noqa: PLC0415 - as above
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy  # noqa: PLC0415

    heads = [n for n in ray.nodes() if n["Alive"] and "node:__internal_head__" in n["Resources"]]
    there = {
        "num_cpus": 0,
        "scheduling_strategy": NodeAffinitySchedulingStrategy(heads[0]["NodeID"], soft=False),
    }
    folder = str(Path.cwd())
    ask = ray.remote(refusal).options(**there)
    reason = ray.get(ask.remote(folder, sources.at_start(), code_record.versions()))
    if reason is not None:
        raise UserError(f"--address {address}: {reason}")
    passed = {key: value for key, value in os.environ.items() if key.startswith(_PASSED)}
    command = ray.remote(Command).options(max_concurrency=4, **there)
    return command.remote(arguments, address, folder, passed)


def _relay(command: Any, streams: Mapping[int, IO[bytes]]) -> int:  # noqa: ANN401 - as above
    """Print the output of a command until it ends, and return its exit status."""
    import ray  # noqa: PLC0415 - as above

    status = None
    with _noticed(signal.SIGINT, signal.SIGTERM) as asked:
        while status is None:
            output, status = ray.get(command.read.remote())
            for descriptor, chunk in output:
                streams[descriptor].write(chunk)
            if asked:
                asked.clear()
                ray.get(command.interrupt.remote())
            elif not output:
                time.sleep(READ_EVERY)
    return int(status)


@contextmanager
def _noticed(*signals: signal.Signals) -> Iterator[list[int]]:
    """Collect signals while the context is active, so that none interrupts a call of Ray."""
    got: list[int] = []
    before = {one: signal.signal(one, lambda number, _: got.append(number)) for one in signals}
    try:
        yield got
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _lost(error: Exception) -> str:
    """Return why a command could not be followed to its end."""
    from ray.exceptions import RayTaskError  # noqa: PLC0415 - as above

    reason = connection.reason(error)
    if isinstance(error, RayTaskError):
        return f"the head node cannot run factorlab: {reason}"
    return f"the connection was lost: {reason}; run the same command again to continue"
