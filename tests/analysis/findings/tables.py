"""Tables of trials in which the papers' findings hold, and in which they do not."""

import itertools

import numpy as np
import pandas as pd

from analysis.scaling.predictions import predictions_table

SEEDS = (0, 1, 2, 3)
LABELS = 400


def rows(*axes, steps=(500,), null=0.2, **columns):
    """One row for each combination of settings, seed and step. Columns may be functions of it.

    Beside each accuracy stand the number of labels and the accuracies of the null models: `null`
    for the nearest example, which may be a function as well, and 1 for the composer.
    """
    found = []
    for values in itertools.product(*axes):
        settings = {k: v for part in values for k, v in part.items()}
        for seed, step in itertools.product(SEEDS, steps):
            row = {
                "key": f"{settings}-{seed}",
                "state": "done",
                "seed": seed,
                "step": step,
                "last": step == steps[-1],
                **settings,
            }
            row |= {k: c(row) if callable(c) else c for k, c in columns.items()}
            nearest = null(row) if callable(null) else null
            for name in [name for name in row if name.startswith("accuracy")]:
                row[name.replace("accuracy", "labels")] = LABELS
                row[name.replace("accuracy", "null_nearest")] = nearest
                row[name.replace("accuracy", "null_composed")] = 1.0
            found.append(row | {"labels": LABELS})
    return pd.DataFrame(found)


def axis(key, *values):
    return [{key: value} for value in values]


def near(seed):
    """A small scatter of the seeds."""
    return 0.01 * (-1) ** seed


def wiggle(row, *, other=False):
    """What a run's curve has for itself: it depends on the seed and the step."""
    return 0.05 * np.sin(row["step"] * (1 + row["seed"]) + 2.0 * other)


def composition(*, learns):
    """Accuracy by family: only 2D examples and stripes together learn, or nothing does."""
    means = {"stripes": 0.4, "sos": 0.5, "sos+stripes": 0.95}
    parts = ("", *(f"_{p}" for p in ("in_distribution", "out_of_distribution", "intersection")))

    def accuracy(row):
        return (means[row["data.family"]] if learns else 0.5) + near(row["seed"])

    cross = rows(
        axis("data.family", *means),
        axis("data.subsample", 0.1, 1.0),
        **{"data.held_out.kind": "cross"},
        null=lambda r: 0.0 if r["data.family"] == "stripes" else 0.1,
        samples_2d=lambda r: 0 if r["data.family"] == "stripes" else 100 * r["data.subsample"],
        **{f"accuracy{part}": accuracy for part in (*parts, "_arm_vertical", "_arm_horizontal")},
    )
    rim = rows(
        axis("data.family", "stripes", "sos+stripes"),
        **{"data.held_out.kind": "rim", "data.subsample": 1.0},
        null=lambda r: 0.0 if r["data.family"] == "stripes" else 0.1,
        samples_2d=lambda r: 0 if r["data.family"] == "stripes" else 20,
        **{f"accuracy{part}": accuracy for part in parts},
    )
    return pd.concat([cross, rim], ignore_index=True)


def widths(*axes, holds):
    """Accuracy falls with the width, more at the corner and for narrow bumps; or it is copied."""

    def nearest(row):
        return 0.5 / row["data.held_out.width"]

    def accuracy(row):
        if not holds:
            return nearest(row) + near(row["seed"])
        lost = 0.15 * row["data.held_out.width"]
        lost += 0.2 * (row.get("data.held_out.place") == "exterior")
        lost += 0.2 * (row.get("data.sigma") == 0.5)
        return max(0.0, 0.98 - lost + near(row["seed"]))

    return rows(
        *axes,
        axis("data.held_out.width", 1.0, 2.0, 4.0),
        null=nearest,
        accuracy_in_distribution=1.0,
        accuracy_out_of_distribution=accuracy,
    )


def holdout(*, holds):
    places = axis("data.held_out.place", "interior", "exterior")
    return widths(axis("data.family", "bump", "sos"), places, holds=holds)


def interpolation(*, holds):
    return widths(axis("data.sigma", 0.5, 1.0), holds=holds)


def holes(*, filled, larger=0.1, image=0.5):
    """Holes of 5 and 11 % of the labels at N = 10, and a larger one."""
    lost = {2.0: 0.05, 3.0: 0.05 + larger, 5.0: 0.5}
    return rows(
        axis("data.held_out.width", *lost),
        **{"data.size": 10},
        accuracy_in_distribution=1.0,
        accuracy_out_of_distribution=lambda r: (
            (1 if filled else 0.7) - lost[r["data.held_out.width"]] - near(r["seed"]) ** 2
        ),
        **{f"layer4/r_squared_{a}": 0.9 if filled else 0.3 for a in "xy"},
        **{f"layer4/null_image_r_squared_{a}": image for a in "xy"},
    )


def imbalance(*, coupled):
    """x and y rise together, less for coarser lattices; or y rises long after x."""
    spacings = [{"data.spacing": s} for s in ((0.25, 0.25), (0.25, 1.0), (0.25, 2.0))]

    def lost(row):
        return 0.02 * (row["data.spacing"][1] / 0.25 - 1)

    def rise(row, late):
        return min(1.0, max(row["step"] - late + row["seed"], 0) / 200)

    def x(row):
        return rise(row, 0) * (1 - lost(row)) if coupled else rise(row, 0)

    def y(row):
        if coupled:
            return min(1.0, x(row) + 0.02 * (row["data.spacing"][1] > 0.25))
        return rise(row, 200 * (row["data.spacing"][1] > 0.25))

    return rows(
        spacings,
        steps=(0, 50, 100, 150, 200, 300, 400, 500),
        accuracy_x=x,
        accuracy_y=y,
        accuracy_half_pixel_x=x,
        accuracy_half_pixel_y=y,
        **{
            "layer4/r_squared_x": lambda r: rise(r, 0) + wiggle(r),
            "layer4/r_squared_y": lambda r: (
                rise(r, 0) + wiggle(r) if coupled else rise(r, 250) + wiggle(r, other=True)
            ),
        },
    )


def phases(*, courses, failures=(0.3, 0.2, 0.4), misplaced=0.5, fits=True):
    """Trials with known phases. Accuracy falls with the spacing of the lattice."""
    steps = tuple(100 * i for i in range(len(courses[0])))
    rest = (0.6 - misplaced) / 2
    shares = {"A": failures, "B": (rest, misplaced, rest), "C": (0.0, 0.1, 0.0)}

    def at(row):
        return courses[(0.25, 0.5, 1.0).index(row["data.spacing"])][steps.index(row["step"])]

    def accuracy(row):
        return 1 - sum(shares[at(row)]) - 0.05 * row["data.spacing"] + wiggle(row) / 5

    def r_squared(row):
        return accuracy(row) if fits else 1 - accuracy(row)

    return rows(
        axis("data.spacing", 0.25, 0.5, 1.0),
        steps=steps,
        accuracy=accuracy,
        accuracy_half_pixel=accuracy,
        failure_none=lambda r: shares[at(r)][0],
        failure_misplaced=lambda r: shares[at(r)][1],
        failure_several=lambda r: shares[at(r)][2],
        **{"layer4/phase": at, "layer4/r_squared_x": r_squared, "layer4/r_squared_y": r_squared},
    )


def spread(*, depends, learned=0.7):
    """Accuracy by sigma; seeds scatter in proportion to the increment, or to its inverse."""

    def accuracy(row):
        if row["step"] == 100:
            return 0.1
        place = (0.25, 0.5, 0.75, 1.0).index(row["data.sigma"])
        wide = row["data.spacing"] if not depends else 1 / row["data.spacing"]
        middle = learned - 0.3 + 0.15 * place if depends else learned + 0.01 * (-1) ** place
        return middle + 0.05 * wide * (row["seed"] - 1.5)

    return rows(
        axis("data.spacing", 0.5, 1.0),
        axis("data.sigma", 0.25, 0.5, 0.75, 1.0),
        steps=(100, 500),
        accuracy=accuracy,
    )


def torus(*, factorized):
    numbers = {"betti_0": 1, "betti_1": 2, "betti_2": 1, "variance_top_four": 0.9}
    numbers |= {"factorization": 0.8, "orthogonality_x_on_y": 0.05}
    image = {"betti_0": 1, "betti_1": 1, "betti_2": 0, "variance_top_four": 0.3}
    image |= {"factorization": 0.2, "orthogonality_x_on_y": 0.4}
    found = numbers if factorized else image
    columns = {
        f"{layer}/{prefix}{name}": value
        for layer in ("layer3", "layer4")
        for prefix, part in (("", found), ("null_image_", image))
        for name, value in part.items()
    }
    return rows(
        [{}],
        steps=(0, 100, 200, 300),
        accuracy=1.0,
        **columns,
        **{
            "layer4/null_image_dimension": 10.0,
            "layer4/dimension": lambda r: (
                (20.0, 4.0, 4.2, 4.1)[r["step"] // 100] if factorized else 20 + r["step"] / 10
            ),
        },
    )


def percolating(threshold=0.5, sigmas=(0.45, 0.5, 0.6, 0.7, 0.8)):
    """The examples at which the largest cluster holds 60 % of the bumps, by sigma."""
    simulated = {
        sigma: predictions_table(
            [8], spacing=0.5, sigma=sigma, thresholds=[threshold], realisations=200
        )["value"].iloc[0]
        for sigma in sigmas
    }
    return {sigma: float(value) for sigma, value in simulated.items()}


def percolation(*, needed, steep=0.3, gap=0.02):
    """The accuracy of each sigma crosses 60 % at the `needed` number of examples."""

    def accuracy(row):
        ratio = 225 * row["data.subsample"] / needed[row["data.sigma"]]
        return float(np.clip(0.6 + steep * np.log(ratio) + near(row["seed"]), 0.05, 1))

    return rows(
        axis("data.sigma", *needed),
        axis("data.subsample", 0.02, 0.05, 0.1, 0.2, 0.5, 1.0),
        null=0.3,
        **{"data.size": 8, "data.spacing": 0.5},
        samples_2d=lambda r: round(225 * r["data.subsample"]),
        accuracy=accuracy,
        ceiling=1.0,
        train_loss=0.05,
        validation_loss=lambda r: 0.05 * (1 + gap / r["data.subsample"] - gap),
    )


def intervention(*, matters):
    """Connected sets are better by 10 points, or both kinds are alike."""

    def better(row):
        return matters and row["data.arrangement.kind"] == "connected"

    return rows(
        axis("data.arrangement.kind", "connected", "fragmented"),
        axis("data.subsample", 0.04, 0.06),
        accuracy=lambda r: 0.5 + 0.1 * better(r) + near(r["seed"]) * (1 + better(r)) / 2,
        validation_loss=lambda r: (0.05 if better(r) else 0.06) if matters else 0.06,
    )


def full_range(*, fails):
    """Accuracy in the cross falls with the gap in it and with no other, or there is hardly any."""
    gaps = ({}, {"width": 3.0}, {"width": 3.0, "centre": 3.0})

    def accuracy(row):
        if not fails:
            return 0.15 + near(row["seed"])
        inside = "data.stripe_gap.width" in row and "data.stripe_gap.centre" not in row
        return (0.47 if inside else 0.97) + near(row["seed"])

    parts = ("in_distribution", "arm_vertical", "arm_horizontal", "intersection")
    columns = {f"accuracy_{part}": accuracy for part in parts}
    found = rows(
        [{f"data.stripe_gap.{k}": v for k, v in gap.items()} for gap in gaps], null=0.1, **columns
    )
    for part in parts:
        inside = (found["data.stripe_gap.width"].notna()) & found["data.stripe_gap.centre"].isna()
        found.loc[inside, f"null_composed_{part}"] = 0.2
    return found


def atlas(*, factorized):
    """Layer 3 factorizes after training, layer 4 in noise; or all layers hold the image."""

    def score(layer):
        def of(row):
            trained = factorized and row["step"] > 0
            high = {"layer3": 0.7, "layer4-t900": 0.6}.get(layer, 0.3)
            return (high if trained else 0.25) + near(row["seed"])

        return of

    layers = ("layer2", "layer3", "layer4", "layer4-t900", "layer5")
    return rows(
        [{}],
        steps=(0, 100),
        accuracy=1.0,
        **{f"{layer}/factorization": score(layer) for layer in layers},
        **{f"{layer}/null_image_factorization": 0.24 for layer in layers},
        **{f"{layer}/null_untrained_factorization": 0.2 for layer in layers},
    )
