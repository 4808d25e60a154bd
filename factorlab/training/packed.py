"""Steps of training: of one network, or of several of one shape at once.

All else of a run (batches, optimizer, schedule, randomness) stays its own.
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
    """Networks of one shape that take their steps together.

    On a CPU as one batched program, forward and backward, where there are several. On a GPU as
    recordings that run side by side, each on a stream of its own: a small network's kernels leave
    most of a GPU idle, and each computes the same bits as alone.
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
        """Train every network by a step.

        Where memory is short for one network alone, its batch goes through it in parts from then
        on: the same total batch, the same gradient but for rounding.

        Returns:
            Their losses, (K,), on the device; reading them waits for the device.

        Raises:
            torch.OutOfMemoryError: memory is short for several, or for one image.
        """
        heartbeat.beat()
        generator = self.learners[0].state.generator
        before = generator.get_state()  # for one network alone, which may begin the step again
        while True:
            try:
                losses = self._learn()
                break
            except torch.OutOfMemoryError:
                if not self._split_further():
                    raise
            gc.collect()  # only now that the error holds nothing any more
            torch.cuda.empty_cache()
            generator.set_state(before)
        for learner in self.learners:
            learner.state.step += 1
        return losses

    def _split_further(self) -> bool:
        """Compute batches in twice as many parts; False where that cannot help."""
        first = self.learners[0]
        if len(self.learners) > 1 or first.parts >= first.settings.training.batch_size:
            return False
        first.parts *= 2
        if first.state.weights.is_cuda:
            self._learn = self._recorded()
        log.warning("memory is short: batches go through the network in %d parts", first.parts)
        return True

    def _recorded(self) -> Callable[[], Tensor]:
        """Return the way to learn on a GPU, to be recorded anew."""
        return CudaGraph(self._side_by_side, [learner.state.generator for learner in self.learners])

    def _side_by_side(self) -> Tensor:
        """Learn on as many streams as networks; returns the losses, (K,)."""
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
        """Learn as one program; returns the losses, (K,)."""
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
