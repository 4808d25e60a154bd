"""Settings of small runs and of percolation."""

from factorlab.parsing import parse
from percolation import Link, continuum


def updated(settings, **changes):
    """Return settings with groups updated and values outside of groups replaced."""
    return settings | {
        name: settings.get(name, {}) | value if isinstance(value, dict) else value
        for name, value in changes.items()
    }


TINY = {
    "data": {"size": 6, "spacing": 1.0},
    "model": {"width": 4, "encoding": 8},
    "diffusion": {"prediction": "v", "sampling_steps": 2},
    "training": {"steps": 4, "batch_size": 4},
    "evaluation": {"samples": 4, "loss_samples": 4, "keep": 0},
}
"""A run that trains and is evaluated within a second."""

EVALUATED = {
    "data": {"size": 6, "spacing": 0.5, "subsample": 0.5},
    "model": {"width": 4, "encoding": 8},
    "diffusion": {"prediction": "v", "sampling_steps": 3},
    "evaluation": {"samples": 30, "loss_samples": 20, "keep": 4},
}
"""A run with enough labels to evaluate."""

ANALYSED = updated(TINY, evaluation={"at": [0]}, representations={"layers": ["layer4"], "grid": 8})
"""The tiny run with representations of its first and its last step."""

NEAREST = Link(sigma=1, threshold=float(continuum(1.2, 1)))
"""Links nearest neighbours of a lattice of increment 1."""


def tiny_run(**changes):
    """Return the tiny run, changed."""
    return parse(updated(TINY, **changes))


def evaluated_run(**changes):
    """Return the run with enough labels to evaluate, changed."""
    return parse(updated(EVALUATED, **changes))


def analysed_run(**changes):
    """Return the tiny run with representations, changed."""
    return parse(updated(ANALYSED, **changes))
