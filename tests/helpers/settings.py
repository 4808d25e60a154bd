"""Settings of small runs."""

from factorlab.parsing import parse

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


def updated(settings, **changes):
    """Return settings with groups updated and values outside of groups replaced."""
    return settings | {
        name: settings.get(name, {}) | value if isinstance(value, dict) else value
        for name, value in changes.items()
    }


def tiny_run(**changes):
    """Return the tiny run, changed."""
    return parse(updated(TINY, **changes))


def evaluated_run(**changes):
    """Return a run that is quick to evaluate, changed."""
    return parse(updated(EVALUATED, **changes))
