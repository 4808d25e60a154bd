"""Settings of small runs."""

from factorlab.parsing import parse


def evaluated_run(**groups):
    """Return a run that is quick to evaluate, with groups of settings changed."""
    defaults = {
        "data": {"size": 6, "spacing": 0.5, "subsample": 0.5},
        "model": {"width": 4, "encoding": 8},
        "diffusion": {"sampling_steps": 3, "prediction": "v"},
        "evaluation": {"samples": 30, "loss_samples": 20, "keep": 4},
    }
    return parse(
        {k: defaults.get(k, {}) | groups.get(k, {}) for k in defaults}
        | {k: v for k, v in groups.items() if k not in defaults}
    )
