"""What is refused before anything trains: figures that cannot show what a sweep varies."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from factorlab.errors import UserError, describe
from sweeps.planning.experiment import Experiment, FigureEntry
from sweeps.reporting.failures import failure

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from analysis.figures.sweep import FigureModule


def check_figures(experiment: Experiment) -> None:
    """Refuse figures that do not exist or cannot show an axis, before hours of training.

    A figure whose module is broken is left for `sweeps.reporting.reports.draw` to name.

    Raises:
        UserError: the experiment names a figure that cannot be drawn.
    """
    if not experiment.figures:
        return
    from analysis.figures import sweep as sweep_figures  # noqa: PLC0415 - matplotlib costs a second

    names = Counter(entry.name for entry in experiment.figures)
    for entry in experiment.figures:
        where = f"{experiment.source}: figures: {entry.name}"
        if names[entry.name] > 1:
            raise UserError(f"{where}: the name stands twice, and names the figure's files")
        if entry.draw not in sweep_figures.available():
            raise UserError(f"{where}: {sweep_figures.unknown(entry.draw)}")
        try:
            module = sweep_figures.load(entry.draw)
            sweep_figures.options_of(module, entry.options)
        except ValidationError as error:
            raise UserError(describe(error, module.Options, where)) from None
        except Exception as error:  # our own mistake, which ends no training
            log.warning("%s; without it the runs are trained", failure(where, error).line())
            continue
        _check_axes(experiment, entry, module)


def _check_axes(experiment: Experiment, entry: FigureEntry, module: FigureModule) -> None:
    """Refuse a figure that cannot show the values of a setting, or not that they differ."""
    for key, values in experiment.swept.items():
        if len(values) > 1 and module.AXES is not None and key not in module.AXES:
            raise UserError(
                f"{experiment.source}: axes.{key}: figure '{entry.name}' compares trials over "
                f"{', '.join(module.AXES)} alone; leave the figure out or sweep those"
            )
    for key in getattr(module, "NUMBERS", ()):
        for value in _values(experiment, key):
            if isinstance(value, list):
                raise UserError(
                    f"{experiment.source}: {key} = {value}: figure '{entry.name}' takes one number "
                    "there, no pair (x, y); leave the figure out"
                )


def _values(experiment: Experiment, key: str) -> Sequence[Any]:
    """Return the values that a setting has in a sweep; none where it keeps its default."""
    if key in experiment.swept:
        return experiment.swept[key]
    value: Any = experiment.base
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return [value]
