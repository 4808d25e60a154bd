"""What a forward pass costs, in closed form, so that a sweep is planned without PyTorch."""

from __future__ import annotations

from factorlab.config import ModelSettings


def forward_flops(model: ModelSettings, size: int) -> int:
    """Return the floating-point operations of one forward pass of one image.

    Two for each product of a convolution, a linear map or attention, as is usual; norms,
    nonlinearities and pooling are left out. The network is `factorlab.model.unet.UNet`.

    Args:
        model: the network.
        size: side N of the image in pixels.
    """
    w, condition = model.width, 3 * model.encoding
    full, half = size**2, (-(-size // 2)) ** 2
    quarter, eighth = (-(-size // 4)) ** 2, (-(-size // 8)) ** 2
    products = (
        _double(1, w, w) * full  # stem
        + _block(w, 2 * w, 2 * w, condition, half)
        + _block(2 * w, 4 * w, 4 * w, condition, quarter)
        + _block(4 * w, 4 * w, 4 * w, condition, eighth)
        + (_double(4 * w, 8 * w, 8 * w) + _double(8 * w, 8 * w, 8 * w)) * eighth  # bottleneck
        + _double(8 * w, 4 * w, 4 * w) * eighth
        + _block(8 * w, 2 * w, 4 * w, condition, quarter)
        + _block(4 * w, w, 2 * w, condition, half)
        + _block(2 * w, w, w, condition, full)
        + w * full  # head
    )
    return 2 * products


def _double(inputs: int, outputs: int, hidden: int) -> int:
    """Return the products of a double convolution, 3 x 3 each, at one pixel."""
    return 9 * (inputs * hidden + hidden * outputs)


def _block(inputs: int, outputs: int, hidden: int, condition: int, pixels: int) -> int:
    """Return the products of a block whose output has so many pixels."""
    convolutions = _double(inputs, inputs, inputs) + _double(inputs, outputs, hidden)
    # Queries, keys, values, output and feed-forward are 3 + 1 + 2 maps; two products of each pair.
    attention = 6 * outputs**2 + 2 * pixels * outputs
    return pixels * (convolutions + attention) + condition * outputs
