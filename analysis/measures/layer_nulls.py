"""The null models of representations: the clean image, and the untrained network.

A layer that merely holds the image that the network is about to draw, at its own resolution, has a
factorization score, a dimension and Betti numbers, too. So has a layer of the network at step 0
that is shown the clean images. What a network has learned beyond both is the difference. The null
models are our definitions.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from analysis.measures import scalars
from analysis.measures.checkpoint import Measures, measure
from analysis.measures.factorization import linear_cka
from factorlab.config import RunSettings, layer_of
from factorlab.data.lattice import Labels
from factorlab.data.rendering import render
from factorlab.evaluation.activations import Representations, of_untrained_network
from factorlab.model.unet import UNet, capture_activations

Floats = NDArray[np.float64]

PREFIX = "null_image_"
"""Beginning of the names of the measures of the images."""

UNTRAINED = "null_untrained_"
"""Beginning of the names of the measures of the untrained network."""


def images_at(run: RunSettings, layer: str, labels: Labels) -> Floats:
    """Return clean images of labels at the resolution of a layer.

    Args:
        run: Settings of the run.
        layer: Name of a layer.
        labels: Labels in pixels, shape (samples, 2).

    Returns:
        Intensities, averaged over the pixels of each cell, shape (samples, cells).
    """
    clean = render(torch.tensor(labels), run.data)
    pooled = adaptive_avg_pool2d(clean, _resolution(run, layer))
    return np.asarray(pooled.flatten(1).numpy())


def _resolution(run: RunSettings, layer: str) -> tuple[int, int]:
    """Return the height and width of the output of a layer."""
    found: list[tuple[int, int]] = []

    def callback(_layer: str, output: Tensor) -> None:
        height, width = output.shape[2:]
        found.append((height, width))

    with torch.random.fork_rng(devices=[]):  # the weights do not matter
        model = UNet(run.model).eval()
    with capture_activations(model, [layer_of(layer)], callback), torch.no_grad():
        model(
            torch.zeros(1, 1, run.data.size, run.data.size),
            torch.zeros(1, dtype=torch.long),
            torch.ones(1, 2),
        )
    return found[0]


@dataclass(frozen=True)
class ImageNull:
    """Measures of the clean images of a grid of labels."""

    measures: Measures

    numbers: Mapping[str, float]
    """Its scalar measures, by their names with `PREFIX`."""

    def beside(self, model: Measures) -> dict[str, float]:
        """Return the numbers to report beside those of a model on the same labels.

        `cka_image` is the linear kernel alignment of the representations and the images.
        """
        # Scores have the same inner products as what they are the components of.
        alignment = linear_cka(model.principal.scores, self.measures.principal.scores)
        return {"cka_image": alignment, **self.numbers}


def image_null(
    run: RunSettings, layer: str, labels: Labels, sides: tuple[int, int], *, seed: int
) -> ImageNull | None:
    """Measure the clean images of a grid of labels at the resolution of a layer.

    Args:
        run: Settings of the run.
        layer: Name of the layer.
        labels: Labels in pixels, shape (samples, 2), x slowest.
        sides: Number of labels along x and along y.
        seed: Seed of the subsample, the embedding and the cross-validation.

    Returns:
        The measures; None if they are not defined, because neighbouring labels have equal images.
    """
    period = run.data.period
    try:
        found = measure(images_at(run, layer, labels), labels, sides, period=period, seed=seed)
    except ValueError:
        return None
    numbers = {f"{PREFIX}{name}": value for name, value in scalars.of(found).items()}
    return ImageNull(found, numbers)


def untrained_null(
    run: RunSettings, layer: str, saved: Representations, *, seed: int
) -> dict[str, float]:
    """Measure a layer of the network at step 0 that sees the clean images of a grid of labels.

    Args:
        run: Settings of the run.
        layer: Name of the layer, with `-t<time>` for a further noise time.
        saved: Representations of the trained network.
        seed: Seed of the subsample, the embedding and the cross-validation.

    Returns:
        Its scalar measures, by their names with `UNTRAINED`. None if an older version saved the
        representations, without the noise time, or if the measures are not defined, because
        neighbouring labels have equal representations.
    """
    if saved.time is None:
        return {}
    points = of_untrained_network(run, layer_of(layer), saved)
    try:
        found = measure(points, saved.labels, saved.sides, period=run.data.period, seed=seed)
    except ValueError:
        return {}
    return {f"{UNTRAINED}{name}": value for name, value in scalars.of(found).items()}
