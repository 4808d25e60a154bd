"""Training steps: bit-identical for a seed, also through a saved state; contents of batches."""

import copy
import io
import itertools
import math

import numpy as np
import pytest
import torch

from factorlab.data.dataset import build
from factorlab.data.rendering import render, to_model
from factorlab.model.diffusion import Diffusion
from factorlab.model.unet import UNet
from factorlab.parsing import parse
from factorlab.training.packed import PackedTraining
from factorlab.training.step import TrainingState, TrainingStep
from tests.helpers.rounding import EXACT, in_float64
from tests.helpers.settings import TINY, updated
from tests.helpers.training import train, training_step

CPU = torch.device("cpu")
SETTINGS = updated(TINY, training={"steps": 6})


def settings_of(**groups):
    return parse(updated(SETTINGS, **groups))


def loop(settings, state=None):
    """Return a training state and the generator that advances it."""
    state = state or TrainingState(settings, CPU)
    dataset = build(settings.data, settings.seed)
    return state, train(state, settings, dataset, Diffusion(settings.diffusion), CPU)


def finished(settings, state=None):
    """Return the final state and all losses."""
    state, steps = loop(settings, state)
    return state, [float(loss) for loss in steps]


def weights(state):
    """Return everything that the next steps depend on, as bytes."""
    buffer = [p.detach().numpy().tobytes() for p in state.model.parameters()]
    buffer += [p.detach().numpy().tobytes() for p in state.evaluated.parameters()]
    buffer += [moment.numpy().tobytes() for moment in state.optimizer.state_dict().values()]
    buffer.append(state.generator.get_state().numpy().tobytes())
    return b"".join(buffer)


# --- bit-identical training -------------------------------------------------------------------


def test_training_step_bit_identical_for_same_seed():
    settings = settings_of(training={"ema": 0.9})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        one, losses_one = finished(settings)
        torch.manual_seed(2)
        two, losses_two = finished(settings)
    assert losses_one == losses_two
    assert weights(one) == weights(two)


def test_training_state_differs_for_other_seed():
    one, two = (TrainingState(settings_of(seed=seed), CPU) for seed in (0, 1))
    assert weights(one) != weights(two)
    assert finished(settings_of(seed=0))[1] != finished(settings_of(seed=1))[1]


def test_training_step_keeps_global_generator():
    before = torch.get_rng_state()
    finished(settings_of())
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("ema", "schedule", "stop"),
    [
        *itertools.product([0.0, 0.9], ["one_cycle", "constant"], [1, 4]),
        (0.9, "one_cycle", 0),
        (0.9, "one_cycle", 6),
    ],
)
def test_training_state_resumes_bit_identical(ema, schedule, stop):
    settings = settings_of(
        data={"family": "bump+stripes"},
        training={"ema": ema, "schedule": schedule, "stripe_share": 0.5},
    )
    straight, losses = finished(settings)

    state, steps = loop(settings)
    before = [float(loss) for loss in itertools.islice(steps, stop)]
    file = io.BytesIO()
    torch.save(state.state_dict(), file)
    file.seek(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(99)
        resumed = TrainingState(settings, CPU)
        resumed.load_state_dict(torch.load(file, weights_only=True))
        assert resumed.step == stop
        resumed, after = finished(settings, resumed)

    assert before + after == losses
    assert weights(resumed) == weights(straight)


def test_training_state_saving_does_not_disturb_it():
    settings = settings_of(training={"ema": 0.9})
    state, steps = loop(settings)
    for _ in steps:
        torch.save(state.state_dict(), io.BytesIO())
    assert weights(state) == weights(finished(settings)[0])


# --- the loop ---------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 2, 6])
@pytest.mark.parametrize("schedule", ["one_cycle", "constant"])
def test_train_yields_once_a_step(steps, schedule):
    settings = settings_of(training={"steps": steps, "schedule": schedule})
    state, losses = finished(settings)
    assert len(losses) == steps == state.step
    assert all(math.isfinite(loss) for loss in losses)
    assert finished(settings, state)[1] == []


def test_training_state_at_yield_is_after_step():
    state, steps = loop(settings_of())
    fresh = weights(state)
    for k, loss in enumerate(steps, start=1):
        assert state.step == k
        assert not loss.requires_grad
        assert weights(state) != fresh
        fresh = weights(state)


@in_float64()
def test_training_step_matches_adamw_by_hand():
    settings = settings_of(training={"schedule": "constant", "weight_decay": 0.1, "steps": 3})
    batches = []

    class Recording(TrainingStep):
        def draw(self):
            batches.append(super().draw())
            return batches[-1]

    state, diffusion = TrainingState(settings, CPU), Diffusion(settings.diffusion)
    by_hand = copy.deepcopy(state.model)
    pack = PackedTraining([Recording(state, settings, build(settings.data, 0), diffusion, CPU)])
    yielded = [float(pack.step()) for _ in range(settings.training.steps)]

    lr, decay, betas, eps = settings.training.learning_rate, 0.1, (0.9, 0.999), 1e-8
    moments = [(torch.zeros_like(p), torch.zeros_like(p)) for p in by_hand.parameters()]
    for step, batch in enumerate(batches, start=1):
        loss = diffusion.loss(by_hand, batch.x_0, batch.labels, batch.t, batch.noise)
        assert float(loss.detach()) == pytest.approx(yielded[step - 1], rel=EXACT)
        gradients = torch.autograd.grad(loss, list(by_hand.parameters()))
        with torch.no_grad():
            for p, g, (m, v) in zip(by_hand.parameters(), gradients, moments, strict=True):
                p.mul_(1 - lr * decay)
                m.mul_(betas[0]).add_(g, alpha=1 - betas[0])
                v.mul_(betas[1]).addcmul_(g, g, value=1 - betas[1])
                corrected = (v / (1 - betas[1] ** step)).sqrt() + eps
                p.sub_(lr * m / (1 - betas[0] ** step) / corrected)
    # AdamW's epsilon is far above a gradient of mere rounding, which therefore moves nothing.
    for p, q in zip(by_hand.parameters(), state.model.parameters(), strict=True):
        torch.testing.assert_close(p, q, atol=EXACT, rtol=0)


@in_float64()
def test_training_state_average_is_exponential():
    settings = settings_of(training={"ema": 0.8})
    state, steps = loop(settings)
    expected = None
    for _ in steps:
        now = [p.detach().clone() for p in state.model.parameters()]
        if expected is None:
            expected = now
        else:
            expected = [0.8 * e + 0.2 * p for e, p in zip(expected, now, strict=True)]
    assert state.evaluated is not state.model
    for e, p in zip(expected, state.evaluated.parameters(), strict=True):
        torch.testing.assert_close(p.detach(), e, atol=EXACT, rtol=0)


def test_training_state_evaluates_weights_without_average():
    state = TrainingState(settings_of(), CPU)
    assert state.evaluated is state.model


@pytest.mark.parametrize("prediction", ["noise", "v"])
def test_train_lowers_loss_of_tiny_problem(prediction):
    settings = settings_of(
        data={"spacing": 5.0},
        diffusion={"prediction": prediction},
        training={"steps": 80, "batch_size": 16, "learning_rate": 1e-2},
    )
    _, losses = finished(settings)
    # Without training the loss of a batch varies by 6 %, with its times and noise: this ratio of
    # means would be 1 with a standard error of 0.06 (1 / 20 + 1 / 5)^(1 / 2) = 0.03.
    assert np.mean(losses[-20:]) < 0.5 * np.mean(losses[:5])


# --- contents of a batch ----------------------------------------------------------------------


def batches_of(**groups):
    """Return images, labels, times and noise of all steps, the data set and the settings."""
    settings = settings_of(**groups)
    step = training_step(settings)
    batches = [step.draw() for _ in range(settings.training.steps)]
    parts = [[getattr(b, name) for b in batches] for name in ("x_0", "labels", "t", "noise")]
    return (*map(torch.cat, parts), build(settings.data, settings.seed), settings)


MANY = {"steps": 4, "batch_size": 2500, "weight_decay": 0.0}  # 10,000 draws


def stripes_among(labels):
    return float(((labels < 1) | (labels > 6)).any(dim=1).float().mean())


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("family", ["bump+stripes", "sos+stripes"])
def test_training_step_draw_has_stripe_share(share, family):
    data = {"family": family, "subsample": 0.2}
    _, labels, _, _, dataset, _ = batches_of(data=data, training=MANY | {"stripe_share": share})
    bound = 4.5 * math.sqrt(share * (1 - share) / len(labels))
    assert stripes_among(labels) == pytest.approx(share, abs=bound)
    # Within either part the draw is uniform.
    uniform_within(labels, dataset.labels[: dataset.samples_2d])
    uniform_within(labels, dataset.labels[dataset.samples_2d :])


def uniform_within(labels, part):
    """Assert that the labels of a part were drawn equally often, by chi-squared."""
    drawn = [tuple(label) for label in labels.numpy().astype(np.float32)]
    counts = dict.fromkeys((tuple(label) for label in part.astype(np.float32)), 0)
    for label in drawn:
        if label in counts:
            counts[label] += 1
    observed = np.array(list(counts.values()))
    expected = observed.sum() / len(observed)
    chi_square = ((observed - expected) ** 2 / expected).sum()
    freedom = len(observed) - 1
    assert abs(chi_square - freedom) < 4.5 * math.sqrt(2 * freedom)


@pytest.mark.parametrize("family", ["bump", "bump+stripes", "stripes"])
def test_training_step_draw_uniform_by_default(family):
    data = {"family": family, "subsample": 0.5}
    _, labels, _, _, dataset, _ = batches_of(data=data, training=MANY)
    uniform_within(labels, dataset.labels)
    known = {tuple(label) for label in dataset.labels.astype(np.float32)}
    assert {tuple(label) for label in labels.numpy()} <= known


@pytest.mark.parametrize("family", ["bump", "stripes"])
def test_training_step_draw_one_kind_ignores_stripe_share(family):
    data = {"family": family}
    _, labels, _, _, _, _ = batches_of(data=data, training={"stripe_share": 0.3})
    assert stripes_among(labels) == (1.0 if family == "stripes" else 0.0)


def test_training_step_draw_times_noise_and_images():
    x_0, labels, t, noise, _, settings = batches_of(
        training=MANY, diffusion={"timesteps": 10, "sampling_steps": 1}
    )
    counts = np.bincount(t, minlength=10)
    assert len(counts) == 10
    assert ((counts - 1000) ** 2 / 1000).sum() < 9 + 4.5 * math.sqrt(18)
    n = noise.numel()
    assert abs(float(noise.double().mean())) < 4.5 / math.sqrt(n)
    assert abs(float(noise.double().var()) - 1) < 4.5 * math.sqrt(2 / n)
    assert torch.equal(x_0[:500], to_model(render(labels[:500], settings.data)))


# --- short of memory --------------------------------------------------------------------------


@pytest.mark.parametrize("parts", [2, 3, 8])
@in_float64()
def test_training_step_learn_in_parts_has_whole_gradient(parts):
    settings = settings_of(training={"batch_size": 8})
    found = []
    for count in (1, parts):
        step = training_step(settings)
        step.parts, gradients = count, []
        step.state.learn = gradients.append
        found.append((step.learn(), gradients[0]))
    (loss, gradient), (loss_in_parts, gradient_in_parts) = found
    assert float(loss_in_parts) == pytest.approx(float(loss), rel=EXACT)
    assert (gradient_in_parts - gradient).norm() < EXACT * gradient.norm()


def short_of_memory(monkeypatch, images):
    """Let the network raise for more images, as a GPU whose memory they exceed."""
    forward = UNet.forward

    def limited(self, x, t, labels):
        if len(x) > images:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(self, x, t, labels)

    monkeypatch.setattr(UNet, "forward", limited)


@in_float64()
def test_packed_training_splits_batch_that_does_not_fit(monkeypatch):
    settings = settings_of(training={"batch_size": 8})
    plain = training_step(settings)
    losses = [float(PackedTraining([plain]).step()) for _ in range(3)]
    short_of_memory(monkeypatch, 3)
    split = training_step(settings)
    found = [float(PackedTraining([split]).step()) for _ in range(3)]
    assert split.parts == 4
    assert found == pytest.approx(losses, rel=EXACT)
    assert torch.equal(split.state.generator.get_state(), plain.state.generator.get_state())
    assert split.state.step == 3


def test_packed_training_raises_without_memory_for_one_image(monkeypatch):
    step = training_step(settings_of())
    short_of_memory(monkeypatch, 0)
    with pytest.raises(torch.OutOfMemoryError):
        PackedTraining([step]).step()
    assert step.state.step == 0
