"""The console command in processes of its own, as the tests of this folder start and watch it."""

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import psutil

FACTORLAB = str(Path(sys.executable).parent / "factorlab")


def factorlab(*arguments, cwd, **environment):
    """Run the command and return how it ended."""
    return subprocess.run(
        [FACTORLAB, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **environment},
    )


@contextmanager
def running(*arguments, **options):
    """Run the console command beside the block, which ends it, whatever else it does."""
    options = {"stderr": subprocess.PIPE, "text": True} | options
    with subprocess.Popen([FACTORLAB, *arguments], **options) as process:
        try:
            yield process
        finally:
            process.kill()  # nothing where it has ended


def wait_for(condition, seconds=120):
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def trainer(driver, record):
    """Return the worker of a driver that holds a trial."""
    lease = str(record.path / "lease")

    def holds(process):
        try:
            return lease in {file.path for file in process.open_files()}
        except psutil.Error:
            return False

    (found,) = [p for p in psutil.Process(driver.pid).children(recursive=True) if holds(p)]
    return found
