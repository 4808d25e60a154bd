"""On a GPU: bit-identical alone, packed, stopped and as CUDA graphs; close to a CPU."""

import gc
import warnings

import pytest
import torch

from factorlab.data.dataset import build
from factorlab.device import resolve_device
from factorlab.evaluation import evaluator
from factorlab.evaluation.evaluator import Evaluator
from factorlab.model import cuda_graph
from factorlab.model.diffusion import Diffusion
from factorlab.model.unet import UNet
from factorlab.parsing import parse
from factorlab.training.packed import PackedTraining
from factorlab.training.step import TrainingState
from factorlab.trial import Trial, run_together
from factorlab.trial_runner import ProgressEvent, TrialRunner
from tests.helpers.settings import updated
from tests.helpers.training import CPU, training_step

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.fixture(scope="module", autouse=True)
def gpu():
    yield resolve_device("cuda")
    torch.use_deterministic_algorithms(mode=False)


def settings_of(seed=0, size=9, **changes):
    """Return a small run on the GPU. Other seeds change other settings, too."""
    settings = {
        "seed": seed,
        "device": "cuda",
        "data": {"size": size, "spacing": 1.0, "sigma": 0.8 + 0.1 * seed},
        "model": {"width": 8},
        "diffusion": {"prediction": ["v", "noise"][seed % 2], "sampling_steps": 4},
        "training": {
            "steps": 30 + 5 * seed,
            "batch_size": 16,
            "learning_rate": 1e-3 * (seed + 1),
            "ema": [0.0, 0.9][seed % 2],
            "checkpoint_every": 10,
            "log_every": 5,
        },
        "evaluation": {"samples": 10, "loss_samples": 16, "keep": 1, "batch_size": 8},
    }
    return parse(updated(settings, **changes))


def outcome(trial):
    """Return what must not depend on how a trial is trained."""
    result = trial.record.result()
    points = [(point.step, point.metrics) for point in trial.record.points()[0]]
    return result["weights_sha256"], result["metrics"], points


def test_trial_bit_identical_alone_packed_and_stopped(tmp_path):
    def trials(name):
        return [Trial(settings_of(seed), tmp_path / name) for seed in range(4)]

    alone, packed = trials("alone"), trials("packed")
    for trial in alone:
        for _ in trial.run():
            pass
    assert sum(isinstance(event, ProgressEvent) for event in run_together(packed)) == 150
    for stop in (3, 70, 96):
        events = run_together(trials("stopped"))
        for count, _ in enumerate(events):
            if count == stop:
                events.close()
    list(run_together(trials("stopped")))
    for one, other, third in zip(alone, packed, trials("stopped"), strict=True):
        assert outcome(one) == outcome(other) == outcome(third)


@pytest.mark.parametrize("precision", [True, False])
def test_cuda_graph_computes_what_it_recorded(monkeypatch, gpu, precision):
    settings = settings_of(training={"mixed_precision": precision, "ema": 0.9})

    def trained(calls):
        monkeypatch.setattr(cuda_graph, "WARM_UP", calls)
        step = training_step(settings, gpu)
        pack = PackedTraining([step])
        losses = torch.stack([pack.step() for _ in range(12)])
        state = step.state
        return losses, state.weights, state.average, state.generator.get_state()

    for found, expected in zip(trained(2), trained(12), strict=True):
        assert torch.equal(found, expected)


def test_packed_training_step_does_not_wait_for_host(gpu):
    pack = PackedTraining([training_step(settings_of(seed), gpu) for seed in range(2)])
    for _ in range(cuda_graph.WARM_UP + 1):
        pack.step()
    torch.cuda.synchronize()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the mode is a prototype
            torch.cuda.set_sync_debug_mode("error")
        losses = pack.step()  # raises where it waits
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert losses.shape == (2,)
    assert losses.isfinite().all()


@pytest.mark.parametrize("size", [8, 9, 13])
def test_unet_matches_cpu(monkeypatch, gpu, size):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = UNet(settings_of().model)
        x, labels = torch.randn(4, 1, size, size), torch.rand(4, 2) * size
    t = torch.tensor([1, 50, 100, 999])

    def computed(device):
        network = UNet(settings_of().model).to(device)
        network.load_state_dict(model.state_dict())
        predicted = network(x.to(device), t.to(device), labels.to(device))
        gradients = torch.autograd.grad(predicted.square().mean(), [*network.parameters()])
        return torch.cat([predicted.flatten(), *(g.flatten() for g in gradients)]).cpu()

    expected = computed(CPU)
    # In float32 168 roundings in a row add up to 1e-5.
    assert (computed(gpu) - expected).norm() < 1e-5 * expected.norm()


def test_evaluator_bit_identical_with_cuda_graph(monkeypatch, gpu):
    settings = settings_of(diffusion={"sampling_steps": 6})
    dataset, diffusion = build(settings.data, 0), Diffusion(settings.diffusion, gpu)
    model = TrainingState(settings, gpu).model
    recorded = Evaluator(settings, dataset, diffusion, gpu).evaluate(model)
    monkeypatch.setattr(evaluator, "with_cuda_graph", lambda work, _: work)
    plain = Evaluator(settings, dataset, diffusion, gpu).evaluate(model)
    assert recorded.metrics == plain.metrics
    assert (recorded.images == plain.images).all()


def test_packed_training_lowers_loss_as_on_cpu(gpu):
    settings = settings_of(size=8, training={"steps": 150, "learning_rate": 3e-3})
    ends = []
    for device in (gpu, CPU):
        pack = PackedTraining([training_step(settings, device)])
        losses = torch.stack([pack.step()[0] for _ in range(150)]).cpu()
        # Without training a batch's loss varies by 6 %, and this ratio by 0.06 (2 / 30)^(1 / 2).
        assert losses[-30:].mean() < 0.6 * losses[:30].mean()
        ends.append(float(losses[-30:].mean()))
    # The devices draw different numbers. The losses of batches vary by 15 %, a ratio of two means
    # of 30 by 0.15 (2 / 30)^(1 / 2): four standard errors, beside which bfloat16 is small.
    assert ends[0] == pytest.approx(ends[1], rel=0.15)


def test_packed_training_splits_batch_that_does_not_fit(gpu):
    settings = settings_of(size=16, model={"width": 32}, training={"batch_size": 1024})

    def stepped(count):
        step = training_step(settings, gpu)
        pack = PackedTraining([step])
        return [float(pack.step()) for _ in range(count)], step.parts

    losses, _ = stepped(2)
    gc.collect()
    torch.cuda.empty_cache()
    before, needed = torch.cuda.memory_reserved(), torch.cuda.max_memory_allocated()
    total = torch.cuda.get_device_properties(gpu).total_memory
    torch.cuda.set_per_process_memory_fraction((before + 0.6 * (needed - before)) / total)
    try:
        found, parts = stepped(2 * cuda_graph.WARM_UP + 1)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert parts > 1
    # bfloat16 rounds to 2^-9: the bound is ten roundings in a row.
    assert found[:2] == pytest.approx(losses, rel=0.02)


def test_trial_bit_identical_after_one_non_finite_number(tmp_path, monkeypatch):
    straight = Trial(settings_of(), tmp_path / "straight")
    for _ in straight.run():
        pass
    learned, poisoned = TrialRunner.learned, []

    def erring(self, loss, seconds):
        if self.state.step == 17 and not poisoned:
            poisoned.append(self.state.weights.fill_(torch.nan))
            loss = loss * torch.nan
        learned(self, loss, seconds)

    monkeypatch.setattr(TrialRunner, "learned", erring)
    trial = Trial(settings_of(), tmp_path / "erring")
    for _ in trial.run():
        pass
    assert outcome(trial) == outcome(straight)
    assert trial.record.result()["repeated_after_step"] == 20
