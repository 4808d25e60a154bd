"""The sample grid of an evaluation: each generated image next to the true one."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from factorlab.config import DataSettings
from factorlab.data.rendering import render, to_8_bit, to_model
from factorlab.evaluation.evaluator import Outcome

TILE = 112
"""Side of a tile in pixels of the picture."""

# Vermilion and blue of Okabe and Ito, safe for the colour-blind; OpenCV's order is BGR.
TRUE_COLOUR, READ_COLOUR = (0, 94, 213), (178, 114, 0)
GAP = 6
HEADER = 34
"""Height of the legend above the grid, in pixels."""


def _tile(image: NDArray[np.uint8], label: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return an enlarged image with a ring at the true label."""
    n = len(image)
    large = cv2.resize(image, (TILE, TILE), interpolation=cv2.INTER_NEAREST)
    colour = cv2.cvtColor(large, cv2.COLOR_GRAY2BGR)
    cv2.circle(colour, _place(label, n), TILE // 14, TRUE_COLOUR, 2, cv2.LINE_AA)
    return np.asarray(colour, dtype=np.uint8)


def _place(label: NDArray[np.float64], n: int) -> tuple[int, int]:
    """Return the position of a label in a tile, in pixels of the picture."""
    x, y = ((label - 0.5) / n * TILE).astype(int).tolist()
    return x, y


def _explain(canvas: NDArray[np.uint8]) -> None:
    """Draw the legend above the grid."""
    middle = HEADER // 2 + 5

    def write(text: str, x: int) -> None:
        cv2.putText(
            canvas, text, (x, middle), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA
        )

    write("left: true, right: generated", GAP)
    cv2.circle(canvas, (284, middle - 5), TILE // 14, TRUE_COLOUR, 2, cv2.LINE_AA)
    write("true label", 300)
    cv2.drawMarker(canvas, (424, middle - 5), READ_COLOUR, cv2.MARKER_CROSS, TILE // 7, 2)
    write("label read", 440)


def sample_grid(outcome: Outcome, data: DataSettings, columns: int = 5) -> NDArray[np.uint8]:
    """Return a picture of pairs, true image on the left and generated image on the right.

    A ring marks the true label. A cross on the generated image marks the label read off it; the
    cross is missing if none could be read.

    Args:
        outcome: An evaluation with K saved images.
        data: Settings of the true images.
        columns: Pairs per row.

    Returns:
        (height, width, 3), BGR.
    """
    truth = to_8_bit(to_model(render(torch.from_numpy(outcome.labels), data))).numpy()
    rows = -(-len(outcome.images) // columns)
    pair = 2 * TILE + GAP
    canvas = np.full(
        (HEADER + rows * (TILE + 2 * GAP), columns * (pair + 3 * GAP), 3), 255, dtype=np.uint8
    )
    _explain(canvas)
    for i, (image, label, read) in enumerate(
        zip(outcome.images, outcome.labels, outcome.readings, strict=True)
    ):
        right = _tile(image, label)
        if np.isfinite(read).all():
            cv2.drawMarker(
                right, _place(read, len(image)), READ_COLOUR, cv2.MARKER_CROSS, TILE // 7, 2
            )
        between = np.full((TILE, GAP, 3), 160, np.uint8)
        both = np.concatenate([_tile(truth[i], label), between, right], axis=1)
        both = cv2.copyMakeBorder(
            both[1:-1, 1:-1], 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=(160, 160, 160)
        )
        y = HEADER + i // columns * (TILE + 2 * GAP) + GAP
        x = i % columns * (pair + 3 * GAP) + GAP
        canvas[y : y + TILE, x : x + pair] = both
    return canvas
