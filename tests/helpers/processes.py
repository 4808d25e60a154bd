"""Run the console command `factorlab` in a process of its own."""

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import psutil

FACTORLAB = str(Path(sys.executable).parent / "factorlab")

PATIENCE = 300
"""Seconds after which a process counts as hanging."""


def factorlab(*arguments, cwd, **environment):
    """Run the command to its end, with further environment variables."""
    return subprocess.run(
        [FACTORLAB, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env={**os.environ, **environment},
    )


@contextmanager
def running(*arguments, **options):
    """Run the command while the block runs; kill it at the end of the block."""
    options = {"stderr": subprocess.PIPE, "text": True} | options
    with subprocess.Popen([FACTORLAB, *arguments], **options) as process:
        try:
            yield process
        finally:
            process.kill()  # no effect if it has ended


def wait_for(condition, seconds=PATIENCE):
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def worker_of(driver, record):
    """Return the worker process of a driver that trains a trial."""
    lease = str(record.path / "lease")

    def holds(process):
        try:
            return lease in {file.path for file in process.open_files()}
        except psutil.Error:
            return False

    (found,) = [p for p in psutil.Process(driver.pid).children(recursive=True) if holds(p)]
    return found
