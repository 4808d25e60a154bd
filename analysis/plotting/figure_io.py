"""A figure with its data, and writing both to disk.

The written bytes depend only on the table, the code and the library versions. They contain no
dates.
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

# Colour-blind-safe colours (Okabe and Ito 2008), ordered so that successive colours differ clearly.
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
    "pdf.fonttype": 42,  # embed fonts, so that text in a PDF stays text
    "svg.hashsalt": "factorlab",
}

_DPI = 200
# By default matplotlib writes its own name and, into PDFs, the date.
_METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "pdf": {"Creator": None, "Producer": None, "CreationDate": None},
}


def styled() -> AbstractContextManager[None]:
    """Return a context with the style of all figures, independent of the user's settings."""
    return style.context(["default", _STYLE])


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A figure and the data of its panels."""

    figure: Figure
    """The figure, drawn under `styled()`."""

    panels: dict[str, pd.DataFrame]
    """Maps the name of a panel, or of one layer of it, to the data it shows. Names become part of
    file names and consist of lower case letters, digits and hyphens."""


def save(
    drawing: Drawing, folder: Path, name: str, kinds: Sequence[str] = tuple(_METADATA)
) -> list[Path]:
    """Write a drawing as `NAME.png` (200 dpi), `NAME.pdf` and one `NAME-PANEL.csv` per panel.

    Each file is written under a temporary name, flushed to disk and then renamed, so a reader
    never sees a partial file. CSV files contain all digits of the numbers.

    Args:
        drawing: Return value of a figure module's `draw`.
        folder: Output folder; created if missing.
        name: Name of the figure.
        kinds: Image formats, `png` and/or `pdf`. A PDF takes twice as long.

    Returns:
        Paths of the written files.

    Raises:
        ValueError: A name contains other characters than lower case letters, digits and hyphens.
        OSError: The folder cannot be created or written to.
    """
    for part in (name, *drawing.panels):
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", part):
            raise ValueError(
                f"The name {part!r} of a figure or panel must consist of lower case letters, "
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
