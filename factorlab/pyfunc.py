"""The final network of a run as MLflow loads it: ``mlflow.pyfunc.load_model("models:/<id>")``.

The file `MLmodel` of a model names this module as its loader. Nothing is unpickled.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from factorlab.device import one_thread, resolve_device
from factorlab.errors import UserError
from factorlab.evaluation import sampling
from factorlab.parsing import parse
from factorlab.storage.files import read_json


class Sampler:
    """A trained network that draws images for labels.

    Args:
        path: Folder with `config.json` of the run's record and its `weights.safetensors`.

    Raises:
        UserError: The folder holds no configuration.
    """

    def __init__(self, path: Path) -> None:
        config = read_json(path / "config.json")
        if config is None:
            raise UserError(f"{path}: config.json is missing; allowed: the data of a model")
        self.settings = parse(config["config"], str(path / "config.json"))
        self._device = resolve_device(self.settings.device)
        weights = (path / "weights.safetensors").read_bytes()
        self._network = sampling.network_of(self.settings, weights, self._device)

    def predict(
        self, labels: ArrayLike, params: Mapping[str, Any] | None = None
    ) -> NDArray[np.float32]:
        """Return one image for each label, (n, N, N), values in [0, 1] with white = 1.

        Args:
            labels: x and y in pixels, (n, 2), or a frame with the columns `x` and `y`.
            params: `seed` of the noise, 0 by default.

        Raises:
            UserError: A label is outside of the image.
        """
        wanted = sampling.check_labels(labels, self.settings.data)
        seed = int((params or {}).get("seed", 0))
        with one_thread():  # the same images as from `factorlab.api.samples`
            return sampling.generate(
                self._network, self.settings, wanted, seed=seed, device=self._device
            )


def _load_pyfunc(path: str) -> Sampler:
    """Return the model in a folder; MLflow calls this."""
    return Sampler(Path(path))
