"""Training dynamics: measure and plot how the representations of a trial change during training.

The scalar measures of a layer are stored in the trial's record as a journal,
`analysis/<layer>.jsonl`, with one line per step with saved representations. The folder
`analysis/<layer>/` holds the measurement cache of each step and the figures of the last step.
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
from analysis.measures.layer_nulls import ImageNull, image_null, untrained_null
from analysis.measures.phases import PHASES, phase
from analysis.plotting import figure_io
from analysis.plotting.figure_io import Drawing, styled
from analysis.plotting.style import GREY, LETTERS, line_style, title
from factorlab.config import layer_of
from factorlab.evaluation import activations
from factorlab.parsing import parse
from factorlab.storage import journal
from factorlab.storage.journal import Journal
from factorlab.storage.record import Record

# Panels of the figure: title, and a legend label for each measure plotted against the step.
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

# A sweep has hundreds of trials; writing PDFs would take longer than measuring.
_KINDS = ("png",)

# Background grey level of each phase, lighter with increasing order.
_SHADES = {"A": "0.82", "B": "0.92", "C": "1.0"}


def analyse(record: Record, layer: str = "layer4", *, seed: int = 0) -> Iterator[int]:
    """Measure the saved representations of a trial that are not measured yet.

    They come with those of the clean images and of the untrained network
    (`analysis.measures.layer_nulls`).

    Args:
        record: Record of the trial.
        layer: Name of the layer, with `-t<time>` for a further noise time.
        seed: Seed of the subsample, the embedding and the cross-validation.

    Yields:
        Each step, after its measures are written.

    Raises:
        ValueError: The record has no representations or no `config.json`, there is no such layer,
            or the representations of a step cannot be measured.
        DamagedFile: A file of the record is corrupt.
    """
    folders = record.represented()
    if not folders:
        raise ValueError(
            "The trial saved no representations; set representations.layers to save them."
        )
    config = record.config()
    if config is None:
        raise ValueError("The record has no config.json.")
    layer_of(layer)
    run, last = parse(config["config"]), max(folders)
    period = run.data.period
    nulls: list[ImageNull | None] = []  # measured once, since all steps have the same labels
    untrained: dict[str, float] = {}
    with record.measuring(layer):
        written = Journal(record.measures(layer))
        for step, path in folders.items():
            if written.at(step) is not None:  # its figures are complete: the line is written last
                continue
            found = activations.read(path, layer)
            try:
                measures = measure(
                    found.points,
                    found.labels,
                    found.sides,
                    period=period,
                    seed=seed,
                )
            except ValueError as error:
                raise ValueError(f"Step {step}: {error}") from None
            if step == last:
                for name in checkpoint_figures.available():
                    drawn = checkpoint_figures.load(name).draw(measures)
                    figure_io.save(drawn, record.analysis / layer, name, _KINDS)
            measurement_cache.keep(record, layer, step, measures)
            if not nulls:
                nulls.append(image_null(run, layer, found.labels, found.sides, seed=seed))
                untrained = untrained_null(run, layer, found, seed=seed)
            beside = {} if nulls[0] is None else nulls[0].beside(measures)
            written.append(step, scalars.of(measures) | beside | untrained)
            yield step


def table(record: Record, layer: str = "layer4") -> pd.DataFrame:
    """Load the measures of a trial, one row per step, with the metrics of the evaluations.

    The column `phase` holds the phase of manifold formation; None if the step was not evaluated.

    Raises:
        ValueError: The layer has not been measured.
    """
    measured, _ = journal.read(record.measures(layer))
    points = {point.step: point.metrics for point in record.points()[0]}
    rows: list[dict[str, Any]] = [
        {"step": point.step, **points.get(point.step, {}), **point.metrics} for point in measured
    ]
    if not rows:
        raise ValueError(f"{layer} has not been measured; run `factorlab analyse`.")
    for row in rows:  # a running trial may not have written its evaluation yet
        row["phase"] = phase(row) if "accuracy" in row else None
    return pd.DataFrame(rows)


def draw(course: pd.DataFrame) -> Drawing:
    """Plot the measures of a trial against the optimizer step.

    Args:
        course: A table returned by `table`.
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
            axes.set_ylim(min(low, 0), 1.35 * high)  # leave space for the legend
            axes.legend(fontsize=7, ncols=2 if len(lines) > 3 else 1)
        for axes in places[1]:
            axes.set_xlabel("Optimizer step")
        _shade_phases(figure, course)
    columns = ["step", "phase", *(c for _, lines in _PANELS for c in lines if c in course)]
    return Drawing(figure=figure, panels={"course": course[columns]})


def _shade_phases(figure: Figure, course: pd.DataFrame) -> None:
    """Shade the phases in the background of all panels; each extends halfway to the next step."""
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
    """Write the figure of the training dynamics into the trial's record and return the paths."""
    return figure_io.save(draw(table(record, layer)), record.analysis / layer, "course", _KINDS)
