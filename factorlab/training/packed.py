"""Packed training: steps of one network, or of several networks of one shape at once.

Everything else of a run (batches, optimizer, schedule, randomness) stays separate.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.func import functional_call, vmap

from factorlab import heartbeat
from factorlab.model.cuda_graph import CudaGraph
from factorlab.model.diffusion import denoising_loss
from factorlab.training.step import TrainingStep

log = logging.getLogger(__name__)


class PackedTraining:
    """Networks of one shape that take their training steps together.

    On a CPU, several networks run as one batched program, forward and backward. On a GPU, each
    network runs on its own stream, and all streams are recorded in one CUDA graph: the kernels of a
    small network leave most of a GPU idle. On a GPU each network computes the same bits as alone.
    """

    def __init__(self, learners: Sequence[TrainingStep]) -> None:
        self.learners = tuple(learners)
        states = [learner.state for learner in learners]
        device = states[0].weights.device
        if device.type == "cuda":
            self._streams = [torch.cuda.Stream(device) for _ in states]
            self._learn: Callable[[], Tensor] = self._recorded()
        elif len(states) == 1:
            self._learn = lambda: learners[0].learn()[None]
        else:
            self._model, self._layout = states[0].model, states[0].layout
            matrix = states[0].weights.new_empty(len(states), len(states[0].weights))
            for state, row in zip(states, matrix, strict=True):
                state.move(row)
            views = self._layout.views(matrix)
            self._weights = {name: view.requires_grad_() for name, view in views.items()}
            self._learn = self._batched

    def step(self) -> Tensor:
        """Train every network by one step.

        If memory is too short for a single network, its batches are split into parts from then on.
        The total batch is the same, and so is the gradient up to rounding.

        Returns:
            The losses, (K,), on the device; reading them waits for the device.

        Raises:
            torch.OutOfMemoryError: Memory is too short for several networks, or for a single image.
        """
        heartbeat.beat()
        generator = self.learners[0].state.generator
        before = generator.get_state()  # a single network may repeat the step in smaller parts
        while True:
            try:
                losses = self._learn()
                break
            except torch.OutOfMemoryError:
                if not self._split_further():
                    raise
            gc.collect()  # outside the handler, where the error no longer holds tensors
            torch.cuda.empty_cache()
            generator.set_state(before)
        for learner in self.learners:
            learner.state.step += 1
        return losses

    def _split_further(self) -> bool:
        """Split batches into twice as many parts; return False if that cannot help."""
        first = self.learners[0]
        if len(self.learners) > 1 or first.parts >= first.settings.training.batch_size:
            return False
        first.parts *= 2
        if first.state.weights.is_cuda:
            self._learn = self._recorded()
        log.warning("out of memory: each batch is now split into %d parts", first.parts)
        return True

    def _recorded(self) -> Callable[[], Tensor]:
        """Return a step on a GPU that will be recorded as a new CUDA graph."""
        return CudaGraph(self._side_by_side, [learner.state.generator for learner in self.learners])

    def _side_by_side(self) -> Tensor:
        """Train each network on its own stream; return the losses, (K,)."""
        now, losses = torch.cuda.current_stream(), []
        try:
            for learner, stream in zip(self.learners, self._streams, strict=True):
                stream.wait_stream(now)
                with torch.cuda.stream(stream):
                    losses.append(learner.learn())
        finally:
            for stream in self._streams:
                now.wait_stream(stream)
        return torch.stack(losses)

    def _batched(self) -> Tensor:
        """Train all networks as one batched program; return the losses, (K,)."""
        inputs, targets = zip(*(learner.make_batch() for learner in self.learners), strict=True)
        stacked = [torch.stack(tensors) for tensors in zip(*inputs, strict=True)]
        predictions: Tensor = vmap(lambda w, *x: functional_call(self._model, w, x))(
            self._weights, *stacked
        )
        losses = denoising_loss(predictions, torch.stack(targets), stacked=True)
        gradients = torch.autograd.grad(losses.sum(), [*self._weights.values()])
        joined = self._layout.join(gradients)
        for learner, gradient in zip(self.learners, joined, strict=True):
            learner.state.learn(gradient)
        return losses.detach()
