"""Cache of the measured arrays that figures need for a layer at one step.

The file `analysis/<layer>/step-<step>.npz` in the trial's record holds PCA scores, the spectrum,
the UMAP embedding and persistence diagrams. Full representations are ten to a hundred times as
large and take seconds to measure again.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from factorlab.storage.files import read_arrays, write_atomically

if TYPE_CHECKING:  # readers need no scikit-learn
    from analysis.measures.checkpoint import Measures
    from factorlab.storage.record import Record

Floats = NDArray[np.floating[Any]]

# Number of leading components with cached scores and shares ([F] Fig 2: views of 4, spectra of 15).
SCORES, SHARES = 6, 15


@dataclass(frozen=True, kw_only=True)
class CachedMeasures:
    """Cached measures of a layer at one step."""

    labels: Floats
    """Labels in pixels, shape (samples, 2), x slowest."""

    scores: Floats
    """Scores of the leading principal components, shape (samples, 6)."""

    shares: Floats
    """Variance shares of the leading components, shape (15,)."""

    embedding: Floats
    """UMAP embedding, shape (samples, 3)."""

    diagrams: tuple[Floats, ...]
    """Births and deaths of the holes, one array of shape (holes, 2) per dimension from 0 up, in
    units of the scale."""


def keep(record: Record, layer: str, step: int, measures: Measures) -> None:
    """Write the cached measures of a layer at one step.

    Raises:
        OSError: The file cannot be written.
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
    """Read the cached measures of a layer at one step.

    Args:
        record: Folder of the trial's record.
        layer: Name of the layer.
        step: Number of optimizer steps.

    Returns:
        The cached measures, or None if the layer was not measured at this step.

    Raises:
        DamagedFile: The file is corrupt.
    """
    arrays = read_arrays(_path(record / "analysis", layer, step))
    if arrays is None:
        return None
    holes = [arrays.pop(name) for name in sorted(arrays) if name.startswith("diagram_")]
    return CachedMeasures(diagrams=tuple(holes), **arrays)


def _path(folder: Path, layer: str, step: int) -> Path:
    return folder / layer / f"step-{step:010d}.npz"
