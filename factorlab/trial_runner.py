"""The run loop of a trial: journal, evaluations, checkpoints and result between training steps."""

from __future__ import annotations

import hashlib
import logging
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from factorlab.device import describe_device
from factorlab.errors import TrialFailed
from factorlab.evaluation import activations
from factorlab.evaluation.evaluator import Evaluator, Metrics
from factorlab.evaluation.sample_grid import sample_grid
from factorlab.model.diffusion import Diffusion
from factorlab.prepared_trial import PreparedTrial
from factorlab.provenance import code_record
from factorlab.storage import checkpoint
from factorlab.storage.files import write_atomically
from factorlab.storage.journal import Journal
from factorlab.training.optimizer import schedule_values
from factorlab.training.step import TrainingState, TrainingStep

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ProgressEvent:
    """The progress of a trial after a step."""

    trial: PreparedTrial
    step: int
    """Optimizer steps done."""

    steps: int
    """Total number of optimizer steps."""

    accuracy: float | None
    """Accuracy of the last evaluation, in [0, 1]; None before the first."""

    metrics: Metrics | None = None
    """Metrics of the evaluation at this step, None if there was none."""

    loss: float | None = None
    """Mean loss at the last line of the journal; None before the first."""


class TrialRunner:
    """A trial in memory: everything that is due between its training steps.

    It starts from the record and writes to it. The training steps themselves are those of its
    `learner`, which several runners may take together.
    """

    def __init__(self, trial: PreparedTrial, device: torch.device) -> None:
        self.trial, self.over = trial, False
        self.went_back = False  # whether CUDA graphs of its steps are outdated
        self.repeated: int | None = None  # the step of a failure after which the trial went back
        self.together = 1  # largest number of trials, including this one, that trained together
        self.seconds = {"setup": 0.0, "train": 0.0, "evaluate": 0.0, "save": 0.0}
        with self._timed("setup"):
            self.settings, self.record, self.device = trial.settings, trial.record, device
            self.dataset = trial.dataset
            self.diffusion = Diffusion(self.settings.diffusion, device)
            self.evaluator = Evaluator(self.settings, self.dataset, self.diffusion, device)
            self.state = TrainingState(self.settings, device)
            self.learner = TrainingStep(
                self.state, self.settings, self.dataset, self.diffusion, device
            )
            self.journal = Journal(self.record.journal)
            self.losses: list[Tensor] = []  # since the last line of the journal
            self.average_loss: float | None = None  # of the last line
            self.accuracy: float | None = None
            self._resume()
            code_record.note(self.record, self.state.step)

    @contextmanager
    def _timed(self, phase: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[phase] += time.perf_counter() - start

    def _resume(self) -> None:
        """Resume from the newest usable checkpoint, if there is one."""
        folder, device = self.record.checkpoints, self.device.type
        saved = checkpoint.newest(folder, self.journal.length, device)
        known = saved["journal_offset"] if saved is not None else 0
        if self.journal.length > known and checkpoint.elsewhere(folder, device):
            self.journal.cut(known)  # drop numbers computed on another type of device
        if saved is not None:
            self.state.load_state_dict(saved["state"])
            self.losses = [loss.to(self.device) for loss in saved["losses"]]
            self.seconds = saved["seconds"]
            self.accuracy = saved["accuracy"]
            self.together = saved["together"]
            self.learner.parts = saved["parts"]
            self.repeated = saved["repeated"]

    def repeat(self) -> bool:
        """Go back to the newest checkpoint, or to the start, to see whether a failure recurs.

        Returns:
            False if the trial went back before or is at step 0; the failure is then final.
        """
        if self.repeated is not None or self.state.step == 0:
            return False
        self.repeated = self.state.step
        saved = checkpoint.newest(self.record.checkpoints, self.journal.length, self.device.type)
        fresh = saved or {"state": TrainingState(self.settings, self.device).state_dict()}
        self.state.load_state_dict(fresh["state"])
        self.losses = [loss.to(self.device) for loss in fresh.get("losses", ())]
        self.went_back = True
        return True

    def save(self) -> None:
        """Write a checkpoint between two steps, unless a weight or loss is not finite.

        Resuming from the checkpoint before it then shows whether the failure recurs.
        """
        numbers = torch.cat([self.state.weights, *(loss.reshape(1) for loss in self.losses)])
        if not bool(numbers.isfinite().all()):
            log.warning(
                "weights or losses are not finite at step %d: no checkpoint written",
                self.state.step,
            )
            return
        with self._timed("save"):
            saved = {
                "state": self.state.state_dict(),
                "losses": [loss.cpu() for loss in self.losses],
                "seconds": self.seconds,
                "accuracy": self.accuracy,
                "together": self.together,
                "parts": self.learner.parts,
                "repeated": self.repeated,
                "journal_offset": self.journal.length,
                "device": self.device.type,
            }
            checkpoint.save(self.record.checkpoints, self.state.step, saved)

    def _evaluation_due(self) -> bool:
        step, when = self.state.step, self.settings.evaluation
        regular = when.every > 0 and step > 0 and step % when.every == 0
        return regular or step in when.at or step == self.settings.training.steps

    @property
    def line_due(self) -> bool:
        """Whether this step has a line in the journal."""
        return self.state.step % self.settings.training.log_every == 0 or self._evaluation_due()

    def begin(self) -> ProgressEvent | None:
        """Evaluate the untrained model if that is due. Return None: there is no step to report."""
        if self.state.step == 0 and self._evaluation_due():
            self.journal.append(0, self._evaluate())
        return None

    def learned(self, loss: Tensor, seconds: float) -> None:
        """Record that a training step was taken.

        Args:
            loss: Loss of the step, a scalar on the device.
            seconds: Duration of the step; this trial's share if several trained together.
        """
        self.losses.append(loss)
        self.seconds["train"] += seconds

    def report(self) -> ProgressEvent:
        """Do what is due after a step: journal, evaluation, checkpoint, result.

        Raises:
            TrialFailed: A loss or a metric is not finite.
        """
        training, step = self.settings.training, self.state.step
        evaluated = None
        if self.line_due:
            metrics: Metrics = self._average_loss()
            if self._evaluation_due():
                evaluated = self._evaluate()
                metrics |= evaluated
            self.journal.append(step, metrics)
        if step == training.steps:
            self._finish()
        elif step % training.checkpoint_every == 0:
            self.save()
        return ProgressEvent(
            self.trial, step, training.steps, self.accuracy, evaluated, self.average_loss
        )

    def _average_loss(self) -> Metrics:
        """Return the mean loss since the last line, and the last step's learning rate.

        Raises:
            TrialFailed: A loss is not finite.
        """
        losses = torch.stack(self.losses).tolist()  # waits for the device once per line
        self.losses = []
        for i, loss in enumerate(losses):
            if not math.isfinite(loss):
                step = self.state.step - len(losses) + i + 1
                raise TrialFailed(f"loss is {loss} at step {step}, seed {self.settings.seed}")
        rate = schedule_values(self.settings.training, self.state.step - 1).learning_rate
        self.average_loss = float(np.mean(losses))
        return {"loss": self.average_loss, "learning_rate": rate}

    def _evaluate(self) -> Metrics:
        """Evaluate, or return the metrics that an earlier attempt wrote for this step.

        Raises:
            TrialFailed: A metric is not finite.
        """
        before = self.journal.at(self.state.step)
        if before is not None and "accuracy" in before.metrics:
            self.accuracy = before.metrics["accuracy"]
            return before.metrics
        with self._timed("evaluate"):
            model = self.state.evaluated
            outcome = self.evaluator.evaluate(model)
            for name, value in outcome.metrics.items():
                if not math.isfinite(value):
                    step, seed = self.state.step, self.settings.seed
                    raise TrialFailed(f"{name} is {value} at step {step}, seed {seed}")
            arrays = {k: getattr(outcome, k) for k in ("images", "labels", "readings")}
            if len(outcome.images) > 0:
                grid = sample_grid(outcome, self.settings.data)
                self.record.write_samples(self.state.step, picture=grid, arrays=arrays)
            folder = self.record.representations
            activations.collect(self.settings, self.diffusion, model, folder, self.state.step)
        self.accuracy = outcome.metrics["accuracy"]
        return outcome.metrics

    def _finish(self) -> None:
        """Write the final weights, then the result, then delete the checkpoints."""
        last = self.journal.at(self.settings.training.steps)
        assert last is not None
        assert "accuracy" in last.metrics
        with self._timed("save"):
            weights = {k: v.contiguous() for k, v in self.state.evaluated.state_dict().items()}
            content = safetensors.torch.save(weights)
            write_atomically(self.record.weights, content)
        self.journal.repair()  # the result contains its checksum
        self.record.write_result(
            {
                "metrics": last.metrics,
                "weights_sha256": hashlib.sha256(content).hexdigest(),
                "seconds": self.seconds,
                "trained_together": self.together,
                "batch_parts": self.learner.parts,
                "repeated_after_step": self.repeated,
                "steps": self.state.step,
                "parameters": self.state.model.parameter_count,
                "device": describe_device(self.device),
                "code": self.record.code(),
                "versions": code_record.versions(),
                "finished": time.time(),
            }
        )
        checkpoint.clear(self.record.checkpoints)
        self.over = True
