"""The diffusion process against `diffusers`, including whole trajectories, and known laws."""

import math

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler
from diffusers.schedulers import scheduling_ddpm
from hypothesis import example, given
from hypothesis import strategies as st

from factorlab.config import DiffusionSettings
from factorlab.model.diffusion import Diffusion, SampleNoise, cumulative_alphas
from tests.helpers.rounding import EXACT, gamma, in_float64

SIDE = 6
SEEDS = [3, 14, 159, 2653]
LABELS = torch.tensor([[1.0, 2.0], [3.5, 1.0], [6.0, 6.0], [2.25, 4.5]])
DIFFUSERS_NAMES = {
    "linear": "linear", "cosine": "squaredcos_cap_v2", "noise": "epsilon", "v": "v_prediction",
}  # fmt: skip


def denoiser(x, t, labels):
    """Return a smooth function of all inputs of a denoiser."""
    shift = (labels.sum(1) / 10 + t / 700)[:, None, None, None]
    return 0.9 * torch.sin(1.3 * x + shift) + 0.1 * x.roll(1, dims=-1)


def scheduler_of(kind, settings, **options):
    """Return the scheduler of `diffusers` for the same process."""
    return kind(
        num_train_timesteps=settings.timesteps,
        beta_start=1e-4,
        beta_end=0.02,
        beta_schedule=DIFFUSERS_NAMES[settings.schedule],
        prediction_type=DIFFUSERS_NAMES[settings.prediction],
        timestep_spacing="trailing",
        clip_sample=True,
        clip_sample_range=1.0,
        **options,
    )


def ready(scheduler, settings):
    """Return the scheduler with our cumulative alphas, so that it samples in float64.

    `test_cumulative_alphas_match_diffusers` compares them with its own.
    """
    scheduler.alphas_cumprod = cumulative_alphas(settings)
    scheduler.one = scheduler.final_alpha_cumprod = torch.ones((), dtype=torch.float64)
    scheduler.set_timesteps(settings.sampling_steps)
    return scheduler


def diffusion_of(settings):
    """Return a diffusion process with ``abar`` in float64."""
    diffusion = Diffusion(settings)
    diffusion.abar = cumulative_alphas(settings)
    return diffusion


@pytest.mark.parametrize("timesteps", [10, 100, 1000])
@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_cumulative_alphas_match_diffusers(schedule, timesteps):
    settings = DiffusionSettings(timesteps=timesteps, schedule=schedule, sampling_steps=1)
    ours = cumulative_alphas(settings)
    scheduler = scheduler_of(DDPMScheduler, settings)
    theirs, beta = scheduler.alphas_cumprod.double(), scheduler.betas.double()
    assert ours.shape == (timesteps,)
    # Theirs are float32. A beta, interpolated between two ends, has at most four roundings; they
    # count beta / (1 - beta) times in 1 - beta. Each factor and each product adds one.
    roundings = torch.cumsum(2 + 4 * beta / (1 - beta), dim=0)
    assert ((ours - theirs).abs() <= gamma(roundings) * theirs).all()


def test_diffusion_abar_is_cumulative_alphas_in_float32():
    settings = DiffusionSettings(timesteps=1000)
    table = Diffusion(settings).abar
    assert torch.equal(table, cumulative_alphas(settings).float())


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_cumulative_alphas_are_products_of_betas(schedule):
    T, product, expected = 50, 1.0, []
    for t in range(T):
        if schedule == "linear":
            beta = 1e-4 + (0.02 - 1e-4) * t / (T - 1)
        else:
            f = [math.cos((s / T + 0.008) / 1.008 * math.pi / 2) ** 2 for s in (t, t + 1)]
            beta = min(1 - f[1] / f[0], 0.999)
        product *= 1 - beta
        expected.append(product)
    settings = DiffusionSettings(timesteps=T, schedule=schedule)
    np.testing.assert_allclose(cumulative_alphas(settings), expected, rtol=EXACT)


def test_diffusion_add_noise_mixes_by_share():
    diffusion = Diffusion(DiffusionSettings(timesteps=7, sampling_steps=1))
    x_0, noise = torch.randn(2, 7, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    x_t = diffusion.add_noise(x_0, torch.arange(7), noise)
    abar = cumulative_alphas(diffusion.settings)
    for t in range(7):
        signal, spread = math.sqrt(abar[t]), math.sqrt(1 - abar[t])
        expected = signal * x_0[t].double() + spread * noise[t].double()
        # Roundings: abar, 1 - abar, its root, the product, the sum. That of abar is 1 / (1 - abar)
        # times as large in 1 - abar.
        size = signal * x_0[t].abs() + spread * noise[t].abs()
        assert ((x_t[t] - expected).abs() <= gamma(4 + 1 / (1 - abar[t])) * size).all()


times = st.lists(st.integers(0, 999), min_size=1, max_size=8)


def batch_at(t, seed=0):
    g = torch.Generator().manual_seed(seed)
    x_0 = torch.rand(len(t), 1, SIDE, SIDE, generator=g) * 2 - 1
    noise = torch.randn(len(t), 1, SIDE, SIDE, generator=g)
    return x_0, torch.zeros(len(t), 2), torch.tensor(t), noise


@given(times, st.integers(0, 99))
def test_diffusion_loss_zero_for_exact_noise(t, seed):
    diffusion = Diffusion(DiffusionSettings(prediction="noise"))
    x_0, labels, t, noise = batch_at(t, seed)
    assert diffusion.loss(lambda *_: noise, x_0, labels, t, noise) == 0


@given(times, st.integers(0, 99))
@in_float64()
def test_diffusion_loss_zero_for_exact_v(t, seed):
    """``x_0 = signal x_t - spread v`` (Salimans and Ho 2022, appendix D), solved for v."""
    diffusion = diffusion_of(DiffusionSettings(prediction="v"))
    x_0, labels, t, noise = batch_at(t, seed)
    abar = diffusion.abar[t].view(-1, 1, 1, 1)

    def perfect(x_t, t, labels):
        return (abar.sqrt() * x_t - x_0) / (1 - abar).sqrt()

    loss = diffusion.loss(perfect, x_0, labels, t, noise)
    assert loss < EXACT**2
    off = diffusion.loss(lambda *a: perfect(*a) + 0.1, x_0, labels, t, noise)
    assert float(off) == pytest.approx(0.01, rel=EXACT)


@given(times, st.integers(0, 99))
@in_float64()
def test_diffusion_target_v_recovers_image_and_noise(t, seed):
    diffusion = diffusion_of(DiffusionSettings(prediction="v"))
    x_0, labels, t, noise = batch_at(t, seed)
    seen = {}

    def spy(x_t, t, labels):
        seen["x_t"] = x_t
        seen["prediction"] = torch.zeros_like(x_t).requires_grad_()
        return seen["prediction"]

    # The target follows from the gradient of the squared error at a prediction of zero.
    diffusion.loss(spy, x_0, labels, t, noise).backward()
    v = -seen["prediction"].grad * x_0.numel() / 2
    abar = diffusion.abar[t].view(-1, 1, 1, 1)
    signal, spread = abar.sqrt(), (1 - abar).sqrt()
    torch.testing.assert_close(signal * seen["x_t"] - spread * v, x_0, atol=EXACT, rtol=0)
    torch.testing.assert_close(spread * seen["x_t"] + signal * v, noise, atol=EXACT, rtol=0)


@in_float64()
def test_diffusion_loss_is_mean_square_over_pixels():
    diffusion = diffusion_of(DiffusionSettings())
    x_0, labels, t, noise = batch_at([0, 500, 999])
    loss = diffusion.loss(lambda x, *_: torch.zeros_like(x), x_0, labels, t, noise)
    assert float(loss) == pytest.approx(float(noise.square().mean()), rel=EXACT)


@pytest.mark.parametrize("prediction", ["noise", "v"])
@pytest.mark.parametrize("schedule", ["linear", "cosine"])
@pytest.mark.parametrize("timesteps", [50, 200])
@in_float64()
def test_diffusion_sample_eta_one_matches_ddpm_of_diffusers(
    prediction, schedule, timesteps, monkeypatch
):
    settings = DiffusionSettings(
        timesteps=timesteps,
        sampling_steps=timesteps,
        eta=1.0,
        prediction=prediction,
        schedule=schedule,
    )
    scheduler = scheduler_of(DDPMScheduler, settings, variance_type="fixed_small")
    scheduler = ready(scheduler, settings)
    noise = SampleNoise(SEEDS, SIDE, "cpu")
    monkeypatch.setattr(scheduling_ddpm, "randn_tensor", lambda *_, **__: noise.draw())
    x = noise.draw()
    for t in scheduler.timesteps:
        output = denoiser(x, t.expand(len(x)), LABELS)
        x = scheduler.step(output, t, x).prev_sample
    ours = diffusion_of(settings).sample(denoiser, LABELS, SEEDS, SIDE)
    torch.testing.assert_close(ours, x, atol=EXACT, rtol=0)


@pytest.mark.parametrize("prediction", ["noise", "v"])
@pytest.mark.parametrize("schedule", ["linear", "cosine"])
@pytest.mark.parametrize("eta", [0.0, 0.5])
@pytest.mark.parametrize(("timesteps", "steps"), [(1000, 20), (1000, 50), (60, 60)])
@in_float64()
def test_diffusion_sample_smaller_eta_matches_ddim_of_diffusers(
    prediction, schedule, eta, timesteps, steps
):
    settings = DiffusionSettings(
        timesteps=timesteps, sampling_steps=steps, eta=eta, prediction=prediction, schedule=schedule
    )
    scheduler = scheduler_of(DDIMScheduler, settings, set_alpha_to_one=True)
    scheduler = ready(scheduler, settings)
    assert Diffusion(settings).sampling_times() == scheduler.timesteps.tolist()
    noise = SampleNoise(SEEDS, SIDE, "cpu")
    x = noise.draw()
    for t in scheduler.timesteps:
        output = denoiser(x, t.expand(len(x)), LABELS)
        x = scheduler.step(
            output,
            t,
            x,
            eta=eta,
            use_clipped_model_output=True,
            variance_noise=noise.draw() if eta > 0 else None,
        ).prev_sample
    ours = diffusion_of(settings).sample(denoiser, LABELS, SEEDS, SIDE)
    torch.testing.assert_close(ours, x, atol=EXACT, rtol=0)


@given(st.integers(2, 2000).flatmap(lambda T: st.tuples(st.just(T), st.integers(1, T))))
@example((1000, 61))  # 1000 / (1000 / 61) is a little more than 61 in float64
@example((50, 31))
def test_diffusion_sampling_times_fall_evenly_from_last(timesteps_and_steps):
    T, steps = timesteps_and_steps
    settings = DiffusionSettings(timesteps=T, sampling_steps=steps)
    visited = Diffusion(settings).sampling_times()
    assert len(visited) == steps
    assert visited[0] == T - 1
    assert min(visited) >= 0
    assert (np.diff(visited) < 0).all()
    # Trailing spacing: t + 1 is the whole number nearest to T (1 - k / steps). Both sides are
    # multiplied by `steps`. Halves may go either way, because T k / steps is rounded.
    exact = T * (steps - np.arange(steps))
    assert (2 * np.abs((np.array(visited) + 1) * steps - exact) <= steps).all()


@pytest.mark.parametrize("prediction", ["noise", "v"])
@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_diffusion_sample_gaussian_with_exact_denoiser(prediction, eta):
    """Samples of data N(m, s^2) with the exact denoiser follow N(m, s^2).

    E[x_0 | x_t] = m + signal s^2 (x_t - signal m) / (signal^2 s^2 + spread^2). The data lie so far
    inside [-1, 1] that nothing is clipped.
    """
    m, s = 0.1, 0.18
    settings = DiffusionSettings(sampling_steps=1000, eta=eta, prediction=prediction)
    abar = cumulative_alphas(settings).float()

    def exact(x_t, t, labels):
        a = abar[t].view(-1, 1, 1, 1)
        signal, spread = a.sqrt(), (1 - a).sqrt()
        x_0 = m + signal * s**2 * (x_t - signal * m) / (a * s**2 + 1 - a)
        noise = (x_t - signal * x_0) / spread
        return noise if prediction == "noise" else signal * noise - spread * x_0

    seeds = list(range(40))
    x = Diffusion(settings).sample(exact, torch.zeros(40, 2), seeds, side=20).double()
    count = x.numel()  # 16,000 independent pixels
    assert abs(float(x.mean()) - m) < 4.5 * s / math.sqrt(count)
    # Each step is affine in x, so the variance is known. It falls short of s^2 by up to 4 %,
    # because the steps are finite.
    variance, levels = 1.0, cumulative_alphas(settings).flip(0).tolist()
    for a, after in zip(levels, [*levels[1:], 1.0], strict=True):
        x_0 = a**0.5 * s**2 / (a * s**2 + 1 - a)  # slope of E[x_0 | x_t]
        noise = (1 - a**0.5 * x_0) / (1 - a) ** 0.5
        fresh = eta**2 * (1 - after) / (1 - a) * (1 - a / after)
        variance *= (after**0.5 * x_0 + (1 - after - fresh) ** 0.5 * noise) ** 2
        variance += fresh
    assert 0.95 * s**2 < variance < s**2
    assert abs(float(x.std()) / variance**0.5 - 1) < 4.5 / math.sqrt(2 * count)


@given(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3), st.sampled_from(["noise", "v"]))
def test_diffusion_sample_stays_in_image_range(slope, offset, prediction):
    settings = DiffusionSettings(sampling_steps=4, eta=0.5, prediction=prediction)
    x = Diffusion(settings).sample(
        lambda x, *_: slope * x + offset, LABELS, SEEDS, SIDE
    )  # fmt: skip
    assert x.abs().max() <= 1


@pytest.mark.parametrize("steps", [1, 7, 61, 100])
@pytest.mark.parametrize("eta", [0.0, 1.0])
@in_float64()
def test_diffusion_sample_with_known_image_draws_it(steps, eta):
    settings = DiffusionSettings(sampling_steps=steps, eta=eta, prediction="v")
    image = torch.rand(4, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(0)) * 2 - 1
    diffusion = diffusion_of(settings)

    def knowing(x_t, t, labels):
        assert (t >= 0).all()
        a = diffusion.abar[t].view(-1, 1, 1, 1)
        return (a.sqrt() * x_t - image) / (1 - a).sqrt()

    x = diffusion.sample(knowing, LABELS, SEEDS, SIDE)
    torch.testing.assert_close(x, image, atol=EXACT, rtol=0)


@pytest.mark.parametrize("eta", [0.0, 1.0])
@in_float64()
def test_diffusion_sample_independent_of_batch(eta):
    diffusion = Diffusion(DiffusionSettings(sampling_steps=10, eta=eta))
    together = diffusion.sample(denoiser, LABELS, SEEDS, SIDE)
    alone = [
        diffusion.sample(denoiser, LABELS[k : k + 1], SEEDS[k : k + 1], SIDE) for k in range(4)
    ]
    torch.testing.assert_close(torch.cat(alone), together, atol=EXACT, rtol=0)
    backwards = diffusion.sample(denoiser, LABELS.flip(0), SEEDS[::-1], SIDE)
    torch.testing.assert_close(backwards.flip(0), together, atol=EXACT, rtol=0)
    changed = diffusion.sample(denoiser, LABELS, [*SEEDS[:3], 9], SIDE)
    torch.testing.assert_close(changed[:3], together[:3], atol=EXACT, rtol=0)
    assert not torch.allclose(changed[3], together[3])


@given(st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=5, unique=True))
def test_sample_noise_drawn_from_each_seed(seeds):
    noise = SampleNoise(seeds, 5, "cpu")
    draws = torch.stack([noise.draw() for _ in range(3)])
    assert draws.shape == (3, len(seeds), 1, 5, 5)
    for k, seed in enumerate(seeds):
        g = torch.Generator().manual_seed(seed)
        expected = torch.stack([torch.randn(1, 5, 5, generator=g) for _ in range(3)])
        assert torch.equal(draws[:, k], expected)


def test_diffusion_sample_leaves_no_trace():
    before = torch.get_rng_state()
    weight = torch.ones((), requires_grad=True)
    diffusion = Diffusion(DiffusionSettings(sampling_steps=3, eta=1.0))
    x = diffusion.sample(lambda x, *_: weight * x, LABELS, SEEDS, SIDE)
    assert not x.requires_grad
    assert torch.equal(torch.get_rng_state(), before)
