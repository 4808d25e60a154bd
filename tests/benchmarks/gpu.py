"""A training step on a GPU: recorded, alone and together, beside the widely used eager form.

The eager form is that of `training_step`, in float32 as tutorials run it and in bfloat16 by
autocast. Ours is a step of `PackedTraining`, batch and schedule included: not recorded, recorded,
and with K networks side by side. Wall time of the GPU over blocks of steps, all in turn; the
fastest counts. A second table has an evaluation of 1024 images. It needs a CUDA device.
"""

import argparse
import gc
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from factorlab.data.dataset import build
from factorlab.device import resolve_device
from factorlab.errors import UserError
from factorlab.evaluation.evaluator import Evaluator
from factorlab.model import cuda_graph
from factorlab.model.diffusion import Diffusion
from sweeps.planning.cost.pack_limits import step_flops
from tests.benchmarks.report import HISTORY, Measurement, publish
from tests.benchmarks.training_step import Eager, ensemble, settings_of

SHAPES = ((8, 8), (16, 16), (32, 8), (8, 64), (16, 64), (32, 64))
"""N, width."""

PACKS = (4, 8, 16, 32)
LARGEST = 2e12
"""Operations of a pack's step beyond which larger packs are not measured."""

ROUNDS = 5


def seconds(step: Callable[[], object], steps: int) -> float:
    """Return the seconds of a step, the mean of a block."""
    torch.cuda.synchronize()
    begin = time.perf_counter()
    for _ in range(steps):
        step()
    torch.cuda.synchronize()
    return (time.perf_counter() - begin) / steps


def fastest(step: Callable[[], object], steps: int) -> float:
    """Return the seconds of a step, the least of some blocks."""
    for _ in range(cuda_graph.WARM_UP + 1):
        step()
    return min(seconds(step, steps) for _ in range(ROUNDS))


def in_bfloat16(step: Callable[[], None]) -> None:
    """Take a step under autocast."""
    with torch.autocast("cuda", torch.bfloat16):
        step()


def measure_steps(device: torch.device, file: Path) -> None:
    """Publish the steps of every shape."""
    found = []
    for size, width in SHAPES:
        run, case = settings_of(size, width, steps=10_000), f"N = {size}, width {width}"
        operations = step_flops(run)
        eager = Eager(run, weights=True, device=device)
        alone = ensemble(run, device=device)
        kinds = {
            "eager": fastest(eager.step, 10),
            "eager, bfloat16": fastest(partial(in_bfloat16, eager.step), 10),
            "not recorded": fastest(alone.learners[0].learn, 10),
            "recorded": fastest(alone.step, 50),
        }
        del eager, alone
        for members in PACKS:
            if members * operations <= LARGEST or members == PACKS[0]:
                pack = ensemble(run, members, device)
                kinds[f"K = {members}"] = fastest(pack.step, 10) / members
                del pack
            gc.collect()
            torch.cuda.empty_cache()
        best = min(kinds.values())
        found += [Measurement(case, kind, s * 1e3, "ms") for kind, s in kinds.items()]
        found += [
            Measurement(case, "eager / best", kinds["eager"] / best, "", "higher"),
            Measurement(case, "a step", operations / 1e9, "GFLOP"),
            Measurement(case, "best", operations / best / 1e12, "TFLOP/s", "higher"),
        ]
    name = torch.cuda.get_device_name(device)
    publish(f"step, {name}", f"A step of 64 images of each network, {name}", found, file)


def measure_evaluation(device: torch.device, file: Path) -> None:
    """Publish evaluations of 1024 images, recorded and not."""
    found = []
    for size, width in ((8, 8), (32, 64)):
        run = settings_of(size, width, steps=10_000)
        diffusion = Diffusion(run.diffusion, device)
        evaluator = Evaluator(run, build(run.data, run.seed), diffusion, device)
        model = ensemble(run, device=device).learners[0].state.model
        labels, steps = len(evaluator.labels), run.diffusion.sampling_steps
        case = f"N = {size}, width {width}, {labels} labels, {steps} sampling steps"
        evaluator.generate(model)
        whole = seconds(partial(evaluator.evaluate, model), 2)
        found += [Measurement(case, "evaluation", whole, "s", "lower")]
    name = torch.cuda.get_device_name(device)
    publish(f"evaluation, {name}", f"An evaluation, {name}", found, file)


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--history", type=Path, default=HISTORY, help="file to add the numbers to")
    options = parser.parse_args()
    try:
        device = resolve_device("cuda")
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    torch.set_num_threads(1)
    measure_steps(device, options.history)
    measure_evaluation(device, options.history)


if __name__ == "__main__":
    main()
