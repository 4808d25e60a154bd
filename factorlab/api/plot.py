"""Figures of a sweep from a frame: ``fl.plot.scaling(frame)``, ``fl.plot.curves(frame, x="step")``.

There is a function for every file in `analysis/figures/sweep/`, yours included; ``dir(fl.plot)``
lists them. Each takes a frame of `load` and the options that docs/experiments.md lists for the
figure, returns a matplotlib Figure, and saves nothing. Figures over training steps, and those of
layers, need a frame with ``steps=True``.

Examples:
    >>> import factorlab.api as fl
    >>> "scaling" in dir(fl.plot)
    True
    >>> figure = fl.plot.curves(fl.load("scaling"), x="data.subsample", panels=["data.size"])
    >>> figure.savefig("curves.png")
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure
    from pydantic.fields import FieldInfo

    from analysis.figures.sweep import FigureModule


class Plot(Protocol):
    """A function that draws one figure."""

    __name__: str

    def __call__(self, frame: pd.DataFrame, **options: Any) -> Figure:  # noqa: ANN401
        """Draw the figure.

        Args:
            frame: Frame of `load`; unfinished runs may be in it.
            options: Options of the figure.

        Returns:
            The figure. It shows itself in a notebook.

        Raises:
            UserError: There is no such option, or a value is not allowed.
            ValueError: The frame lacks a column, or the figure cannot show it.
        """
        ...


def __dir__() -> list[str]:
    from analysis.figures import sweep

    return [name.replace("-", "_") for name in sweep.available()]


def __getattr__(name: str) -> Plot:
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from analysis.figures import sweep

    public = name.replace("_", "-")
    if public not in sweep.available():
        raise AttributeError(sweep.unknown(public))
    module = sweep.load(public)

    def draw(frame: pd.DataFrame, **options: Any) -> Figure:  # noqa: ANN401 - the figure's own
        return _draw(module, name, frame, options)

    draw.__name__ = draw.__qualname__ = name
    draw.__doc__ = _document(module)
    return draw


def _document(module: FigureModule) -> str:
    """Return the head of the module's docstring and its options."""
    options = [
        f"    {key}: {field.description or ''} Default: {_default(field)!r}."
        for key, field in module.Options.model_fields.items()
    ]
    known = "\n".join(["", "Options:", *options]) if options else "\nNo options."
    return f"{module.__doc__ or ''}{known}\n"


def _default(field: FieldInfo) -> object:
    return field.get_default(call_default_factory=True, validated_data={})


def _draw(module: FigureModule, name: str, frame: pd.DataFrame, options: dict[str, Any]) -> Figure:
    from pydantic import ValidationError

    from analysis.figures.sweep import options_of
    from factorlab.api._arguments import plain
    from factorlab.errors import UserError, describe

    source = f"fl.plot.{name}"
    try:
        chosen = options_of(module, plain(options, source))
    except ValidationError as error:
        raise UserError(describe(error, module.Options, source)) from None
    figure = module.draw(_by_step(frame), chosen).figure
    # A figure that pyplot did not make has no picture of its own in a notebook.
    figure._repr_png_ = partial(_picture, figure)  # type: ignore[attr-defined]
    return figure


def _by_step(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame as figures take it: with the columns `step` and `last`."""
    if "last" in frame.columns or "state" not in frame.columns:
        return frame
    steps = frame["steps"] if "steps" in frame.columns else None
    return frame.assign(last=frame["state"] == "done", step=steps)


def _picture(figure: Figure) -> bytes:
    """Return the figure as a PNG at 110 dots per inch, in the style of all figures."""
    import io

    from analysis.plotting.figure_io import styled

    buffer = io.BytesIO()
    with styled():
        figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
