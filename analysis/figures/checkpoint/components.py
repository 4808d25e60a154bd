"""Views of the leading principal components, coloured by x and by y ([F] Fig 2d).

The upper row is coloured by x, the lower by y. The columns show components 1 and 2, components 3
and 4, and the first three components. Data: `scores`.
"""

from matplotlib.figure import Figure

from analysis.figures.checkpoint._views import columns_of, scatter
from analysis.measures.checkpoint import Measures
from analysis.plotting.figure_io import Drawing, styled
from analysis.plotting.style import LETTERS, title

_VIEWS = ((0, 1), (2, 3), (0, 1, 2))
_KEPT = 6  # number of components in the data


def draw(measures: Measures) -> Drawing:
    """Plot pairs and a triple of principal components.

    Raises:
        ValueError: There are fewer than four components.
    """
    scores = measures.principal.scores
    most = max(max(view) for view in _VIEWS)
    if scores.shape[1] <= most:
        raise ValueError(f"There are {scores.shape[1]} components; expected at least {most + 1}.")
    share = 100 * measures.principal.shares
    with styled():
        figure = Figure(figsize=(9.6, 6.0), layout="constrained")
        for label, name in enumerate("xy"):
            row = []
            for column, view in enumerate(_VIEWS):
                solid = {"projection": "3d"} if len(view) > 2 else {}
                place = label * len(_VIEWS) + column
                axes = figure.add_subplot(2, len(_VIEWS), place + 1, **solid)
                shading = scatter(axes, measures, scores[:, list(view)], label)
                for k, axis in zip(view, "xyz", strict=False):
                    text = f"PC {k + 1} ({share[k]:.0f} %)"
                    getattr(axes, f"set_{axis}label")(text, labelpad=-8 if solid else None)
                title(axes, LETTERS[place], f"by {name}")
                row.append(axes)
            figure.colorbar(shading, ax=row, label=f"Label {name} (pixels)")
    names = [f"component_{k + 1}" for k in range(min(_KEPT, scores.shape[1]))]
    return Drawing(
        figure=figure, panels={"scores": columns_of(measures, scores[:, : len(names)], names)}
    )
