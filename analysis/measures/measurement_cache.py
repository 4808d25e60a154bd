"""What figures need of a layer at one step, kept in the trial's record: views, spectrum, diagrams.

`analysis/<layer>/step-<step>.npz` beside the journal of numbers. Full representations are ten to a
hundred times as large, and take seconds to measure again.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from factorlab.storage.files import read_arrays, write_atomically

if TYPE_CHECKING:  # scikit-learn and more, which readers do without
    from analysis.measures.checkpoint import Measures
    from factorlab.storage.record import Record

Floats = NDArray[np.floating[Any]]

# Leading components whose scores and shares are kept ([F] Fig 2: views of 4, spectra of 15).
SCORES, SHARES = 6, 15


@dataclass(frozen=True, kw_only=True)
class CachedMeasures:
    """A layer at one step."""

    labels: Floats
    """(samples, 2), in pixels, x slowest."""

    scores: Floats
    """Leading principal components, (samples, 6)."""

    shares: Floats
    """Shares of the variance along the leading 15 components."""

    embedding: Floats
    """By UMAP, (samples, 3)."""

    diagrams: tuple[Floats, ...]
    """Births and deaths for each dimension from 0 up, (holes, 2), in shares of the scale."""


def keep(record: Record, layer: str, step: int, measures: Measures) -> None:
    """Write what figures need of measured representations.

    Raises:
        OSError: It cannot be written.
    """
    found = measures.persistence
    arrays = {
        "labels": measures.labels,
        "scores": measures.principal.scores[:, :SCORES],
        "shares": measures.principal.shares[:SHARES],
        "embedding": measures.embedding,
        **{f"diagram_{k}": d / found.scale for k, d in enumerate(found.diagrams)},
    }
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer, allow_pickle=False, **{k: np.float32(array) for k, array in arrays.items()}
    )
    path = _path(record.analysis, layer, step)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, buffer.getvalue())


def read(record: Path, layer: str, step: int) -> CachedMeasures | None:
    """Return what was kept of a layer at a step; None where it was not measured.

    Args:
        record: Folder of the trial.
        layer: Name of the layer.
        step: Optimizer steps done.

    Raises:
        DamagedFile: The file is not what was written.
    """
    arrays = read_arrays(_path(record / "analysis", layer, step))
    if arrays is None:
        return None
    holes = [arrays.pop(name) for name in sorted(arrays) if name.startswith("diagram_")]
    return CachedMeasures(diagrams=tuple(holes), **arrays)


def _path(folder: Path, layer: str, step: int) -> Path:
    return folder / layer / f"step-{step:010d}.npz"
