"""Tables of trials that follow a known law."""

import numpy as np
import pandas as pd

LAMBDAS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)

# Samples at the crossing of 60 %: 0.1 N^2 for bumps alone, 0.6 N beside stripes.
LAWS = {"bump": (0.1, 2.0), "bump+stripes": (0.6, 1.0)}


def accuracy_at(samples, threshold, steepness=2.0):
    """Return an accuracy that is logistic in log(samples) and 60 % at the threshold."""
    odds = np.log(0.6 / 0.4) + steepness * np.log(np.asarray(samples) / threshold)
    return 1 / (1 + np.exp(-odds))


def trials(
    *,
    sizes=(8, 12, 16),
    lambdas=LAMBDAS,
    seeds=(0, 1, 2),
    laws=LAWS,
    noise=0.2,
    spacing=0.5,
    draw=0,
):
    """Return a table of trials; noise is the standard deviation of log(threshold)."""
    rng = np.random.default_rng(draw)
    rows = []
    for family, (prefactor, exponent) in laws.items():
        for size in sizes:
            lattice = (int((size - 1) / spacing) + 1) ** 2
            for fraction in lambdas:
                samples = max(1, round(fraction * lattice))
                stripes = 16 * size if family.endswith("stripes") else 0
                for seed in seeds:
                    threshold = prefactor * size**exponent * np.exp(noise * rng.normal())
                    rows.append(
                        {
                            "key": f"{family}-{size}-{fraction}-{seed}",
                            "data.family": family,
                            "data.size": size,
                            "data.sigma": 1.0,
                            "data.spacing": spacing,
                            "data.subsample": fraction,
                            "seed": seed,
                            "samples_2d": samples,
                            "samples_total": samples + stripes,
                            "accuracy": float(accuracy_at(samples, threshold)),
                            "ceiling": 1.0,
                            "state": "done",
                            "step": 1000,
                            "last": True,
                        }
                    )
    return pd.DataFrame(rows)
