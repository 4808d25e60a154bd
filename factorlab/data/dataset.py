"""A data set is its labels: images are drawn from them a batch at a time, never all at once."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from factorlab import families
from factorlab.config import DataSettings, EvaluationSettings, RunSettings
from factorlab.data import lattice
from factorlab.data.lattice import Labels, Mask
from factorlab.errors import UserError
from factorlab.seeding import Stream, sequence


@dataclass(frozen=True, eq=False)
class Dataset:
    """The labels that a model is trained on, and the lattice they were taken from.

    A lattice of 320 x 320 centres is 1.6 MB of labels here, and 420 MB as images at N = 32.
    """

    data: DataSettings
    """What the data set was built from."""

    lattice: Labels
    """All lattice labels inside the frame, (L, 2)."""

    seen: Mask
    """Which of the lattice labels are trained on, (L,)."""

    stripes: Labels
    """Labels of the 1D stripes that are trained on, (S, 2)."""

    @property
    def labels(self) -> Labels:
        """All labels trained on, 2D examples first, (samples_total, 2)."""
        return np.concatenate([self.lattice[self.seen], self.stripes])

    @property
    def samples_2d(self) -> int:
        """Number of 2D examples."""
        return int(self.seen.sum())

    @property
    def samples_total(self) -> int:
        """Number of examples, stripes included."""
        return self.samples_2d + len(self.stripes)

    @property
    def digest(self) -> str:
        """sha256 of the labels: two data sets with the same digest train the same model."""
        digest = hashlib.sha256(f"{self.samples_2d},{self.samples_total};".encode())
        digest.update(np.ascontiguousarray(self.labels, dtype="<f8").tobytes())
        return digest.hexdigest()


def build(data: DataSettings, seed: int, source: str = "settings") -> Dataset:
    """Return the data set of a description.

    Args:
        data: family, lattice, subsampling and held-out region.
        seed: the run's seed, from which the subsample is drawn.
        source: what to name in a complaint.

    Raises:
        UserError: nothing is left to train on.
    """
    frame = lattice.frame_labels(data)
    seen = np.zeros(len(frame), dtype=bool)
    stripes = np.empty((0, 2))
    if data.family.endswith(families.STRIPES):
        stripes = lattice.stripe_labels(data)
        if len(stripes) == 0:
            raise UserError(
                f"{source}: data.margin = {data.canvas_margin} has no room for a stripe; "
                f"allowed: at least data.stripe_spacing = {data.stripe_spacing}"
            )
    if data.family == families.STRIPES:
        candidates = len(stripes)
        stripes = stripes[lattice.subsample(candidates, data.subsample, seed)]
        kept = len(stripes)
    else:
        allowed = np.flatnonzero(~lattice.held_out_mask(frame, data))
        candidates = len(allowed)
        seen[allowed[lattice.subsample(candidates, data.subsample, seed)]] = True
        kept = int(seen.sum())
    if candidates == 0:
        raise UserError(
            f"{source}: data.held_out leaves no label of the lattice (size {data.size}, "
            f"spacing {data.spacing}) to train on; allowed: a smaller width"
        )
    if kept == 0:
        raise UserError(
            f"{source}: data.subsample = {data.subsample}: keeps none of {candidates} labels; "
            f"allowed: at least {math.ceil(5e5 / candidates) / 1e6:g}"
        )
    return Dataset(data=data, lattice=frame, seen=seen, stripes=stripes)


@dataclass(frozen=True, eq=False)
class EvaluationLabels:
    """The labels that a model is tested on."""

    labels: Labels
    """(T, 2), in pixels."""

    seen: Mask
    """Which of them are trained on, (T,)."""

    places: NDArray[np.int64]
    """Numbers that name the labels, (T,): in the lattice, so that a label's noise does not depend
    on which others are tested; or in the draw."""


def evaluation_labels(settings: RunSettings, dataset: Dataset) -> EvaluationLabels:
    """Return the labels to test.

    Lattice labels, seen and unseen, at least a pixel from the rim (unless `labels` is `all` or the
    image is periodic), drawn down to `samples` by the run's seed (our choice); or, where `labels`
    is `uniform`, as many as `samples` from anywhere that far from the rim ([W] section 2).

    Raises:
        UserError: no label of the lattice is a pixel from the rim.
    """
    if settings.evaluation.labels == "uniform":
        low, high = (1, settings.data.size + 1) if settings.data.periodic else _interior(settings)
        count = settings.evaluation.samples
        rng = np.random.default_rng(sequence(settings.seed, Stream.EVALUATION_LABELS))
        labels = rng.uniform(low, high, (count, 2))
        return EvaluationLabels(labels, np.zeros(count, dtype=bool), np.arange(count))
    chosen = _lattice_places(settings, dataset)
    return EvaluationLabels(dataset.lattice[chosen], dataset.seen[chosen], chosen)


def _interior(settings: RunSettings) -> tuple[float, float]:
    """Coordinates between which labels are at least a pixel from the rim."""
    return 2, settings.data.size - 1


@lru_cache(maxsize=1024)
def evaluation_label_count(data: DataSettings, evaluation: EvaluationSettings) -> int:
    """Return how many labels an evaluation tests, which no seed changes.

    Raises:
        UserError: no label of the lattice is a pixel from the rim.
    """
    if evaluation.labels == "uniform":
        return evaluation.samples
    return min(evaluation.samples, len(_candidates(lattice.frame_labels(data), data, evaluation)))


def _candidates(
    frame: Labels, data: DataSettings, evaluation: EvaluationSettings
) -> NDArray[np.int64]:
    """Indices of the lattice labels that may be tested, sorted.

    Raises:
        UserError: there is none.
    """
    from_rim = np.minimum(frame - 1, data.size - frame).min(axis=1)
    chosen = np.flatnonzero((from_rim >= 1) | data.periodic | (evaluation.labels == "all"))
    if len(chosen) == 0:
        raise UserError(
            f"evaluation.labels = 'interior': no label of the lattice (size {data.size}, spacing "
            f"{data.spacing}) lies a pixel from the rim; allowed: all"
        )
    return chosen


def _lattice_places(settings: RunSettings, dataset: Dataset) -> NDArray[np.int64]:
    """Indices of the lattice labels to test, sorted."""
    chosen = _candidates(dataset.lattice, settings.data, settings.evaluation)
    if len(chosen) > settings.evaluation.samples:
        rng = np.random.default_rng(sequence(settings.seed, Stream.EVALUATION_LABELS))
        chosen = np.sort(rng.choice(chosen, settings.evaluation.samples, replace=False))
    return chosen
