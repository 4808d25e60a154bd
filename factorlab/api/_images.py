"""Images: generate them from the weights of a run, and read labels off them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from factorlab.api._runs import Run, open_run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    import pandas as pd
    from numpy.typing import ArrayLike, NDArray


def samples(
    run: Run | str | Mapping[str, Any] | pd.Series,
    labels: ArrayLike,
    *,
    seed: int = 0,
    runs: str | Path | None = None,
) -> NDArray[np.float32]:
    """Generate images from the final weights of a finished run.

    The sampler and the number of its steps are those of the run's evaluations. The noise of an
    image depends on the seed and on the place of its label in `labels` alone, so the same call
    gives the same images on the same machine.

    Args:
        run: The run, its key, or a row of a frame of `load`.
        labels: x and y in pixels, (n, 2), or one label, (2,). The first pixel is 1. A label needs
            not lie on the training lattice, but in the frame: from 1 to N. For families with
            stripes, one coordinate may lie outside, on the canvas of the stripes; the image is
            then a stripe at the other one. On periodic images labels go from 1 to N + 1.
        seed: Seed of the noise.
        runs: Folder of all records, if `run` is a key.

    Returns:
        Images, (n, N, N), values in [0, 1] with white = 1. Rows are y, columns are x. The
        model's own range, [-1, 1], is 2 v - 1.

    Raises:
        UserError: A label is outside of what is allowed, the run is not finished, or its record
            has no weights.

    Examples:
        >>> import factorlab.api as fl
        >>> images = fl.samples(fl.load("holes").iloc[0], [(2, 3), (4.5, 4.5)], seed=1)
        >>> images.shape, str(images.dtype)
        ((2, 6, 6), 'float32')
    """
    from factorlab.device import one_thread, resolve_device
    from factorlab.evaluation import sampling

    opened = run if isinstance(run, Run) else open_run(run, runs=runs)
    wanted = sampling.check_labels(labels, opened.settings.data)
    device = resolve_device(opened.settings.device)
    with one_thread(), _reported():
        model = sampling.load_model(opened.record, opened.settings, device)
        return sampling.generate(model, opened.settings, wanted, seed=seed, device=device)


@contextmanager
def _reported() -> Iterator[None]:
    """Turn a damaged file into a message for the user."""
    from factorlab.errors import UserError
    from factorlab.storage.files import DamagedFile

    try:
        yield
    except DamagedFile as error:
        raise UserError(str(error)) from None


def read_labels(
    images: ArrayLike,
    family: str | Run | Mapping[str, Any] | pd.Series = "bump",
    *,
    periodic: bool = False,
) -> pd.DataFrame:
    """Read the labels off images, as evaluations do (Algorithm 1 of arXiv 2402.03305).

    Args:
        images: Images, (n, N, N) or one of (N, N), values in [0, 1] with white = 1, as `samples`
            returns them, or 8-bit.
        family: Data family of the images, or the run that generated them: the run, or a row of a
            frame of `load`.
        periodic: Whether the images are tori; ignored if a run is given.

    Returns:
        One row per image: `x` and `y` in pixels (NaN if nothing could be read), and `shapes`, the
        number of shapes in the image: 0, 1, or 2 for several.

    Raises:
        UserError: The shape or the values of the images are not allowed, or there is no such
            family.

    Examples:
        >>> import factorlab.api as fl, numpy as np
        >>> image = np.ones((8, 8))
        >>> image[2:5, 4:7] = 0  # a dark square around x = 6, y = 4
        >>> fl.read_labels(image).iloc[0].to_dict()
        {'x': 6.0, 'y': 4.0, 'shapes': 1.0}
    """
    import pandas as pd

    from factorlab import families, label_reader
    from factorlab.errors import UserError
    from factorlab.formatting import listed

    if not isinstance(family, str):
        data = (family if isinstance(family, Run) else open_run(family)).settings.data
        family, periodic = data.family, data.periodic
    if family not in families.families():
        raise UserError(f"family = '{family}'; allowed: {listed(families.families())}")
    found = label_reader.read(_eight_bit(images), families.of(family).READ, periodic=periodic)
    x, y = found.labels.T
    return pd.DataFrame({"x": x, "y": y, "shapes": found.objects})


def _eight_bit(images: ArrayLike) -> NDArray[np.uint8]:
    """Return images as 8-bit ones, truncated as in evaluations.

    Raises:
        UserError: The shape or a value is not allowed.
    """
    import numpy as np

    from factorlab.errors import UserError

    found = np.asarray(images)
    found = found[None] if found.ndim == 2 else found
    if found.ndim != 3 or found.shape[1] != found.shape[2] or not len(found):
        raise UserError(f"images: an array of shape {found.shape}; allowed: (n, N, N)")
    if found.dtype == np.uint8:
        return found
    if not ((found >= 0) & (found <= 1)).all():
        raise UserError(
            f"images: values from {found.min():g} to {found.max():g}; allowed: from 0 to 1 with "
            "white = 1, or 8-bit integers"
        )
    return (found.astype(np.float32) * np.float32(255)).astype(np.uint8)
