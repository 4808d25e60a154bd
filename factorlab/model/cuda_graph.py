"""CUDA graphs: record work on a GPU once and replay it on later calls.

A training step of a small network consists of over a thousand kernels of a few microseconds each.
Launched one by one from Python, they leave the GPU idle most of the time. Recorded as a graph, they
run back to back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

WARM_UP = 2
"""Calls per input shape before recording. The first calls load kernels and choose algorithms."""


@dataclass
class _Recording:
    """State of the calls with inputs of certain shapes."""

    calls: int = 0
    graph: torch.cuda.CUDAGraph | None = None
    inputs: tuple[Tensor, ...] = ()
    output: Tensor | None = None


class CudaGraph:
    """A function of GPU tensors that is recorded as a CUDA graph and then replayed.

    The function must do the same work on every call, whatever the values of its inputs. It must not
    depend on changing host values and must not copy values to the host. All other tensors that it
    reads or writes must keep their memory addresses. Each combination of input shapes is recorded
    separately.

    Args:
        work: The function to record.
        generators: GPU generators that the function draws from.
    """

    def __init__(
        self, work: Callable[..., Tensor], generators: Sequence[torch.Generator] = ()
    ) -> None:
        self._work, self._generators = work, tuple(generators)
        self._recordings: dict[tuple[torch.Size, ...], _Recording] = {}

    def __call__(self, *inputs: Tensor) -> Tensor:
        """Return the output of the function."""
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
        """Record a call without computing its output."""
        known.inputs = tuple(tensor.clone() for tensor in inputs)
        graph = torch.cuda.CUDAGraph()
        for generator in self._generators:
            graph.register_generator_state(generator)
        problem: torch.OutOfMemoryError | None = None
        with torch.cuda.graph(graph):
            try:
                known.output = self._work(*known.inputs)
            except torch.OutOfMemoryError as error:
                problem = error  # end the recording before raising
        if problem is not None:
            raise problem
        known.graph = graph


def with_cuda_graph(work: Callable[..., Tensor], device: torch.device) -> Callable[..., Tensor]:
    """Return a function that does the same work, as a CUDA graph if the device is a GPU."""
    return CudaGraph(work) if device.type == "cuda" else work
