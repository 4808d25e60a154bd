"""Architecture of the network, with layers, shapes and parameters ([F] Fig. 7, [W] Fig. 6).

The numbers are recorded while an image passes through the model. Left: the layers in the shape of
a U, with the skip connections. Right: the parts of a block. Data: `layers` and `block`.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise

import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from torch import Tensor, nn

from analysis.plotting.figure_io import COLOURS, Drawing, styled
from analysis.plotting.notes import note
from analysis.plotting.style import GREY, title
from factorlab.config import ModelSettings
from factorlab.model.unet import Block, DoubleConv, Down, SelfAttention, UNet, Up

_KINDS: dict[type[nn.Module], str] = {
    DoubleConv: "double convolution",
    Down: "down",
    Up: "up",
    SelfAttention: "self-attention",
    nn.Sequential: "3 double convs",
    nn.Conv2d: "convolution",
}

# Size of a layer's box, in data coordinates.
_WIDTH, _HEIGHT = 2.7, 0.72


@dataclass(frozen=True)
class _Part:
    """Effect of one module on the shape of the image."""

    name: str
    kind: str
    channels_in: int
    channels_out: int
    side_out: int | None  # None if the output is no image, as for the condition
    parameters: int

    @property
    def text(self) -> str:
        """Short text with channels, side and number of parameters."""
        side = "" if self.side_out is None else f" x {self.side_out}²"
        count = self.parameters
        short = f"{count / 1e6:.2g} M" if count >= 1e6 else f"{count / 1e3:.3g} k"
        return f"{self.channels_in} to {self.channels_out}{side}, {short}"


def draw(*, width: int = 64, size: int = 32, encoding: int = 64) -> Drawing:
    """Draw the architecture of the network.

    Args:
        width: Channels of the stem.
        size: Side N of the images in pixels.
        encoding: Length of each sinusoidal encoding.

    Returns:
        The figure and its data: `layers` (name, kind, channels in and out, side and parameters, in
        order of execution) and `block` (the same for the first down block).

    Raises:
        ValidationError: A parameter is out of its range.
    """
    settings = ModelSettings(width=width, encoding=encoding)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # shapes do not depend on the weights
        model = UNet(settings)
    layers = _passed(model, size, list(model.named_children()))
    block = _passed(model, size, list(model.layer0.named_children()))
    with styled():
        figure = Figure(figsize=(10.5, 5.2), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=[2.3, 1])
        _draw_layers(left, layers)
        _draw_block(right, block, encoding)
        title(left, "a", "Layers: channels x side, parameters")
        title(right, "b", "The first down block, layer 0")
        text = (
            f"Width {width}, N = {size}: {model.parameter_count:,} parameters. Grey arrows: skip "
            "connections, concatenated along the channels. Layer 4 (dark) is the representation "
            "studied in the papers."
        )
        note(figure, [text])
    panels = {"layers": layers, "block": block}
    tables = {name: pd.DataFrame(map(asdict, parts)) for name, parts in panels.items()}
    return Drawing(figure=figure, panels=tables)


def _passed(model: UNet, size: int, parts: Sequence[tuple[str, nn.Module]]) -> list[_Part]:
    """Pass one image through the model and describe each of `parts`, in order of execution."""
    found: list[_Part] = []
    names = {id(module): name for name, module in parts}

    def hear(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        found.append(
            _Part(
                name=names[id(module)],
                kind=_KINDS.get(type(module), type(module).__name__),
                channels_in=_channels_in(module, inputs[0]),
                channels_out=output.shape[1],
                side_out=output.shape[-1] if output.ndim == 4 else None,
                parameters=sum(p.numel() for p in module.parameters()),
            )
        )

    handles = [module.register_forward_hook(hear) for _, module in parts]
    try:
        with torch.inference_mode():
            model(torch.zeros(1, 1, size, size), torch.zeros(1), torch.ones(1, 2))
    finally:
        for handle in handles:
            handle.remove()
    return found


def _channels_in(module: nn.Module, first: Tensor) -> int:
    """Return the input channels of a module; for an up block they include the skip connection."""
    if isinstance(module, Block):
        convolution = module.first.body[0]
        assert isinstance(convolution, nn.Conv2d)
        return convolution.in_channels
    return first.shape[1]


def _box(axes: Axes, x: float, y: float, text: str, colour: str, *, dark: bool = False) -> None:
    """Draw a box with a text, centred at (x, y)."""
    corner = (x - _WIDTH / 2, y - _HEIGHT / 2)
    axes.add_patch(
        FancyBboxPatch(
            corner, _WIDTH, _HEIGHT, boxstyle="round,pad=0,rounding_size=0.08",
            fc=colour, ec="0.3", lw=0.8,
        )
    )  # fmt: skip
    axes.text(x, y, text, ha="center", va="center", fontsize=7, color="white" if dark else "black")


def _arrow(
    axes: Axes, start: tuple[float, float], end: tuple[float, float], colour: str = "0.2"
) -> None:
    axes.annotate(
        "", end, start, arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 1, "shrinkA": 0,
        "shrinkB": 0},
    )  # fmt: skip


def _draw_layers(axes: Axes, layers: Sequence[_Part]) -> None:
    """Draw the layers down the left side, across the bottom and up the right side."""
    lowest = next(i for i, part in enumerate(layers) if part.name == "bottleneck")
    places = {}
    for i, part in enumerate(layers):
        # Layers joined by a skip connection are at the same height; the head is above all others.
        depth = i if i <= lowest else 2 * lowest - i - 1
        column = 0.0 if i < lowest else 2.0 if i > lowest else 1.0
        places[part.name] = (2.9 * column, -1.25 * depth)
        dark = part.name == "layer4"
        colour = COLOURS[0] if dark else {"down": "#dbe7f3", "up": "#f6e3cc"}.get(part.kind)
        text = f"{part.name}: {part.kind}\n{part.text}"
        _box(axes, *places[part.name], text, colour or "#ececec", dark=dark)
    names = [part.name for part in layers]
    for before, after in pairwise(names):
        _link(axes, places[before], places[after])
    for before, after in (("stem", "layer5"), ("layer0", "layer4"), ("layer1", "layer3")):
        (x, y), (end, height) = places[before], places[after]
        _arrow(axes, (x + _WIDTH / 2, y), (end - _WIDTH / 2, height), GREY)
    first, last = places[names[0]], places[names[-1]]
    axes.text(first[0], first[1] + 0.62, "noisy image", ha="center", fontsize=7)
    axes.text(last[0], last[1] + 0.62, "prediction", ha="center", fontsize=7)
    axes.text(
        2.9, -0.62, "time step, x and y,\nencoded, pass into\nevery down and up block",
        ha="center", va="center", fontsize=7, color="0.3",
    )  # fmt: skip
    axes.set(xlim=(-1.5, 7.3), ylim=(min(y for _, y in places.values()) - 0.6, 2.3))
    axes.set_aspect("equal")
    axes.axis("off")


def _link(axes: Axes, before: tuple[float, float], after: tuple[float, float]) -> None:
    """Draw an arrow from one box to the next, edge to edge."""
    (x, y), (end, height) = before, after
    if x == end:
        sign = 1 if height > y else -1
        _arrow(axes, (x, y + sign * _HEIGHT / 2), (end, height - sign * _HEIGHT / 2))
    elif height < y:  # into the bottleneck
        _arrow(axes, (x, y - _HEIGHT / 2), (end - _WIDTH / 2, height))
    else:
        _arrow(axes, (x + _WIDTH / 2, y), (end, height - _HEIGHT / 2))


def _draw_block(axes: Axes, block: Sequence[_Part], encoding: int) -> None:
    """Draw the parts of a block below one another."""
    names = {
        "first": "conv 3x3, norm, GELU, conv 3x3, norm; adds its input",
        "second": "conv 3x3, norm, GELU, conv 3x3, norm",
        "condition": f"encodings of time, x and y, 3 x {encoding}:\n"
        "SiLU, linear; added to every pixel",
        "attention": "self-attention of all pixels, four heads;\nlinear, GELU, linear",
    }
    for i, part in enumerate(block):
        colour = "#e6dcef" if part.name == "condition" else "#ececec"
        axes.add_patch(
            FancyBboxPatch(
                (0, -1.4 * i - 0.5), 5, 1.0, boxstyle="round,pad=0,rounding_size=0.08",
                fc=colour, ec="0.3", lw=0.8,
            )
        )  # fmt: skip
        text = f"{names[part.name]}\n{part.text}"
        axes.text(2.5, -1.4 * i, text, ha="center", va="center", fontsize=7)
        if i:
            _arrow(axes, (2.5, -1.4 * i + 0.9), (2.5, -1.4 * i + 0.5))
    axes.text(2.5, 0.72, "max-pool to half the side", ha="center", fontsize=7)
    axes.set(xlim=(-0.2, 5.2), ylim=(-1.4 * len(block) + 0.5, 1.2))
    axes.axis("off")
