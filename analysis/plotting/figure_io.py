"""A drawn figure with the numbers behind it, and how both reach the disk.

The bytes depend on the table, the code and the versions of the libraries alone: no dates.
"""

import io
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib import style
from matplotlib.figure import Figure

from factorlab.storage.files import write_atomically

# Colour-blind-safe colours (Okabe and Ito 2008), in an order that keeps neighbours apart.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

_STYLE: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "lines.linewidth": 1.5,
    "lines.markersize": 5,
    "pdf.fonttype": 42,  # text stays text in the PDF
    "svg.hashsalt": "factorlab",
}

_DPI = 200
# matplotlib writes its own name, and in a PDF the date, unless told not to.
_METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "pdf": {"Creator": None, "Producer": None, "CreationDate": None},
}


def styled() -> AbstractContextManager[None]:
    """The style of every figure, whatever the user's own matplotlib settings are."""
    return style.context(["default", _STYLE])


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A figure and the data behind its panels."""

    figure: Figure
    """The figure, drawn under `styled()`."""

    panels: dict[str, pd.DataFrame]
    """Name of a panel, or of one layer of it, to the numbers it shows. Names are lower case
    letters, digits and hyphens: they end up in file names."""


def save(
    drawing: Drawing, folder: Path, name: str, kinds: Sequence[str] = tuple(_METADATA)
) -> list[Path]:
    """Write a drawing: `NAME.png` (200 dpi), `NAME.pdf`, and `NAME-PANEL.csv` for each panel.

    Each file is written under a temporary name, flushed to the disk and renamed, so that a
    reader never sees half of one. Numbers in a CSV keep all their digits.

    Args:
        drawing: What a figure module's `draw` returns.
        folder: Where the files go; it is made if it is missing.
        name: Name of the figure.
        kinds: Which of `png` and `pdf`; a PDF takes twice as long.

    Returns:
        The paths written.

    Raises:
        ValueError: `name` or a panel's name is not made of lower case letters, digits, hyphens.
        OSError: The folder cannot be made or written.
    """
    for part in (name, *drawing.panels):
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", part):
            raise ValueError(
                f"The name {part!r} of a figure or panel must be made of lower case letters, "
                "digits and hyphens."
            )
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with styled():
        for kind in kinds:
            buffer = io.BytesIO()
            drawing.figure.savefig(buffer, format=kind, dpi=_DPI, metadata=_METADATA[kind])
            written.append(folder / f"{name}.{kind}")
            write_atomically(written[-1], buffer.getvalue())
    for panel, data in drawing.panels.items():
        text = data.to_csv(index=False, lineterminator="\n")
        written.append(folder / f"{name}-{panel}.csv")
        write_atomically(written[-1], text.encode())
    return written
