"""`factorlab ui` as a process."""

import contextlib
import os
import signal
import socket
import subprocess
import urllib.request
from contextlib import contextmanager

import psutil

from tests.helpers.processes import FACTORLAB, wait_for


@contextmanager
def served(cwd, *before, runs="runs", end=signal.SIGTERM, **environment):
    """Serve the UI until the block ends; yield the port and the file of messages."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    messages = cwd / f"messages-{port}"
    with messages.open("w") as file:
        process = subprocess.Popen(
            [*before, FACTORLAB, "ui", "--port", str(port), "--runs", str(runs)],
            cwd=cwd,
            env={**os.environ, **environment},
            stdout=file,
            stderr=file,
        )
    started = [process]
    try:
        wait_for(lambda: process.poll() is not None or answer(port, "/health") == b"OK")
        assert process.poll() is None, messages.read_text()
        started += psutil.Process(process.pid).children(recursive=True)
        yield port, messages
    finally:
        process.send_signal(end)
        process.wait(60)
        if end == signal.SIGKILL:  # its child process outlives it
            for child in started[1:]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()
        wait_for(lambda: not any(alive(child) for child in started[1:]))


def alive(process):
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def answer(port, path):
    """Return the body of the server's answer, None without one."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as response:
            return response.read()
    except OSError:
        return None
