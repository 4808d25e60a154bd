"""Run the console command `factorlab` in a process of its own."""

import os
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
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


def workers_of(parent, records):
    """Return the worker processes below a driver or a node that train one of some trials."""
    leases = {str(record.path / "lease") for record in records}

    def holds(process):
        try:
            return not leases.isdisjoint(file.path for file in process.open_files())
        except psutil.Error:
            return False

    return [p for p in psutil.Process(parent.pid).children(recursive=True) if holds(p)]


def runs_program(name, parent):
    """Return the processes below another one whose command names a program or a module."""

    def runs(process):
        try:
            return name in process.cmdline()
        except psutil.Error:  # it has ended
            return False

    return [p for p in psutil.Process(parent.pid).children(recursive=True) if runs(p)]


def worker_of(driver, record):
    """Return the worker process of a driver that trains a trial."""
    (found,) = workers_of(driver, [record])
    return found


@contextmanager
def first_worker_paused(parents, records):
    """Pause the first worker below drivers or nodes that trains, while the block runs."""

    def training():
        return [worker for parent in parents for worker in workers_of(parent, records)]

    def pause():
        for worker in training():
            worker.suspend()
            if worker in training():  # it has not ended its trial meanwhile
                return worker
            worker.resume()
        return None

    paused = []
    wait_for(lambda: paused.append(pause()) or paused[-1])
    try:
        yield
    finally:
        with suppress(psutil.NoSuchProcess):
            paused[-1].resume()
