"""The UMAP embedding, coloured by x and by y ([W] Figs 3, 4; [F] Fig 11). Data: `embedding`."""

from matplotlib.figure import Figure

from analysis.figures.checkpoint._views import columns_of, scatter
from analysis.measures.checkpoint import Measures
from analysis.plotting.figure_io import Drawing, styled
from analysis.plotting.style import LETTERS, title


def draw(measures: Measures) -> Drawing:
    """Plot the embedding in 3D, once per label, with the R-squared of the label."""
    explained = measures.r_squared
    with styled():
        figure = Figure(figsize=(7.6, 3.6), layout="constrained")
        for label, name in enumerate("xy"):
            axes = figure.add_subplot(1, 2, label + 1, projection="3d")
            shading = scatter(axes, measures, measures.embedding, label)
            for axis in "xyz":
                getattr(axes, f"set_{axis}label")(f"UMAP {'xyz'.index(axis) + 1}", labelpad=-8)
            title(axes, LETTERS[label], f"by {name}: R² = {explained[label]:.2f}")
            figure.colorbar(shading, ax=axes, shrink=0.7, label=f"Label {name} (pixels)")
    names = [f"umap_{k + 1}" for k in range(3)]
    return Drawing(
        figure=figure, panels={"embedding": columns_of(measures, measures.embedding, names)}
    )
