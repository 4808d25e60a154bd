"""The configuration of one run: immutable, typed, and validated before anything starts.

It contains every number that determines the result of a run, with its unit. Lengths are in pixels.
Label coordinates start at 1 in the top left pixel; x is the column and y the row.
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
"""Largest number of labels in a lattice; all of them are held in memory (160 MB)."""


class Settings(BaseModel):
    """Base class of all settings: frozen, strict types, no unknown keys."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )


class HeldOut(Settings):
    """A region of the label plane whose 2D examples are left out of training.

    `box`, `cross` and `lesion` are built from two bands, ``|x - centre_x| <= width / 2`` and the
    same for y ([F] Figs. 4, 10, 11, 12; [W] Fig. 9).
    """

    kind: Literal["box", "cross", "lesion", "rim"]
    """Shape of the region. `box`: the intersection of both bands; `cross`: their union; `lesion`:
    the x band alone; `rim`: everything except a rim of this width along the frame, so that 2D
    examples exist on the rim only."""

    width: Positive
    """Width of the bands, or of the rim, in pixels."""

    place: Literal["interior", "exterior"] = "interior"
    """Place of a `box`: around `centre`, or in the corner of the largest x and y (our choice)."""

    centre: tuple[float, float] | None = None
    """Centre (x, y) of the bands in pixels. Default: the centre of the frame."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.place == "exterior" and (self.kind != "box" or self.centre is not None):
            raise ValueError("place 'exterior' is allowed only for kind 'box' without a centre")
        if self.kind == "rim" and self.centre is not None:
            raise ValueError("centre is not allowed for kind 'rim'")
        return self


class DataSettings(Settings):
    """A data set on a lattice of labels ([F] Figs. 1, 5, 9; [W] section 2)."""

    family: Family = "bump"
    """Data family: the kind of 2D examples, with `+stripes` for all 1D stripes beside them, or
    `+thinned-stripes` for a share `subsample` of the stripes. Kinds are `bump`, `sos` (sums of two
    perpendicular stripes) and any other file of `factorlab/families`. `stripes` has 1D stripes
    alone and is tested on sums of stripes."""

    size: int = Field(default=32, ge=6)
    """Side N of the square image, in pixels."""

    sigma: Positive | Pair = 1.0
    """Spread in pixels, or a pair (x, y). The profile's standard deviation is sqrt(2) sigma."""

    spacing: Positive | Pair = 0.5
    """Increment d of the label lattice in pixels, or a pair (x, y)."""

    subsample: float = Field(default=1.0, gt=0, le=1)
    """Share lambda of the lattice that is kept. It applies to the 2D examples, to the stripes if
    there are only stripes, and to both with `+thinned-stripes`. The set of a smaller share is a
    subset of that of a larger one."""

    periodic: bool = False
    """Whether distances are taken modulo N, so that the label space is a torus ([F] Fig. 2)."""

    stripe_spacing: Positive = 1.0
    """Increment of the 1D stripes' labels, in pixels."""

    margin: float | None = Field(default=None, gt=0)
    """Extent of the label canvas beyond the frame, in pixels. Default: ceil(6 sigma), at least 4
    (our choice; at sigma = 1 this is the margin of 6 pixels in [F])."""

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
        if families.has_stripes(self.family) and stripes > MOST_LABELS:
            raise ValueError(
                f"stripe_spacing {self.stripe_spacing} and margin {self.canvas_margin} make "
                f"{stripes:.1e} stripes; allowed: up to {MOST_LABELS:.0e}"
            )
        if self.periodic:
            if families.has_stripes(self.family):
                raise ValueError(
                    f"family '{self.family}' needs labels outside the frame, which periodic images "
                    f"do not have; allowed with periodic: {', '.join(families.available())}"
                )
            for d in self.spacings:
                if abs(self.size / d - round(self.size / d)) > 1e-9:
                    raise ValueError(
                        f"spacing {d} does not divide the period; allowed with periodic: "
                        f"size {self.size} divided by a whole number"
                    )
        if max(self.spacings) > self.size - 1:
            raise ValueError(
                f"spacing {max(self.spacings)} is wider than the frame; allowed: up to "
                f"{self.size - 1} at size {self.size}"
            )
        return self


class ModelSettings(Settings):
    """The conditional UNet ([W] Fig. 6, [F] Fig. 7)."""

    width: int = Field(default=64, ge=4, multiple_of=4)
    """Channels of the stem; those of every other layer are a multiple. The papers use 64."""

    encoding: int = Field(default=64, ge=2, multiple_of=2)
    """Length of each of the three sinusoidal encodings (time, x, y) (our choice)."""


class DiffusionSettings(Settings):
    """The forward process and its reversal."""

    timesteps: int = Field(default=1000, ge=2)
    """Length T of the forward process."""

    schedule: Literal["linear", "cosine"] = "linear"
    """Noise schedule: linear in beta (Ho et al. 2020) or cosine (Nichol and Dhariwal 2021)."""

    prediction: Literal["noise", "v"] = "noise"
    """What the network predicts: the noise, as in the papers, or v (Salimans and Ho 2022)."""

    sampling_steps: int = Field(default=10, ge=1)
    """Network calls per sampled image. With as many as `timesteps` and `eta` 1, this is DDPM
    sampling. With `eta` 1, five steps read as accurately as a thousand on trained models
    (docs/throughput.md)."""

    eta: float = Field(default=1.0, ge=0, le=1)
    """Share of fresh noise in a sampling step: 0 is DDIM, 1 is DDPM (Song et al. 2021, eq. 16). A
    network that predicts the noise needs fresh noise, because its errors add up over few DDIM
    steps."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.sampling_steps > self.timesteps:
            raise ValueError(
                f"sampling_steps {self.sampling_steps} exceeds timesteps; allowed: up to "
                f"{self.timesteps}"
            )
        return self


class TrainingSettings(Settings):
    """The optimization of one model."""

    steps: int = Field(default=1000, ge=1)
    """Optimizer steps."""

    batch_size: int = Field(default=64, ge=1)
    """Images per step, drawn with replacement from the data set."""

    stripe_share: float | None = Field(default=None, gt=0, lt=1)
    """Expected share of 1D stripes in a batch, for families with both kinds of examples. Default:
    the share in the data set. Stripes far outnumber a few 2D examples; setting the share lets short
    training see more of the 2D examples (our option; the papers train longer instead)."""

    learning_rate: Positive = 2e-3
    """Peak learning rate of AdamW."""

    weight_decay: float = Field(default=0.01, ge=0)
    """Decoupled weight decay of AdamW."""

    schedule: Literal["one_cycle", "constant"] = "one_cycle"
    """Learning rate over the run: one cycle (Smith and Topin 2018) or constant."""

    ema: float = Field(default=0.0, ge=0, lt=1)
    """Decay of the averaged weights used for evaluation; 0 evaluates the weights themselves."""

    mixed_precision: bool = True
    """Train in bfloat16 on CUDA devices. CPUs and all evaluations use float32."""

    checkpoint_every: int = Field(default=500, ge=1)
    """Steps between checkpoints. Does not affect the result."""

    log_every: int = Field(default=50, ge=1)
    """Steps between lines of the journal. Does not affect the result."""


class EvaluationSettings(Settings):
    """When a model is evaluated, and on which labels."""

    every: int = Field(default=0, ge=0)
    """Steps between evaluations; 0 evaluates only at the end."""

    at: tuple[Annotated[int, Field(ge=0)], ...] = ()
    """Additional steps at which to evaluate; 0 is the untrained model."""

    labels: Literal["interior", "all", "uniform", "region"] = "interior"
    """Which labels are tested. `interior`: lattice labels at least a pixel from the rim, where the
    label reader is accurate for sigma up to about 1 (our choice). `all`: all lattice labels.
    `uniform`: a uniform draw at least a pixel from the rim, as in [W]; on a coarse lattice, only
    this tests the labels between lattice points. `region`: the same, but half of the labels are
    drawn inside the held-out region, which may be too small for many of the others. Periodic images
    have no rim."""

    samples: int = Field(default=1024, ge=1, le=10**6)
    """Maximum number of labels; if more, a seeded draw is tested ([F] uses 1024, [W] 500)."""

    loss_samples: int = Field(default=256, ge=1)
    """Images in the estimates of the training loss and of the validation loss."""

    keep: int = Field(default=25, ge=0)
    """Generated images to save in the record at each evaluation."""

    batch_size: int = Field(default=256, ge=1)
    """Images sampled at once. Affects memory, speed and the last bits of the images."""


class RepresentationSettings(Settings):
    """Activations of inner layers to save at every evaluation. Do not affect the result."""

    layers: tuple[Layer, ...] = ()
    """Layers to save; `layer4` is the papers' representation."""

    grid: int = Field(default=32, ge=3, le=256)
    """Number of labels along x and along y; 32 gives the 1024 labels of [F]."""

    time: int = Field(default=0, ge=0)
    """Time step to which samples are noised before they pass through the network once more. 0 is
    the last of the papers' thousand denoising steps, whatever the number of sampling steps."""


Shape = tuple[int, ModelSettings, int, bool, str]
"""Size of the image, network, batch size, mixed precision and device."""


class RunSettings(Settings):
    """One run: a data set, a model, its training and its evaluation."""

    seed: int = Field(default=0, ge=0, lt=2**63)
    """Seed of every random number of the run."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Device to compute on; `auto` is CUDA if available. Not part of the key."""

    data: DataSettings = DataSettings()
    """The data set."""

    model: ModelSettings = ModelSettings()
    """The network."""

    diffusion: DiffusionSettings = DiffusionSettings()
    """The diffusion process."""

    training: TrainingSettings = TrainingSettings()
    """The optimization."""

    evaluation: EvaluationSettings = EvaluationSettings()
    """The evaluations."""

    representations: RepresentationSettings = RepresentationSettings()
    """The activations to save."""

    @property
    def shape(self) -> Shape:
        """Everything that determines the time of a step; runs of one shape can train together."""
        training = self.training
        precision = training.mixed_precision
        return self.data.size, self.model, training.batch_size, precision, self.device

    @model_validator(mode="after")
    def _check(self) -> Self:
        if max(self.evaluation.at, default=0) > self.training.steps:
            raise ValueError(
                f"evaluation.at {max(self.evaluation.at)} exceeds training.steps; allowed: up to "
                f"{self.training.steps}"
            )
        if self.evaluation.labels == "region":
            if self.data.held_out is None:
                raise ValueError("evaluation.labels 'region' needs data.held_out")
            if self.evaluation.samples % 2:
                raise ValueError(
                    f"evaluation.samples {self.evaluation.samples} is odd; allowed with "
                    "evaluation.labels 'region': even numbers"
                )
        if self.representations.time >= self.diffusion.timesteps:
            raise ValueError(
                f"representations.time {self.representations.time} exceeds the last time step; "
                f"allowed: up to {self.diffusion.timesteps - 1}"
            )
        return self
