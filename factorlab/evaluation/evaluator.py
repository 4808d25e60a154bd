"""Evaluation of a model: which labels are tested, how accurate it is, and how it fails.

Accuracy is the share of samples whose label is read within a pixel in x and in y ([W] eq. 1). It is
reported together with the ceiling: the label reader's accuracy on clean images of the same labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from factorlab import families, label_reader
from factorlab.config import RunSettings
from factorlab.data import lattice
from factorlab.data.dataset import Dataset, evaluation_labels
from factorlab.data.lattice import Labels, Mask
from factorlab.data.rendering import render, to_8_bit, to_model
from factorlab.evaluation.accuracy import TOLERANCE, accuracies
from factorlab.evaluation.failures import failures
from factorlab.label_reader import LabelPredictions
from factorlab.model.cuda_graph import with_cuda_graph
from factorlab.model.diffusion import Diffusion
from factorlab.seeding import Stream, generator, integer, sequence

Metrics = dict[str, float]


@dataclass(frozen=True)
class Outcome:
    """The outcome of one evaluation."""

    metrics: Metrics
    """Values by name; see `Evaluator.evaluate` for the names."""

    images: NDArray[np.uint8]
    """Generated images to save, (K, N, N)."""

    labels: Labels
    """Their true labels, (K, 2), in pixels."""

    readings: Labels
    """Labels read off these images, (K, 2), NaN if none could be read."""


def within_a_pixel(readings: LabelPredictions, labels: Labels, period: int | None) -> Mask:
    """Return which coordinates are read correctly, (B, 2) (the two factors of [W] eq. 1).

    Args:
        readings: Labels read off the images.
        labels: True labels, (B, 2), in pixels.
        period: N if distances are taken modulo N, else None.
    """
    return _errors(readings, labels, period) < TOLERANCE  # NaN compares as wrong


def _errors(readings: LabelPredictions, labels: Labels, period: int | None) -> NDArray[np.float64]:
    """Return the error of each coordinate in pixels, (B, 2), NaN if it could not be read."""
    errors = np.abs(readings.labels - labels)
    return errors if period is None else np.minimum(errors, period - errors)


def score(readings: LabelPredictions, labels: Labels, period: int | None) -> Metrics:
    """Return accuracy and failure modes.

    Args:
        readings: Labels read off the images.
        labels: True labels, (B, 2), in pixels.
        period: N if distances are taken modulo N, else None.

    Returns:
        The accuracies of `factorlab.evaluation.accuracy`, and the failures of [W] section 3 as
        shares: `share_none` (nothing drawn), `share_misplaced` (one shape in the wrong place) and
        `share_several`. These shares and the accuracy add up to one.

        `error_pixels` is the mean distance between the label and what was read, in pixels; labels
        that cannot be read do not count, and it is missing if none can (our definition).
    """
    errors = _errors(readings, labels, period)
    distances = np.hypot(errors[:, 0], errors[:, 1])
    read = np.isfinite(distances)
    correct = (errors < TOLERANCE).all(axis=1)
    wrong = [float(np.mean(~correct & (readings.objects == k))) for k in (0, 1, 2)]
    return {
        **accuracies(errors),
        "share_none": wrong[0],
        "share_misplaced": wrong[1],
        "share_several": wrong[2],
        **({"error_pixels": float(distances[read].mean())} if read.any() else {}),
    }


class Evaluator:
    """Evaluates models of one run with fixed labels, seeds and ceiling."""

    def __init__(
        self,
        settings: RunSettings,
        dataset: Dataset,
        diffusion: Diffusion,
        device: torch.device,
    ) -> None:
        self.settings = settings
        self.dataset = dataset
        self.diffusion = diffusion
        self.device = device
        tested = evaluation_labels(settings, dataset)
        self.labels = tested.labels
        self.parts = tested.parts(settings.data)
        self._seeds = [integer(settings.seed, Stream.SAMPLES, int(i)) for i in tested.places]

    @property
    def _period(self) -> int | None:
        return self.settings.data.size if self.settings.data.periodic else None

    def _scores(self, images: NDArray[np.uint8]) -> tuple[Metrics, LabelPredictions]:
        """Return the metrics of images of the evaluation labels, overall and by part."""
        data = self.settings.data
        readings = label_reader.read(images, families.of(data.family).READ, periodic=data.periodic)
        metrics = score(readings, self.labels, self._period)
        correct = np.all(within_a_pixel(readings, self.labels, self._period), axis=1)
        for name, mask in self.parts.items():
            metrics[f"accuracy_{name}"] = float(correct[mask].mean())
        return metrics | failures(images, correct, data), readings

    @cached_property
    def ceiling(self) -> Metrics:
        """The label reader's accuracy on clean images of the same labels, overall and by part.

        The names are those of the accuracies, with `ceiling` in place of `accuracy`. Besides,
        `ceiling_contrast` does not count images that have too little contrast to be called a shape:
        bumps much narrower than a pixel may fall between pixels (our definition).
        """
        clean = render(torch.from_numpy(self.labels), self.settings.data)
        metrics, readings = self._scores(to_8_bit(to_model(clean)).numpy())
        right = within_a_pixel(readings, self.labels, self._period).all(axis=1)
        return {
            **{
                name.replace("accuracy", "ceiling"): value
                for name, value in metrics.items()
                if name.startswith("accuracy")
            },
            "ceiling_contrast": float((right & (readings.objects > 0)).mean()),
        }

    def generate(self, model: nn.Module) -> NDArray[np.uint8]:
        """Return generated images of all evaluation labels, (B, N, N), 8-bit."""
        labels = torch.from_numpy(self.labels).to(self.device, torch.float32)
        size, batch = self.settings.data.size, self.settings.evaluation.batch_size
        denoise = with_cuda_graph(model, self.device)
        batches = [
            to_8_bit(
                self.diffusion.sample(
                    denoise, labels[i : i + batch], self._seeds[i : i + batch], size
                )
            )
            for i in range(0, len(labels), batch)
        ]
        images: NDArray[np.uint8] = torch.cat(batches).numpy()
        return images

    @torch.no_grad()
    def losses(self, model: nn.Module) -> Metrics:
        """Return `train_loss` and `validation_loss` [F Fig. 14c].

        Both use the same time steps and noise, and so does every call. `train_loss` uses a seeded
        draw from the training set. `validation_loss` uses labels drawn uniformly over the frame, at
        least a pixel from the rim and outside any held-out region (our choice). It is missing if no
        such label exists.
        """
        data, count = self.settings.data, self.settings.evaluation.loss_samples
        rng = np.random.default_rng(sequence(self.settings.seed, Stream.LOSS_ESTIMATES))
        train = self.dataset.labels[rng.integers(self.dataset.samples_total, size=count)]
        candidates = rng.uniform(2, data.size - 1, size=(64 * count, 2))
        validation = candidates[~lattice.held_out_mask(candidates, data)][:count]
        metrics = {"train_loss": self._loss(model, train)}
        if len(validation) > 0:
            metrics["validation_loss"] = self._loss(model, validation)
        return metrics

    def _loss(self, model: nn.Module, labels: Labels) -> float:
        """Return the mean loss on labels; time steps and noise depend only on the seed."""
        g = generator(self.settings.seed, Stream.LOSS_ESTIMATES)
        size, batch = self.settings.data.size, self.settings.evaluation.batch_size
        t = torch.randint(self.settings.diffusion.timesteps, (len(labels),), generator=g)
        noise = torch.randn((len(labels), 1, size, size), generator=g)
        tensors: list[Tensor] = [torch.from_numpy(labels).float(), t, noise]
        total = 0.0
        for part in zip(*(torch.split(tensor, batch) for tensor in tensors), strict=True):
            c, times, eps = (tensor.to(self.device) for tensor in part)
            x_0 = to_model(render(c, self.settings.data))
            total += float(self.diffusion.loss(model, x_0, c, times, eps)) * len(c)
        return total / len(labels)

    def evaluate(self, model: nn.Module) -> Outcome:
        """Return accuracy, ceiling and losses of a model, and some of its images.

        The metrics are those of `score` and of `failures`; `accuracy_<part>` for `seen`, `unseen`
        and the parts of `lattice.regions`; the `ceiling` of every accuracy; `train_loss` and
        `validation_loss`.
        """
        training = model.training
        model.eval()
        images = self.generate(model)
        metrics, readings = self._scores(images)
        losses = self.losses(model)
        model.train(training)
        # Evenly over the label plane, so that a few images represent all of it.
        count = min(self.settings.evaluation.keep, len(images))
        kept = np.linspace(0, len(images) - 1, count).astype(int)
        return Outcome(
            metrics=metrics | self.ceiling | losses,
            images=images[kept],
            labels=self.labels[kept],
            readings=readings.labels[kept],
        )
