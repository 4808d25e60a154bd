"""The configuration of one run: frozen, typed, and checked as a whole before anything starts.

Every number that decides the result of a run stands here, with its unit. Lengths are in pixels;
label coordinates start at 1 in the top left pixel, x is the column and y the row.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from factorlab import families
from factorlab.errors import suggestion
from factorlab.formatting import listed


def _known_family(name: str) -> str:
    if name not in families.families():
        allowed = listed(f"'{family}'" for family in families.families())
        raise ValueError(f"allowed: {allowed}{suggestion(name, families.families())}")
    return name


Family = Annotated[str, AfterValidator(_known_family)]
Layer = Literal["layer0", "layer1", "layer2", "bottleneck", "layer3", "layer4", "layer5"]
Positive = Annotated[float, Field(gt=0)]
Pair = tuple[Positive, Positive]

MOST_LABELS = 1e7
"""Labels of a lattice that are held in memory at once, 160 MB."""


class Settings(BaseModel):
    """Base of all settings: frozen, unknown keys refused, no silent conversions."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )


class HeldOut(Settings):
    """A region of the label plane from which no 2D example is trained on.

    All regions are built from two bands, ``|x - centre_x| <= width / 2`` and likewise for y
    ([F] Figs. 4, 10, 11, 12; [W] Fig. 9).
    """

    kind: Literal["box", "cross", "lesion", "rim"]
    """`box`: both bands; `cross`: either band; `lesion`: the x band alone; `rim`: everything
    but a rim of this width along the frame, so that 2D examples exist on the rim only."""

    width: Positive
    """Width of the bands, or of the rim, in pixels."""

    place: Literal["interior", "exterior"] = "interior"
    """Of a `box`: around `centre`, or in the corner of the largest x and y (our choice)."""

    centre: tuple[float, float] | None = None
    """Centre (x, y) of the bands in pixels; by default the middle of the frame."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.place == "exterior" and (self.kind != "box" or self.centre is not None):
            raise ValueError("place 'exterior' is for a box without a centre")
        if self.kind == "rim" and self.centre is not None:
            raise ValueError("a rim has no centre")
        return self


class DataSettings(Settings):
    """One data-set family on a lattice of labels ([F] Figs. 1, 5, 9; [W] section 2)."""

    family: Family = "bump"
    """The 2D examples (`bump`, `sos` for sums of two perpendicular stripes, or another
    file of `factorlab/families`), alone or, with `+stripes`, beside 1D stripes; `stripes` has these
    alone and is tested on sums of stripes."""

    size: int = Field(default=32, ge=6)
    """Side N of the square image, in pixels."""

    sigma: Positive | Pair = 1.0
    """Spread, in pixels, or a pair (x, y). The profile's standard deviation is sqrt(2) sigma."""

    spacing: Positive | Pair = 0.5
    """Increment d of the label lattice, in pixels, or a pair (x, y)."""

    subsample: float = Field(default=1.0, gt=0, le=1)
    """Share lambda of the lattice that is kept; of the 2D examples where there are any, else of
    the stripes. The set of a smaller share is a subset of that of a larger one."""

    periodic: bool = False
    """Distances are taken modulo N, so that the label space is a torus ([F] Fig. 2)."""

    stripe_spacing: Positive = 1.0
    """Increment of the 1D stripes' labels, in pixels."""

    margin: float | None = Field(default=None, gt=0)
    """Extent of the label canvas beyond the frame, in pixels; by default ceil(6 sigma) and at
    least 4 (our choice; at sigma = 1 it is [F]'s margin of 6 pixels)."""

    held_out: HeldOut | None = None
    """Region of labels whose 2D examples are left out of training."""

    @property
    def sigmas(self) -> tuple[float, float]:
        """Spread in x and y, in pixels."""
        return self.sigma if isinstance(self.sigma, tuple) else (self.sigma, self.sigma)

    @property
    def spacings(self) -> tuple[float, float]:
        """Lattice increments in x and y, in pixels."""
        return self.spacing if isinstance(self.spacing, tuple) else (self.spacing, self.spacing)

    @property
    def canvas_margin(self) -> float:
        """Extent of the label canvas beyond the frame, in pixels."""
        return self.margin if self.margin is not None else max(4, math.ceil(6 * max(self.sigmas)))

    @model_validator(mode="after")
    def _check(self) -> Self:
        labels = math.prod(self.size / d for d in self.spacings)
        if labels > MOST_LABELS:
            raise ValueError(
                f"spacing {self.spacing} makes a lattice of {labels:.1e} labels at size "
                f"{self.size}; allowed: up to {MOST_LABELS:.0e}"
            )
        stripes = 4 * self.canvas_margin * self.size / self.stripe_spacing**2
        if self.family.endswith(families.STRIPES) and stripes > MOST_LABELS:
            raise ValueError(
                f"stripe_spacing {self.stripe_spacing} and margin {self.canvas_margin} make "
                f"{stripes:.1e} stripes; allowed: up to {MOST_LABELS:.0e}"
            )
        if self.periodic:
            if self.family.endswith(families.STRIPES):
                raise ValueError(
                    f"family '{self.family}' has labels outside the frame, which a periodic "
                    f"image has not; allowed with periodic: {', '.join(families.available())}"
                )
            for d in self.spacings:
                if abs(self.size / d - round(self.size / d)) > 1e-9:
                    raise ValueError(f"spacing {d} does not divide the period {self.size}")
        if max(self.spacings) > self.size - 1:
            raise ValueError(
                f"spacing {max(self.spacings)} is wider than the frame; allowed: up to "
                f"{self.size - 1} at size {self.size}"
            )
        return self


class ModelSettings(Settings):
    """The conditional UNet ([W] Fig. 6, [F] Fig. 7)."""

    width: int = Field(default=64, ge=4, multiple_of=4)
    """Channels of the stem; every other layer is a multiple of it. The papers use 64."""

    encoding: int = Field(default=64, ge=2, multiple_of=2)
    """Length of each of the three sinusoidal encodings (time, x, y) (our choice)."""


class DiffusionSettings(Settings):
    """The forward process and how it is reversed."""

    timesteps: int = Field(default=1000, ge=2)
    """Length T of the forward process."""

    schedule: Literal["linear", "cosine"] = "linear"
    """Noise schedule: linear in beta (Ho et al. 2020) or cosine (Nichol and Dhariwal 2021)."""

    prediction: Literal["noise", "v"] = "noise"
    """What the network predicts: the noise, as the papers do, or v (Salimans and Ho 2022)."""

    sampling_steps: int = Field(default=10, ge=1)
    """Network calls to sample an image; equal to `timesteps` with `eta` 1 it is DDPM sampling.
    With `eta` 1 five read as accurately as a thousand from trained models (docs/throughput.md)."""

    eta: float = Field(default=1.0, ge=0, le=1)
    """Share of fresh noise in a sampling step: 0 is DDIM, 1 is DDPM (Song et al. 2021, eq. 16).
    A network that predicts the noise needs it: its errors add up in a DDIM of few steps."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.sampling_steps > self.timesteps:
            raise ValueError(
                f"sampling_steps {self.sampling_steps} is more than timesteps {self.timesteps}"
            )
        return self


class TrainingSettings(Settings):
    """The optimization of one model."""

    steps: int = Field(default=1000, ge=1)
    """Optimizer steps."""

    batch_size: int = Field(default=64, ge=1)
    """Images a step, drawn with replacement from the data set."""

    stripe_share: float | None = Field(default=None, gt=0, lt=1)
    """Expected share of 1D stripes in a batch of a family that has both; by default that of the
    data set. Stripes far outnumber a few 2D examples, so that a short training sees more of
    these with a share of its own (our option; the papers train long instead)."""

    learning_rate: Positive = 2e-3
    """Peak learning rate of AdamW."""

    weight_decay: float = Field(default=0.01, ge=0)
    """Decoupled weight decay of AdamW."""

    schedule: Literal["one_cycle", "constant"] = "one_cycle"
    """Learning rate over the run: one cycle (Smith and Topin 2018) or constant."""

    ema: float = Field(default=0.0, ge=0, lt=1)
    """Decay of the averaged weights that are evaluated; 0 evaluates the weights themselves."""

    mixed_precision: bool = True
    """Train in bfloat16 where the device is CUDA; a CPU, and every evaluation, uses float32."""

    checkpoint_every: int = Field(default=500, ge=1)
    """Steps between checkpoints. Does not decide the result."""

    log_every: int = Field(default=50, ge=1)
    """Steps between lines of the journal. Does not decide the result."""


class EvaluationSettings(Settings):
    """When and on which labels a model is tested."""

    every: int = Field(default=0, ge=0)
    """Steps between evaluations; 0 evaluates at the end only."""

    at: tuple[Annotated[int, Field(ge=0)], ...] = ()
    """Further steps at which to evaluate; 0 is the untrained model."""

    labels: Literal["interior", "all", "uniform"] = "interior"
    """Lattice labels at least a pixel from the rim, where the label reader is right at sigma up
    to about 1, or all of them (our choice); or `uniform`, a draw from anywhere that far from the
    rim, as [W] has it, which a coarse lattice needs to show what lies between its labels. A
    periodic image has no rim."""

    samples: int = Field(default=1024, ge=1, le=10**6)
    """Most labels to test; where there are more, a seeded draw ([F] uses 1024, [W] 500)."""

    loss_samples: int = Field(default=256, ge=1)
    """Images in the estimates of the training and the validation loss."""

    keep: int = Field(default=25, ge=0)
    """Generated images to keep in the record at each evaluation."""

    batch_size: int = Field(default=256, ge=1)
    """Images sampled at once; decides memory and speed, and the last bits of the images."""


class RepresentationSettings(Settings):
    """What is kept of the network's inner outputs at every evaluation. Decides no result."""

    layers: tuple[Layer, ...] = ()
    """Layers to keep; `layer4` is the papers' representation."""

    grid: int = Field(default=32, ge=3, le=256)
    """Labels along x and along y; with 32 there are the 1024 of [F]."""

    time: int = Field(default=0, ge=0)
    """Time step at which the network meets the sample again: 0 is the last of the papers' thousand
    denoising steps, whatever the number of steps that the sample took."""


Shape = tuple[int, ModelSettings, int, bool, str]
"""Size of the image, network, batch size, whether in mixed precision, and the device."""


class RunSettings(Settings):
    """One run: a data set, a model, its training and its evaluation."""

    seed: int = Field(default=0, ge=0, lt=2**63)
    """Origin of every random number of the run."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute; `auto` is CUDA where there is one. Does not enter the key."""

    data: DataSettings = DataSettings()
    """The data set."""

    model: ModelSettings = ModelSettings()
    """The network."""

    diffusion: DiffusionSettings = DiffusionSettings()
    """The diffusion process."""

    training: TrainingSettings = TrainingSettings()
    """The optimization."""

    evaluation: EvaluationSettings = EvaluationSettings()
    """The tests."""

    representations: RepresentationSettings = RepresentationSettings()
    """The inner outputs to keep."""

    @property
    def shape(self) -> Shape:
        """What decides the time of a step; runs that have it in common can train together."""
        training = self.training
        precision = training.mixed_precision
        return self.data.size, self.model, training.batch_size, precision, self.device

    @model_validator(mode="after")
    def _check(self) -> Self:
        if max(self.evaluation.at, default=0) > self.training.steps:
            raise ValueError(
                f"evaluation.at {max(self.evaluation.at)} lies beyond training.steps "
                f"{self.training.steps}"
            )
        if self.representations.time >= self.diffusion.timesteps:
            raise ValueError(
                f"representations.time {self.representations.time} lies beyond "
                f"diffusion.timesteps; allowed: up to {self.diffusion.timesteps - 1}"
            )
        return self
