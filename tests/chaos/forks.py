"""Forked children of one process: torch is imported and compiled once, so a fault costs a second.

A child trains a small trial and is killed, or finds its record damaged or its disk full; another
child resumes the trial. The record must be bit-identical to that of a run without faults.
"""

import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from factorlab.config import RunSettings
from factorlab.parsing import parse
from factorlab.storage.record import Record
from factorlab.trial import Trial
from tests.helpers.experiments import small_settings

PATIENCE = 120.0
"""Seconds after which a child counts as hanging."""

SETTINGS: dict[str, Any] = small_settings(
    training={"steps": 24, "log_every": 3, "checkpoint_every": 5},
    evaluation={"samples": 9, "keep": 2, "every": 8, "at": [0]},
    representations={"layers": ["layer4"], "grid": 12},
)


@dataclass(frozen=True)
class ChildExit:
    """How a child ended."""

    status: int
    """Exit status, or the negative number of the signal that killed it."""

    output: str
    """What it sent: the result of its function, or the exception."""

    @property
    def killed(self) -> bool:
        """Whether it was killed rather than ended by itself."""
        return self.status == -signal.SIGKILL


def in_child(act: Callable[[], object]) -> ChildExit:
    """Call a function in a forked child and return how it ended, as `begin` does."""
    return begin(act)()


def begin(act: Callable[[], object]) -> Callable[[], ChildExit]:
    """Start to call a function in a forked child; return a function that waits for its end.

    The exit status is 0 if `act` returned and 1 if it raised. The child sends what `act` returned,
    or the exception in a line.
    """
    receive, send = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os.close(receive)
        try:
            output, status = str(act()), 0
        except BaseException as error:
            output, status = f"{type(error).__name__}: {error}", 1
            if os.environ.get("CHAOS_TRACEBACKS"):
                traceback.print_exc()
        os.write(send, output.encode()[:4000])
        os._exit(status)
    os.close(send)
    return partial(_end, child, receive)


def _end(child: int, receive: int) -> ChildExit:
    """Wait for a child to end.

    Raises:
        TimeoutError: it hangs.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            break
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            raise TimeoutError(f"child {child} hangs")
        time.sleep(0.002)
    with os.fdopen(receive, "rb") as pipe:
        output = pipe.read().decode()
    return ChildExit(os.waitstatus_to_exitcode(status), output)


def settings(seed: int = 0) -> RunSettings:
    """Return the settings of the small trial that all faults hit."""
    return parse({**SETTINGS, "seed": seed})


def train(runs: Path, seed: int = 0) -> int:
    """Train the trial to its end; return the number of steps trained."""
    return sum(1 for _ in Trial(settings(seed), runs).run())


def fingerprint(runs: Path, seed: int = 0) -> str:
    """Return all of a finished record that faults must not change, as text.

    Raises:
        AssertionError: The record is not finished.
    """
    trial = Trial(settings(seed), runs)
    record: Record = trial.record
    result = record.result()
    assert result is not None
    points = [(point.step, point.metrics) for point in record.points()[0]]
    arrays = {
        str(path.relative_to(record.path)): path.read_bytes().hex()
        for path in sorted(record.representations.rglob("*.npy"))
    }
    kept = ("metrics", "weights_sha256", "steps")
    return json.dumps([{k: result[k] for k in kept}, points, arrays], sort_keys=True)


def promise(runs: Path) -> None:
    """Note the step of the newest checkpoint that is complete for sure, the last but one."""
    steps = sorted(int(p.name.split("-")[1]) for p in runs.rglob("step-*.pt"))
    runs.with_suffix(".promised").write_text(str(steps[-2] if len(steps) > 1 else 0))


def promised(runs: Path) -> int:
    """Return the step of the checkpoint that a child noted before it died."""
    path = runs.with_suffix(".promised")
    return int(path.read_text()) if path.exists() else 0


def last_checkpoint(runs: Path, seed: int = 0) -> int:
    """Return the step of the newest checkpoint, 0 without one."""
    folder = Trial(settings(seed), runs).record.checkpoints
    return max((int(p.name.split("-")[1]) for p in folder.glob("step-*.pt")), default=0)
