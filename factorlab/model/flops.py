"""Cost of a forward pass in closed form, so that sweeps can be planned without PyTorch."""

from __future__ import annotations

from factorlab.config import ModelSettings


def forward_flops(model: ModelSettings, size: int) -> int:
    """Return the floating-point operations of one forward pass of one image.

    Each multiplication in a convolution, a linear map or attention counts as two operations, as is
    usual. Norms, nonlinearities and pooling are not counted. The network is
    `factorlab.model.unet.UNet`.

    Args:
        model: Settings of the network.
        size: Side N of the image in pixels.
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
    """Return the multiplications per pixel of a double convolution with 3 x 3 kernels."""
    return 9 * (inputs * hidden + hidden * outputs)


def _block(inputs: int, outputs: int, hidden: int, condition: int, pixels: int) -> int:
    """Return the multiplications of a block with `pixels` output pixels."""
    convolutions = _double(inputs, inputs, inputs) + _double(inputs, outputs, hidden)
    # 3 + 1 + 2 linear maps (q k v, output, feed-forward); two products for each pair of pixels.
    attention = 6 * outputs**2 + 2 * pixels * outputs
    return pixels * (convolutions + attention) + condition * outputs
