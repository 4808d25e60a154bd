"""Children of one warm process: torch is imported and compiled once, each fault costs a second.

A child trains a small trial and is killed, or works on a record that was damaged or has no room;
another child goes on from there. Whatever happened, the record must end as that of a run without
faults, bit for bit.
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

PATIENCE = 120.0
"""Seconds after which a child counts as hanging."""

SETTINGS: dict[str, Any] = {
    "data": {"size": 6, "spacing": 1.0},
    "model": {"width": 4, "encoding": 8},
    "diffusion": {"prediction": "v", "sampling_steps": 2},
    "training": {"steps": 24, "batch_size": 4, "log_every": 3, "checkpoint_every": 5},
    "evaluation": {"samples": 9, "loss_samples": 4, "keep": 2, "every": 8, "at": [0]},
    "representations": {"layers": ["layer4"], "grid": 12},
}


@dataclass(frozen=True)
class Fate:
    """How a child ended."""

    status: int
    """Exit status, or the negative number of the signal that killed it."""

    said: str
    """What it sent: steps that it trained, or why it stopped."""

    @property
    def killed(self) -> bool:
        """Whether it was killed and did not end by itself."""
        return self.status == -signal.SIGKILL


def in_child(act: Callable[[], object]) -> Fate:
    """Let a forked child act, and return how it ended, as `begin` has it."""
    return begin(act)()


def begin(act: Callable[[], object]) -> Callable[[], Fate]:
    """Let a forked child act; what this returns waits for its end.

    Its exit status is 0 where `act` returned, 1 where it raised. What it returned, or the
    exception in a line, is what it said.
    """
    receive, send = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os.close(receive)
        try:
            said, status = str(act()), 0
        except BaseException as error:
            said, status = f"{type(error).__name__}: {error}", 1
            if os.environ.get("CHAOS_TRACEBACKS"):
                traceback.print_exc()
        os.write(send, said.encode()[:4000])
        os._exit(status)
    os.close(send)
    return partial(_end, child, receive)


def _end(child: int, receive: int) -> Fate:
    """Wait for a child.

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
        said = pipe.read().decode()
    return Fate(os.waitstatus_to_exitcode(status), said)


def settings(seed: int = 0) -> RunSettings:
    """Return the small trial that all faults hit."""
    return parse({**SETTINGS, "seed": seed})


def train(runs: Path, seed: int = 0) -> int:
    """Train the trial to its end; returns the steps that this took."""
    return sum(1 for _ in Trial(settings(seed), runs).run())


def fingerprint(runs: Path, seed: int = 0) -> str:
    """Return everything of a finished record that has to be the same, as text.

    Raises:
        AssertionError: it is not finished.
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
    """Note the step of the newest checkpoint that is complete, whatever is being written."""
    steps = sorted(int(p.name.split("-")[1]) for p in runs.rglob("step-*.pt"))
    runs.with_suffix(".promised").write_text(str(steps[-2] if len(steps) > 1 else 0))


def promised(runs: Path) -> int:
    """Return the step of the checkpoint that a child noted before it died."""
    path = runs.with_suffix(".promised")
    return int(path.read_text()) if path.exists() else 0


def last_checkpoint(runs: Path, seed: int = 0) -> int:
    """Return the step of the newest checkpoint there is, 0 without one."""
    folder = Trial(settings(seed), runs).record.checkpoints
    return max((int(p.name.split("-")[1]) for p in folder.glob("step-*.pt")), default=0)
