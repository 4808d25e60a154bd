"""Work on a GPU that is recorded once and replayed from then on: CUDA graphs.

A step of a small network is over a thousand kernels of a few microseconds. Launched one by one
from Python they keep a GPU idle for most of the time; recorded, they follow one another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

WARM_UP = 2
"""Calls of a kind that are not recorded: the first ones load kernels and choose algorithms."""


@dataclass
class _Recording:
    """What is known of calls with inputs of certain shapes."""

    calls: int = 0
    graph: torch.cuda.CUDAGraph | None = None
    inputs: tuple[Tensor, ...] = ()
    output: Tensor | None = None


class CudaGraph:
    """A function of tensors on a GPU that is replayed once it is known.

    It must do the same whenever it is called, whatever the numbers in its inputs, with no number
    from the host that changes and none read back; what else it reads and writes has to stay in
    place. Each shape of inputs is recorded on its own.

    Args:
        work: the function.
        generators: on the GPU, those that it draws from.
    """

    def __init__(
        self, work: Callable[..., Tensor], generators: Sequence[torch.Generator] = ()
    ) -> None:
        self._work, self._generators = work, tuple(generators)
        self._recordings: dict[tuple[torch.Size, ...], _Recording] = {}

    def __call__(self, *inputs: Tensor) -> Tensor:
        """Return what the function returns."""
        shapes = tuple(tensor.shape for tensor in inputs)
        known = self._recordings.setdefault(shapes, _Recording())
        known.calls += 1
        if known.calls <= WARM_UP:
            return self._work(*inputs)
        if known.graph is None:
            self._record(known, inputs)
        assert known.graph is not None
        assert known.output is not None
        for held, tensor in zip(known.inputs, inputs, strict=True):
            held.copy_(tensor)
        known.graph.replay()
        return known.output.clone()

    def _record(self, known: _Recording, inputs: Sequence[Tensor]) -> None:
        """Record a call; recording computes nothing."""
        known.inputs = tuple(tensor.clone() for tensor in inputs)
        graph = torch.cuda.CUDAGraph()
        for generator in self._generators:
            graph.register_generator_state(generator)
        problem: torch.OutOfMemoryError | None = None
        with torch.cuda.graph(graph):
            try:
                known.output = self._work(*known.inputs)
            except torch.OutOfMemoryError as error:
                problem = error  # the recording has to be ended in order
        if problem is not None:
            raise problem
        known.graph = graph


def with_cuda_graph(work: Callable[..., Tensor], device: torch.device) -> Callable[..., Tensor]:
    """Return a function that does the same, replayed where the device is a GPU."""
    return CudaGraph(work) if device.type == "cuda" else work
