"""What a plan is priced by: measured on this machine, in a process of its own.

The driver of a sweep does without torch: half a gigabyte, seconds of imports, and on a GPU a
context that would stay for the whole sweep. `start` returns at once, so that Ray starts meanwhile.
"""

from __future__ import annotations

import gc
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
from sweeps.planning.pack_limits import PackLimits, on_cpu, on_gpu

_REFUSED = 2  # exit status of a probe that was asked for the impossible
_PROBE_FLOPS = 2e10  # a probe step of about half a second on one core


@dataclass(frozen=True)
class Question:
    """What is asked of a shape of trial."""

    settings: RunSettings
    """A run of the shape."""

    pack: int | Literal["auto"]
    """Trials that are to train together."""

    count: int
    """Trials of the shape that wait."""

    gpu: float
    """Share of a GPU that a pack occupies."""

    timed: bool
    """Whether to time a step of such a pack; not where finished trials tell."""


@dataclass(frozen=True)
class Speed:
    """What a shape of trial takes."""

    step: float | None
    """Seconds of a training step, a trial's share of its pack's; None where not timed."""

    limits: PackLimits
    """How many trials may train together."""


@dataclass(frozen=True)
class MachineProfile:
    """What a probe found."""

    speeds: list[Speed]
    """In the order of the questions."""

    devices: int
    """CUDA devices."""

    sources: Sources
    """The code that the probe imported."""


_QUESTIONS, _PROFILE = TypeAdapter(list[Question]), TypeAdapter(MachineProfile)


class Probe:
    """A probe that runs; ask for its profile once."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def profile(self) -> MachineProfile:
        """Wait for the probe and return what it found.

        Raises:
            UserError: a device that is asked for is not there, or the probe imported other code.
        """
        output, messages = self._process.communicate()
        if self._process.returncode == _REFUSED:
            raise UserError(messages.strip().splitlines()[-1])
        if self._process.returncode != 0:
            raise RuntimeError(f"the probe of this machine failed: {messages.strip()}")
        found = _PROFILE.validate_json(output.splitlines()[-1])
        foreign = explain(found.sources, at_start(), "the process that measures this machine")
        if foreign is not None:
            raise UserError(foreign)
        return found


@contextmanager
def start(questions: Sequence[Question]) -> Iterator[Probe]:
    """Measure each shape for about a second, in the background; it ends with the block."""
    asked = _QUESTIONS.dump_json([*questions]).decode()
    with subprocess.Popen(
        # -P: no module of the working folder
        [sys.executable, "-P", "-m", "sweeps.planning.probe"],
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
    """Measure the training step of a shape, here and on one thread.

    The step that trials take. Large batches are probed with fewer images and scaled, so that a
    probe stays short.

    Args:
        settings: a run of the shape.
        together: how many train together.

    Returns:
        Seconds of a trial's share of the step, and the bytes that all took on a GPU.
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
    """Answer a question."""
    import torch  # noqa: PLC0415

    from factorlab.device import resolve_device  # noqa: PLC0415

    settings, told = question.settings, question.pack
    device = resolve_device(settings.device)
    limits, step = on_cpu(settings) if told == "auto" else PackLimits(1, told), None
    if device.type == "cuda" and told == "auto":
        step, memory = time_step(settings, 1)
        room = question.gpu * torch.cuda.get_device_properties(device).total_memory
        limits = on_gpu(settings, step, memory, room)
        gc.collect()  # or its memory would count for the pack
    together = min(limits.most, question.count)
    if question.timed and (step is None or together > 1):
        step, _ = time_step(settings, together)
    return Speed(step, limits)


def _measure(questions: Sequence[Question]) -> MachineProfile:
    """Answer all questions."""
    import torch  # noqa: PLC0415

    torch.set_num_threads(1)
    speeds = [_speed(question) for question in questions]
    return MachineProfile(speeds, torch.cuda.device_count(), at_start())


def _answer() -> None:
    """Answer what standard input asks, on standard output."""
    try:
        found = _measure(_QUESTIONS.validate_json(sys.stdin.readline()))
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(_REFUSED)
    print(_PROFILE.dump_json(found).decode())


if __name__ == "__main__":
    _answer()
