"""The console command in processes of its own, as the tests of this folder start and watch it."""

import sys
import time
from pathlib import Path

import psutil

FACTORLAB = str(Path(sys.executable).parent / "factorlab")


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
