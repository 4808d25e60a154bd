"""Small experiments: each trial trains a tiny network on images of 6 x 6 pixels for a few steps."""

import json

import yaml

from factorlab.storage.record import Record
from sweeps.planning import plan
from sweeps.planning.experiment import load

SMALL = {
    "data": {"size": 6, "spacing": 1.0},
    "model": {"width": 4, "encoding": 8},
    "diffusion": {"prediction": "v", "sampling_steps": 2},
    "training": {"steps": 6, "batch_size": 4},
    "evaluation": {"samples": 4, "loss_samples": 4, "keep": 0},
}


def small_settings(**groups):
    """Return the settings of a small trial, with groups of settings extended."""
    return SMALL | {name: SMALL.get(name, {}) | group for name, group in groups.items()}


def train_options(**groups):
    """Return the settings of a small trial as options of `factorlab train`."""
    pairs = [f"{name}={json.dumps(group)}" for name, group in small_settings(**groups).items()]
    return [word for pair in pairs for word in ("--set", pair)]


OPTIONAL = ("axes", "figures", "resources", "search", "scheduler")


def write_experiment(path, *, name=None, **groups):
    """Write an experiment file of small trials and return its path.

    Args:
        path: of the file, named after the experiment unless `name` says otherwise.
        name: of the experiment.
        groups: groups of settings that differ from `SMALL`, and the keys of a file in `OPTIONAL`.
            Without axes there is one trial, without figures the default figure.
    """
    optional = {key: groups.pop(key, None) for key in OPTIONAL}
    content = {"name": name or path.stem, "base": small_settings(**groups)}
    content |= {key: value for key, value in optional.items() if value is not None}
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def records_of(path, runs):
    """Return the records of an experiment's trials, in the order of its plan."""
    return [Record(runs, trial.key) for trial in plan.make(load(str(path)), runs).trials]
