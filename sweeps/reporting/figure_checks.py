"""Check before training that an experiment's figures can show what the sweep varies."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from factorlab.errors import UserError, describe
from sweeps.planning.experiment import Experiment, FigureEntry
from sweeps.planning.search.spec import AxisRange
from sweeps.reporting.failures import failure

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from analysis.figures.sweep import FigureModule


def check_figures(experiment: Experiment) -> None:
    """Reject figures that do not exist or cannot show an axis.

    A figure whose module is broken is logged here, and `sweeps.reporting.reports.draw` reports it
    as a failure.

    Raises:
        UserError: A figure of the experiment cannot be drawn.
    """
    if not experiment.figures:
        return
    from analysis.figures import sweep as sweep_figures  # noqa: PLC0415 - matplotlib costs a second

    names = Counter(entry.name for entry in experiment.figures)
    for entry in experiment.figures:
        where = f"{experiment.source}: figures: {entry.name}"
        if names[entry.name] > 1:
            raise UserError(f"{where}: two figures have this name; names of figures must be unique")
        if entry.draw not in sweep_figures.available():
            raise UserError(f"{where}: {sweep_figures.unknown(entry.draw)}")
        try:
            module = sweep_figures.load(entry.draw)
            sweep_figures.options_of(module, entry.options)
        except ValidationError as error:
            raise UserError(describe(error, module.Options, where)) from None
        except Exception as error:  # a bug in a figure must not prevent training
            log.warning("%s; training continues without it", failure(where, error).line())
            continue
        _check_axes(experiment, entry, module)


def _check_axes(experiment: Experiment, entry: FigureEntry, module: FigureModule) -> None:
    """Reject a figure that cannot compare the values of an axis or cannot show a value."""
    for key, values in experiment.swept.items():
        several = isinstance(values, AxisRange) or len(values) > 1
        if several and module.AXES is not None and key not in module.AXES:
            raise UserError(
                f"{experiment.source}: axes.{key}: figure '{entry.name}' compares trials over "
                f"{', '.join(module.AXES)} only; give {key} one value (--set {key}=...), or "
                "remove the figure"
            )
    for key in getattr(module, "NUMBERS", ()):
        for value in _values(experiment, key):
            if isinstance(value, list):
                raise UserError(
                    f"{experiment.source}: {key} = {value}: figure '{entry.name}' requires one "
                    "number, not a pair (x, y); remove the figure"
                )


def _values(experiment: Experiment, key: str) -> Sequence[Any]:
    """Return the values of a setting in a sweep; [None] if it keeps its default."""
    if key in experiment.swept:
        values = experiment.swept[key]
        return values.ends if isinstance(values, AxisRange) else values
    value: Any = experiment.base
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return [value]
