"""The Python face of factorlab: ``import factorlab.api as fl``.

Everything that the command line does, as functions with data frames. This package alone may see
all others, and none of them imports it. It imports them inside its functions, so that the import
takes a tenth of a second and loads neither PyTorch nor pandas.

`docs/api.md` lists the names, which are stable, with the unit of every column.

Examples:
    >>> import factorlab.api as fl
    >>> frame = fl.load("scaling")
    >>> fl.exponents(fl.crossings(frame))[["family", "count", "exponent"]].round(1)
             family          count  exponent
    0          bump     samples_2d       2.0
    1          bump  samples_total       2.0
    2  bump+stripes     samples_2d       1.0
    3  bump+stripes  samples_total       1.0
"""

from factorlab.api import plot
from factorlab.api._frames import load
from factorlab.api._images import read_labels, samples
from factorlab.api._runs import Run, Samples, open_run, run
from factorlab.api._sweeps import Comparison, compare, sweep
from factorlab.api._theory import crossings, exponents, percolation, predictions

__all__ = [
    "Comparison",
    "Run",
    "Samples",
    "compare",
    "crossings",
    "exponents",
    "load",
    "open_run",
    "percolation",
    "plot",
    "predictions",
    "read_labels",
    "run",
    "samples",
    "sweep",
]


def __dir__() -> list[str]:
    """Return the stable names."""
    return sorted(__all__)
