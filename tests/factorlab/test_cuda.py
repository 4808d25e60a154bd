"""On a GPU: the same bits alone, together, stopped, recorded or not, and those of a CPU."""

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
from factorlab.training.step import TrainingState, TrainingStep
from factorlab.trial import Trial, run_together
from factorlab.trial_runner import ProgressEvent, TrialRunner

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

CPU = torch.device("cpu")


@pytest.fixture(scope="module", autouse=True)
def gpu():
    yield resolve_device("cuda")
    torch.use_deterministic_algorithms(mode=False)


def settings_of(seed=0, size=9, **changes):
    """Return a small run on the GPU; seeds differ in more than the seed."""
    groups = {
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
    merged = {name: group | changes.get(name, {}) for name, group in groups.items()}
    return parse({"seed": seed, "device": "cuda", **merged})


def learner(settings, device):
    dataset, diffusion = build(settings.data, settings.seed), Diffusion(settings.diffusion, device)
    return TrainingStep(TrainingState(settings, device), settings, dataset, diffusion, device)


def outcome(trial):
    """Return what must not depend on how a trial was trained."""
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
        one = learner(settings, gpu)
        ensemble = PackedTraining([one])
        losses = torch.stack([ensemble.step() for _ in range(12)])
        state = one.state
        return losses, state.weights, state.average, state.generator.get_state()

    for found, expected in zip(trained(2), trained(12), strict=True):
        assert torch.equal(found, expected)


def test_packed_training_step_does_not_wait_for_host(gpu):
    ensemble = PackedTraining([learner(settings_of(seed), gpu) for seed in range(2)])
    for _ in range(cuda_graph.WARM_UP + 1):
        ensemble.step()
    torch.cuda.synchronize()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that this mode is a prototype
            torch.cuda.set_sync_debug_mode("error")
        losses = ensemble.step()  # raises where it waits
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
        slopes = torch.autograd.grad(predicted.square().mean(), [*network.parameters()])
        return torch.cat([predicted.flatten(), *(slope.flatten() for slope in slopes)]).cpu()

    expected = computed(CPU)
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
        ensemble = PackedTraining([learner(settings, device)])
        losses = torch.stack([ensemble.step()[0] for _ in range(150)]).cpu()
        assert losses[-30:].mean() < 0.6 * losses[:30].mean()
        ends.append(float(losses[-30:].mean()))
    assert ends[0] == pytest.approx(ends[1], rel=0.15)  # other random numbers, and bfloat16


def test_packed_training_splits_batch_that_does_not_fit(gpu):
    settings = settings_of(size=16, model={"width": 32}, training={"batch_size": 1024})

    def stepped(count):
        one = learner(settings, gpu)
        ensemble = PackedTraining([one])
        return [float(ensemble.step()) for _ in range(count)], one.parts

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
    assert found[:2] == pytest.approx(losses, rel=0.02)  # bfloat16


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
