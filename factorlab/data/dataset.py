"""Data sets as arrays of labels; images are rendered from them one batch at a time."""

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
from factorlab.data.arrangement import ImpossibleError, arrange, reach
from factorlab.data.lattice import Labels, Mask
from factorlab.errors import UserError
from factorlab.seeding import Stream, sequence


@dataclass(frozen=True, eq=False)
class Dataset:
    """The labels that a model is trained on, and the lattice they were taken from.

    A lattice of 320 x 320 centres is 1.6 MB of labels here. As images at N = 32 it would be 420 MB.
    """

    data: DataSettings
    """Settings that the data set was built from."""

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
        """Number of examples, including stripes."""
        return self.samples_2d + len(self.stripes)

    @property
    def digest(self) -> str:
        """sha256 of the labels. Data sets with the same digest train the same model."""
        digest = hashlib.sha256(f"{self.samples_2d},{self.samples_total};".encode())
        digest.update(np.ascontiguousarray(self.labels, dtype="<f8").tobytes())
        return digest.hexdigest()


def build(data: DataSettings, seed: int, source: str = "settings") -> Dataset:
    """Build a data set from its settings.

    Args:
        data: Family, lattice, subsampling and held-out region.
        seed: Seed of the run, from which the subsample is drawn.
        source: File or option to name in error messages.

    Returns:
        The data set.

    Raises:
        UserError: No label remains to train on.
    """
    frame = lattice.frame_labels(data)
    seen = np.zeros(len(frame), dtype=bool)
    stripes = _stripes(data, source) if families.has_stripes(data.family) else np.empty((0, 2))
    if data.family == families.STRIPES:
        candidates = len(stripes)
        stripes = stripes[lattice.subsample(candidates, data.subsample, seed)]
        kept = len(stripes)
    else:
        allowed = np.flatnonzero(~lattice.held_out_mask(frame, data))
        candidates = len(allowed)
        chosen = lattice.subsample(candidates, data.subsample, seed)
        kept = len(chosen)
        if data.arrangement is not None and kept:
            chosen = _arranged(data, seed, source)
        seen[allowed[chosen]] = True
        if data.family.endswith(families.THINNED):
            stripes = _thinned(stripes, data.subsample, seed, source)
    if candidates == 0:
        raise UserError(
            f"{source}: data.held_out leaves no lattice label to train on (size {data.size}, "
            f"spacing {data.spacing}); allowed: a smaller width"
        )
    if kept == 0:
        raise UserError(
            f"{source}: data.subsample = {data.subsample} keeps none of {candidates} labels; "
            f"allowed: at least {math.ceil(5e5 / candidates) / 1e6:g}"
        )
    return Dataset(data=data, lattice=frame, seen=seen, stripes=stripes)


def _stripes(data: DataSettings, source: str) -> Labels:
    """Return the stripes outside of any gap.

    Raises:
        UserError: None remains.
    """
    stripes = lattice.stripe_labels(data)
    if len(stripes) == 0:
        raise UserError(
            f"{source}: data.margin = {data.canvas_margin} leaves no room for a stripe; "
            f"allowed: at least data.stripe_spacing = {data.stripe_spacing}"
        )
    if data.stripe_gap is not None:
        stripes = stripes[~lattice.in_gap(stripes, data)]
        if len(stripes) == 0:
            raise UserError(f"{source}: data.stripe_gap leaves no stripe; allowed: a smaller width")
    return stripes


def _arranged(data: DataSettings, seed: int, source: str) -> NDArray[np.int64]:
    """Return the indices of the arranged examples among the labels that are not held out.

    Raises:
        UserError: There is no such set.
    """
    try:
        return _arranged_once(data, seed)
    except ImpossibleError as error:
        raise UserError(
            f"{source}: data.arrangement: {error}; allowed: another data.subsample or overlap"
        ) from None


@lru_cache(maxsize=256)
def _arranged_once(data: DataSettings, seed: int) -> NDArray[np.int64]:
    """Return the indices; the search takes seconds, and a data set is built several times.

    Coverage is that of the labels at least a pixel from the rim, which are tested by default.

    Raises:
        ImpossibleError: There is no such set.
    """
    assert data.arrangement is not None
    frame = lattice.frame_labels(data)
    labels = frame[~lattice.held_out_mask(frame, data)]
    found = arrange(
        labels,
        frame[((frame >= 2) & (frame <= data.size - 1)).all(axis=1)],
        lattice.subsample(len(labels), data.subsample, seed),
        kind=data.arrangement.kind,
        distance=reach(data.sigmas[0], data.arrangement.overlap),
        seed=seed,
    )
    found.flags.writeable = False
    return found


def _thinned(stripes: Labels, share: float, seed: int, source: str) -> Labels:
    """Return a share of the stripes.

    Raises:
        UserError: None remains.
    """
    kept = stripes[lattice.subsample(len(stripes), share, seed)]
    if not len(kept):
        raise UserError(
            f"{source}: data.subsample = {share} keeps none of {len(stripes)} stripes; allowed: at "
            f"least {math.ceil(5e5 / len(stripes)) / 1e6:g}"
        )
    return kept


@dataclass(frozen=True, eq=False)
class EvaluationLabels:
    """The labels that a model is tested on."""

    labels: Labels
    """(T, 2), in pixels."""

    seen: Mask
    """Which of the labels are trained on, (T,)."""

    places: NDArray[np.int64]
    """Index of each label, (T,), in the lattice or in the uniform draw. It seeds the noise of the
    label, which therefore does not depend on which other labels are tested."""

    def parts(self, data: DataSettings) -> dict[str, Mask]:
        """Return the parts of the labels for which accuracy is reported as well, by name.

        They are `seen`, `unseen` and those of `lattice.regions`; empty ones are left out.
        """
        named = {"seen": self.seen, "unseen": ~self.seen, **lattice.regions(self.labels, data)}
        return {name: mask for name, mask in named.items() if mask.any()}


def evaluation_labels(settings: RunSettings, dataset: Dataset) -> EvaluationLabels:
    """Return the labels to test.

    By default these are lattice labels, seen and unseen, at least a pixel from the rim. If there
    are more than `samples`, the seed of the run draws that many (our choice). With `labels` set to
    `all`, or on a periodic image, they may lie at the rim. With `uniform`, `samples` labels are
    drawn uniformly, at least a pixel from the rim unless the image is periodic ([W] section 2).
    With `region`, half of them are drawn inside the held-out region, and come first.

    Args:
        settings: Settings of the run.
        dataset: Data set of the run.

    Returns:
        The labels with their indices.

    Raises:
        UserError: No lattice label is at least a pixel from the rim, or the held-out region is too
            small.
    """
    if settings.evaluation.labels in _DRAWN:
        count = settings.evaluation.samples
        labels = _drawn(settings)
        return EvaluationLabels(labels, np.zeros(count, dtype=bool), np.arange(count))
    chosen = _lattice_places(settings, dataset)
    return EvaluationLabels(dataset.lattice[chosen], dataset.seen[chosen], chosen)


_DRAWN = ("uniform", "region")
_CHUNK, _CHUNKS = 100_000, 100  # candidates for labels inside and outside a region


def _drawn(settings: RunSettings) -> Labels:
    """Draw labels uniformly; for `region`, half inside the held-out region and half outside.

    Raises:
        UserError: The region, or the rest, is too small to be hit.
    """
    low, high = _range(settings.data)
    count = settings.evaluation.samples
    rng = np.random.default_rng(sequence(settings.seed, Stream.EVALUATION_LABELS))
    if settings.evaluation.labels == "uniform":
        return rng.uniform(low, high, (count, 2))
    inside, outside = np.empty((0, 2)), np.empty((0, 2))
    for _ in range(_CHUNKS):
        drawn = rng.uniform(low, high, (_CHUNK, 2))
        held = lattice.held_out_mask(drawn, settings.data)
        inside = np.concatenate([inside, drawn[held]])[: count // 2]
        outside = np.concatenate([outside, drawn[~held]])[: count // 2]
        if len(inside) + len(outside) == count:
            return np.concatenate([inside, outside])
    raise _too_small("inside" if len(inside) < count // 2 else "outside")


def _too_small(where: str) -> UserError:
    return UserError(
        f"evaluation.labels = 'region': too few labels lie {where} data.held_out; allowed: another "
        "width, or evaluation.labels = 'uniform'"
    )


@lru_cache(maxsize=256)
def _check_region(data: DataSettings, samples: int) -> None:
    """Check on one chunk of candidates that labels can be drawn on both sides of a region.

    Raises:
        UserError: They cannot.
    """
    low, high = _range(data)
    held = lattice.held_out_mask(np.random.default_rng(0).uniform(low, high, (_CHUNK, 2)), data)
    for where, count in (("inside", held.sum()), ("outside", (~held).sum())):
        # Half of what the chunks of a draw are expected to contain.
        if count * _CHUNKS < samples:
            raise _too_small(where)


def _range(data: DataSettings) -> tuple[float, float]:
    """Return the ends of drawn coordinates: a pixel from the rim, unless the image is periodic."""
    return (1, data.size + 1) if data.periodic else (2, data.size - 1)


@lru_cache(maxsize=1024)
def evaluation_label_count(data: DataSettings, evaluation: EvaluationSettings) -> int:
    """Return how many labels an evaluation tests; the number does not depend on the seed.

    Raises:
        UserError: No lattice label is at least a pixel from the rim, or the held-out region, or the
            rest of the frame, is too small to draw labels in.
    """
    if evaluation.labels == "region":
        _check_region(data, evaluation.samples)
    if evaluation.labels in _DRAWN:
        return evaluation.samples
    return min(evaluation.samples, len(_candidates(lattice.frame_labels(data), data, evaluation)))


def _candidates(
    frame: Labels, data: DataSettings, evaluation: EvaluationSettings
) -> NDArray[np.int64]:
    """Return the sorted indices of the lattice labels that may be tested.

    Raises:
        UserError: There are none.
    """
    from_rim = np.minimum(frame - 1, data.size - frame).min(axis=1)
    chosen = np.flatnonzero((from_rim >= 1) | data.periodic | (evaluation.labels == "all"))
    if len(chosen) == 0:
        raise UserError(
            f"evaluation.labels = 'interior': no lattice label (size {data.size}, spacing "
            f"{data.spacing}) is at least a pixel from the rim; allowed: 'all', 'uniform'"
        )
    return chosen


def _lattice_places(settings: RunSettings, dataset: Dataset) -> NDArray[np.int64]:
    """Return the sorted indices of the lattice labels to test."""
    chosen = _candidates(dataset.lattice, settings.data, settings.evaluation)
    if len(chosen) > settings.evaluation.samples:
        rng = np.random.default_rng(sequence(settings.seed, Stream.EVALUATION_LABELS))
        chosen = np.sort(rng.choice(chosen, settings.evaluation.samples, replace=False))
    return chosen
