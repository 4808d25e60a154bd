"""What a plan is priced by: measured on this machine, in a process of its own.

The driver of a sweep does without torch: half a gigabyte, seconds of imports, and on a GPU a
context that would stay for the whole sweep. `start` returns at once, so that Ray starts meanwhile.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from factorlab.config import RunSettings
from factorlab.cost import forward_flops
from factorlab.errors import UserError

_PROBE_FLOPS = 2e10  # a probe step of about half a second on one core


@dataclass(frozen=True)
class Speed:
    """What a shape of trial takes."""

    step: float | None
    """Seconds of a trial's training step, if they were asked for or are on CUDA."""

    memory: int | None
    """Bytes that training takes on a CUDA device, None elsewhere."""


@dataclass(frozen=True)
class Findings:
    """What a probe found."""

    speeds: list[Speed]
    """In the order of the shapes asked for."""

    devices: int
    """CUDA devices."""

    gpu_memory: int
    """Bytes of one of them; 0 where there is none."""


Shapes = Sequence[tuple[RunSettings, int]]
"""A run of each shape, and as how many that train together to time its step on a CPU; 0 is not."""


class Probe:
    """A probe that runs; ask for its findings once."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def findings(self) -> Findings:
        """Wait for the probe and return what it found.

        Raises:
            UserError: a device that is asked for is not there.
        """
        output, messages = self._process.communicate()
        if self._process.returncode != 0:
            raise RuntimeError(f"the probe of this machine failed: {messages.strip()}")
        found = json.loads(output.splitlines()[-1])
        if "refused" in found:
            raise UserError(found["refused"])
        return Findings(
            [Speed(**speed) for speed in found["speeds"]], found["devices"], found["gpu_memory"]
        )


@contextmanager
def start(shapes: Shapes) -> Iterator[Probe]:
    """Measure each shape for about a second, in the background; it ends with the block."""
    asked = json.dumps([(settings.model_dump_json(), count) for settings, count in shapes])
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "sweeps.probe"],  # -P: no module of the working folder
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


def time_step(settings: RunSettings, together: int) -> Speed:
    """Measure the training step of a shape, here and on one thread.

    The step that trials take. Large batches are probed with fewer images and scaled, so that a
    probe stays short.

    Args:
        settings: a run of the shape.
        together: how many train together; the step is a trial's share of theirs.
    """
    import torch  # noqa: PLC0415

    from factorlab.dataset import build  # noqa: PLC0415
    from factorlab.diffusion import Diffusion  # noqa: PLC0415
    from factorlab.replay import WARM_UP  # noqa: PLC0415
    from factorlab.training import Ensemble, Learner, TrainingState  # noqa: PLC0415
    from factorlab.trial import resolve_device  # noqa: PLC0415

    device, batch = resolve_device(settings.device), settings.training.batch_size
    image = forward_flops(settings.model, settings.data.size)
    probed = max(1, min(batch, int(_PROBE_FLOPS / (3 * image))))
    training = settings.training.model_copy(update={"batch_size": probed})
    run = settings.model_copy(update={"training": training})
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    dataset, diffusion = build(run.data, run.seed), Diffusion(run.diffusion, device)
    ensemble = Ensemble(
        [
            Learner(TrainingState(run, device), run, dataset, diffusion, device)
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
    memory = None
    if device.type == "cuda":
        memory = int(torch.cuda.max_memory_allocated(device) * batch / probed)
    return Speed(min(times) / together * batch / probed, memory)


def _measure(shapes: Shapes) -> Findings:
    """Measure each shape that is asked for, or is trained on CUDA."""
    import torch  # noqa: PLC0415

    from factorlab.trial import resolve_device  # noqa: PLC0415

    torch.set_num_threads(1)
    speeds = []
    for settings, together in shapes:
        # On CUDA the step alone decides how many trials train together, known or not.
        count = 1 if resolve_device(settings.device).type == "cuda" else together
        speeds.append(time_step(settings, count) if count else Speed(None, None))
    if not torch.cuda.is_available():
        return Findings(speeds, 0, 0)
    memory = torch.cuda.get_device_properties(0).total_memory
    return Findings(speeds, torch.cuda.device_count(), memory)


def _answer() -> None:
    """Measure what standard input asks for, and print it."""
    asked = json.loads(sys.stdin.readline())
    shapes = [(RunSettings.model_validate_json(settings), count) for settings, count in asked]
    try:
        found = asdict(_measure(shapes))
    except UserError as error:
        found = {"refused": str(error)}
    print(json.dumps(found))


if __name__ == "__main__":
    _answer()
