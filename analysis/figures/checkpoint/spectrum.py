"""The spectrum of principal components and the effective dimension ([F] Fig 2c).

Bars show the variance share of each of the first 15 components; a line shows the cumulative share.
Data: `spectrum`.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.measures.checkpoint import Measures
from analysis.plotting.figure_io import COLOURS, Drawing, styled

_SHOWN = 15


def draw(measures: Measures) -> Drawing:
    """Plot the spectrum."""
    share = measures.principal.shares
    table = pd.DataFrame(
        {
            "component": np.arange(1, len(share) + 1),
            "share": share,
            "cumulative": np.cumsum(share),
        }
    )[:_SHOWN]
    with styled():
        figure = Figure(figsize=(4.6, 3.2), layout="constrained")
        axes = figure.subplots()
        axes.bar(table["component"], 100 * table["share"], color=COLOURS[0], label="each")
        axes.plot(
            table["component"], 100 * table["cumulative"], color=COLOURS[1], marker="o", label="sum"
        )
        axes.set_xlabel("Principal component")
        axes.set_ylabel("Share of the variance (%)")
        axes.set_ylim(0, 104)
        axes.set_title(
            f"Participation ratio {measures.principal.dimension:.1f}, first four "
            f"{100 * measures.principal.share(4):.0f} %",
            loc="left",
        )
        axes.legend(loc="center right")
    return Drawing(figure=figure, panels={"spectrum": table})
