"""Measure the speed of training steps on the machine of the calling process, in another process.

The driver of a sweep avoids importing torch. It would cost half a gigabyte of memory, seconds of
import time and, on a GPU, a context that stays for the whole sweep. `start` returns immediately, so
that Ray can start at the same time.
"""

from __future__ import annotations

import gc
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from pydantic import TypeAdapter

from factorlab.config import RunSettings
from factorlab.errors import UserError
from factorlab.model.flops import forward_flops
from factorlab.provenance.sources import Sources, at_start, explain
from sweeps.planning.cost.pack_limits import PackLimits, on_cpu, on_gpu

_REFUSED = 2  # exit status of the probe after a user error
_PROBE_FLOPS = 2e10  # operations of a probe step, about half a second on one core


@dataclass(frozen=True)
class Question:
    """A request to probe one shape."""

    settings: RunSettings
    """Settings of a run of the shape."""

    pack: int | Literal["auto"]
    """Requested pack size."""

    count: int
    """Number of pending trials of the shape."""

    gpu: float
    """Share of a GPU reserved for a pack."""

    timed: bool
    """Whether to time a training step. False if finished trials provide the cost."""


@dataclass(frozen=True)
class Speed:
    """Probe result of one shape."""

    step: float | None
    """Seconds per training step, as a trial's share of its pack's step; None if not timed."""

    limits: PackLimits
    """Range of pack sizes."""


@dataclass(frozen=True)
class MachineProfile:
    """Results of a probe."""

    speeds: list[Speed]
    """Results of the shapes, in the order of the questions."""

    devices: int
    """Number of CUDA devices."""

    sources: Sources
    """Source files that the probe imported."""


_QUESTIONS, _PROFILE = TypeAdapter(list[Question]), TypeAdapter(MachineProfile)


class Probe:
    """A running probe. Call `profile` once."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def profile(self) -> MachineProfile:
        """Wait for the probe and return its results.

        Raises:
            UserError: A requested device is missing, or the probe imported source files that differ
                from those of this process.
            RuntimeError: The probe failed.
        """
        output, messages = self._process.communicate()
        if self._process.returncode == _REFUSED:
            raise UserError(messages.strip().splitlines()[-1])
        if self._process.returncode != 0:
            raise RuntimeError(f"the probe of {platform.node()} failed: {messages.strip()}")
        found = _PROFILE.validate_json(output.splitlines()[-1])
        foreign = explain(found.sources, at_start(), "the process that measures this machine")
        if foreign is not None:
            raise UserError(foreign)
        return found


@contextmanager
def start(questions: Sequence[Question]) -> Iterator[Probe]:
    """Probe each shape for about a second in the background. Leaving the context ends the probe."""
    asked = _QUESTIONS.dump_json([*questions]).decode()
    with subprocess.Popen(
        # -P: do not import from the working folder
        [sys.executable, "-P", "-m", "sweeps.planning.cost.probe"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        try:
            process.stdin.write(f"{asked}\n")
            process.stdin.flush()
            yield Probe(process)
        finally:
            process.kill()


def time_step(settings: RunSettings, together: int) -> tuple[float, int]:
    """Time the training step of a shape in this process.

    This runs the same step that trials run. On a CPU, large batches are probed with fewer images
    and the time is scaled, to keep the probe short.

    Args:
        settings: Settings of a run of the shape.
        together: Number of trials that train together.

    Returns:
        Seconds per step and trial, and the peak GPU memory of the pack in bytes (0 on a CPU).
    """
    import torch  # noqa: PLC0415

    from factorlab.data.dataset import build  # noqa: PLC0415
    from factorlab.device import resolve_device  # noqa: PLC0415
    from factorlab.model.cuda_graph import WARM_UP  # noqa: PLC0415
    from factorlab.model.diffusion import Diffusion  # noqa: PLC0415
    from factorlab.training.packed import PackedTraining  # noqa: PLC0415
    from factorlab.training.step import TrainingState, TrainingStep  # noqa: PLC0415

    device, batch = resolve_device(settings.device), settings.training.batch_size
    image = forward_flops(settings.model, settings.data.size)
    probed = max(1, min(batch, int(_PROBE_FLOPS / (3 * image)))) if device.type == "cpu" else batch
    training = settings.training.model_copy(update={"batch_size": probed})
    run = settings.model_copy(update={"training": training})
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    dataset, diffusion = build(run.data, run.seed), Diffusion(run.diffusion, device)
    ensemble = PackedTraining(
        [
            TrainingStep(TrainingState(run, device), run, dataset, diffusion, device)
            for _ in range(together)
        ]
    )
    times = []
    for _ in range(4 if device.type == "cpu" else WARM_UP + 4):
        start = time.perf_counter()
        ensemble.step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - start)
    memory = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0
    return min(times) / together * batch / probed, memory


def _speed(question: Question) -> Speed:
    """Probe one shape."""
    import torch  # noqa: PLC0415

    from factorlab.device import resolve_device  # noqa: PLC0415

    settings, told = question.settings, question.pack
    device = resolve_device(settings.device)
    limits, step = on_cpu(settings) if told == "auto" else PackLimits(1, told), None
    if device.type == "cuda" and told == "auto":
        step, memory = time_step(settings, 1)
        room = question.gpu * torch.cuda.get_device_properties(device).total_memory
        limits = on_gpu(settings, step, memory, room)
        gc.collect()  # otherwise this trial's memory counts towards the pack's
    together = min(limits.most, question.count)
    if together < limits.fewest:
        together = 1
    if question.timed and (step is None or together > 1):
        step, _ = time_step(settings, together)
    return Speed(step, limits)


def _measure(questions: Sequence[Question]) -> MachineProfile:
    """Probe all shapes."""
    import torch  # noqa: PLC0415

    torch.set_num_threads(1)
    speeds = [_speed(question) for question in questions]
    return MachineProfile(speeds, torch.cuda.device_count(), at_start())


def _answer() -> None:
    """Read questions from standard input and write the results to standard output."""
    try:
        found = _measure(_QUESTIONS.validate_json(sys.stdin.readline()))
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(_REFUSED)
    print(_PROFILE.dump_json(found).decode())


if __name__ == "__main__":
    _answer()
