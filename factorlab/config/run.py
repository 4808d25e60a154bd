"""Settings of the network, its training and its evaluation, and of a whole run."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self, get_args

from pydantic import Field, model_validator

from factorlab.config.base import Positive, Settings
from factorlab.config.data import DataSettings

Layer = Literal["layer0", "layer1", "layer2", "bottleneck", "layer3", "layer4", "layer5"]


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


def layer_of(name: str) -> Layer:
    """Return the layer of saved activations from their name, such as `layer4` or `layer4-t300`.

    Raises:
        ValueError: There is no such layer.
    """
    known: tuple[Layer, ...] = get_args(Layer)
    for layer in known:
        if re.fullmatch(rf"{layer}(-t\d+)?", name):
            return layer
    raise ValueError(f"There is no layer '{name}'; the layers are {', '.join(known)}.")


class RepresentationSettings(Settings):
    """Activations of inner layers to save at every evaluation. Do not affect the result."""

    layers: tuple[Layer, ...] = ()
    """Layers to save; `layer4` is the papers' representation."""

    grid: int = Field(default=32, ge=3, le=256)
    """Number of labels along x and along y; 32 gives the 1024 labels of [F]."""

    time: int = Field(default=0, ge=0)
    """Time step to which samples are noised before they pass through the network once more. 0 is
    the last of the papers' thousand denoising steps, whatever the number of sampling steps."""

    times: tuple[Annotated[int, Field(ge=0)], ...] = ()
    """Further time steps at which the layers are saved, under names such as `layer4-t300`."""

    common_noise: bool = False
    """Whether all samples are noised alike, so that only their labels differ. Otherwise each label
    has a noise of its own."""

    @property
    def saved(self) -> dict[int, dict[str, str]]:
        """The names under which activations are saved, by time step and layer."""
        rest = [time for time in dict.fromkeys(self.times) if time != self.time]
        return {
            self.time: {layer: layer for layer in self.layers},
            **{time: {layer: f"{layer}-t{time}" for layer in self.layers} for time in rest},
        }

    @property
    def names(self) -> tuple[str, ...]:
        """All names under which activations are saved."""
        return tuple(name for names in self.saved.values() for name in names.values())


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
        latest = max(self.representations.saved)
        if latest >= self.diffusion.timesteps:
            key = "time" if latest == self.representations.time else "times"
            raise ValueError(
                f"representations.{key} {latest} exceeds the last time step; allowed: up to "
                f"{self.diffusion.timesteps - 1}"
            )
        return self
