"""How the representations of one trial change while it trains: measured, kept, and drawn.

The measures of a layer stand in the trial's record as a journal, `analysis/<layer>.jsonl`, with a
line for each step whose representations were kept; in `analysis/<layer>/` what figures need of each
step, and figures of the last one.
"""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from analysis.figures import checkpoint as checkpoint_figures
from analysis.measures import measurement_cache, scalars
from analysis.measures.checkpoint import measure
from analysis.measures.phases import PHASES, phase
from analysis.plotting import figure_io
from analysis.plotting.figure_io import Drawing, styled
from analysis.plotting.style import GREY, LETTERS, line_style, title
from factorlab.evaluation import activations
from factorlab.model.unet import LAYERS
from factorlab.storage import journal
from factorlab.storage.journal import Journal
from factorlab.storage.record import Record

# Panels of the figure: what is drawn against the step, by name of the measure.
_PANELS = (
    ("Accuracy", {"accuracy": "model", "ceiling": "label reader's ceiling"}),
    ("Effective dimension", {"dimension": "participation ratio"}),
    (
        "R² of the labels",
        {
            "r_squared_x": "x, UMAP",
            "r_squared_y": "y, UMAP",
            "r_squared_pca_x": "x, leading PCs",
            "r_squared_pca_y": "y, leading PCs",
        },
    ),
    ("Factorization", {"factorization": "0 coupled, 1 apart"}),
    ("Betti numbers", {"betti_0": "pieces", "betti_1": "loops", "betti_2": "voids"}),
    (
        "Displacements, mean of the pairs",
        {
            "orthogonality_x_on_y": "x-on-y orthogonality",
            "parallelism_x_on_y": "x-on-y parallelism",
            "parallelism_y_on_x": "y-on-x parallelism",
        },
    ),
)

# A sweep has hundreds of trials; PDFs would take longer than the measures.
_KINDS = ("png",)

# Behind each phase, lighter as order grows.
_SHADES = {"A": "0.82", "B": "0.92", "C": "1.0"}


def analyse(record: Record, layer: str = "layer4", *, seed: int = 0) -> Iterator[int]:
    """Measure the kept representations of a trial that were not measured yet.

    Yields:
        Each step, after its measures were written.

    Raises:
        ValueError: None was kept, or those of a step cannot be measured.
        DamagedFile: A file of the record is not what was written.
    """
    folders = record.represented()
    if not folders:
        raise ValueError(
            "No representations were kept; representations.layers says which are to be."
        )
    config = record.config()
    if config is None:
        raise ValueError("There is no config.json.")
    if layer not in LAYERS:
        raise ValueError(f"No layer is called '{layer}'; there are {', '.join(LAYERS)}.")
    data, last = config["config"]["data"], max(folders)
    with record.measuring(layer):
        written = Journal(record.measures(layer))
        for step, path in folders.items():
            if written.at(step) is not None:  # the last step's figures are drawn before its line
                continue
            found = activations.read(path, layer)
            try:
                measures = measure(
                    found.points,
                    found.labels,
                    found.sides,
                    period=data["size"] if data["periodic"] else None,
                    seed=seed,
                )
            except ValueError as error:
                raise ValueError(f"Step {step}: {error}") from None
            if step == last:
                for name in checkpoint_figures.available():
                    drawn = checkpoint_figures.load(name).draw(measures)
                    figure_io.save(drawn, record.analysis / layer, name, _KINDS)
            measurement_cache.keep(record, layer, step, measures)
            written.append(step, scalars.of(measures))
            yield step


def table(record: Record, layer: str = "layer4") -> pd.DataFrame:
    """What was measured of a trial by step: one row for each, with the metrics of its evaluation.

    Where those are known, `phase` is the phase of manifold formation.

    Raises:
        ValueError: Nothing was measured.
    """
    measured, _ = journal.read(record.measures(layer))
    points = {point.step: point.metrics for point in record.points()[0]}
    rows: list[dict[str, Any]] = [
        {"step": point.step, **points.get(point.step, {}), **point.metrics} for point in measured
    ]
    if not rows:
        raise ValueError(f"Nothing of {layer} was measured; factorlab analyse does.")
    for row in rows:  # a trial that runs may not have written its evaluation yet
        row["phase"] = phase(row) if "accuracy" in row else None
    return pd.DataFrame(rows)


def draw(course: pd.DataFrame) -> Drawing:
    """Draw a trial's measures against the optimizer step.

    Args:
        course: As `table` returns it.
    """
    with styled():
        figure = Figure(figsize=(9.6, 5.4), layout="constrained")
        places = figure.subplots(2, 3, sharex=True)
        for letter, axes, (name, lines) in zip(LETTERS, places.flat, _PANELS, strict=False):
            title(axes, letter, name)
            for index, (column, label) in enumerate(lines.items()):
                if column in course:
                    colour, marker = line_style(index)
                    style = {"color": colour, "marker": marker, "label": label}
                    axes.plot(course["step"], course[column], **style)
            low, high = axes.get_ylim()
            axes.set_ylim(min(low, 0), 1.35 * high)  # room for the legend
            axes.legend(fontsize=7, ncols=2 if len(lines) > 3 else 1)
        for axes in places[1]:
            axes.set_xlabel("Optimizer step")
        _shade_phases(figure, course)
    columns = ["step", "phase", *(c for _, lines in _PANELS for c in lines if c in course)]
    return Drawing(figure=figure, panels={"course": course[columns]})


def _shade_phases(figure: Figure, course: pd.DataFrame) -> None:
    """Shade the phases behind all panels, each step's up to halfway to the next."""
    known = course.dropna(subset="phase")
    steps = known["step"].to_list()
    edges = [*steps[:1], *((a + b) / 2 for a, b in pairwise(steps)), *steps[-1:]]
    for axes in figure.axes:
        for name, span in zip(known["phase"], pairwise(edges), strict=True):
            axes.axvspan(*span, color=_SHADES[name], lw=0, zorder=0)
    figure.legend(
        handles=[
            Patch(fc=_SHADES[name], ec=GREY, lw=0.5, label=f"{name}: {text}")
            for name, text in PHASES.items()
        ],
        loc="outside lower center",
        ncols=len(PHASES),
        title="Phase of manifold formation",
    )


def save(record: Record, layer: str) -> list[Path]:
    """Draw a trial's course into its record; returns the paths."""
    return figure_io.save(draw(table(record, layer)), record.analysis / layer, "course", _KINDS)
