"""Kept activations: outputs of the right call, complete, in the order of the labels."""

import numpy as np
import pytest
import torch

from factorlab.data.rendering import render
from factorlab.errors import UserError
from factorlab.evaluation.activations import collect, grid_labels, of_untrained_network, read
from factorlab.model.diffusion import Diffusion
from factorlab.model.unet import LAYERS, UNet, capture_activations
from factorlab.seeding import Stream, integer
from factorlab.storage.files import DamagedFile
from factorlab.storage.record import Record, identify
from factorlab.training.step import TrainingState
from factorlab.trial import Trial
from tests.helpers.open_files import open_below
from tests.helpers.rounding import EXACT, HALF, SINGLE, in_float64
from tests.helpers.settings import tiny_run


def settings_of(representations=None, data=None, evaluation=None):
    return tiny_run(
        data=data or {},
        diffusion={"sampling_steps": 3},
        training={"checkpoint_every": 1},
        evaluation={"at": [0, 2], "batch_size": 5} | (evaluation or {}),
        representations={"layers": ["layer4"], "grid": 3} | (representations or {}),
    )


def model_of(settings):
    torch.manual_seed(0)
    return UNet(settings.model)


@pytest.mark.parametrize("time", [0, 500])
@in_float64()
def test_collect_matches_activations_of_sampled_images(tmp_path, time):
    settings = settings_of({"layers": ["layer1", "layer4"], "time": time})
    model, diffusion = model_of(settings), Diffusion(settings.diffusion)
    record = Record(tmp_path, "k")
    collect(settings, diffusion, model, record.representations, 7)
    labels = torch.from_numpy(grid_labels(settings)).float()
    seeds, others = (
        [integer(settings.seed, Stream.REPRESENTATIONS, i, k) for i in range(9)] for k in (0, 1)
    )
    x_0 = diffusion.sample(model, labels, seeds, 6)  # all in one batch
    noise = torch.stack([torch.randn(1, 6, 6, generator=seeded(seed)) for seed in others])
    abar = diffusion.abar[time]
    outputs = {}
    with capture_activations(
        model, ["layer1", "layer4"], lambda name, out: outputs.update({name: out})
    ):
        model(abar.sqrt() * x_0 + (1 - abar).sqrt() * noise, torch.full((9,), time), labels)
    for layer in ("layer1", "layer4"):
        found = read(record.represented()[7], layer)
        assert (found.step, found.sides) == (7, (3, 3))
        np.testing.assert_array_equal(found.labels, grid_labels(settings))
        # Roundings to float32 and to float16, whose smallest step is 2^-24.
        rounded = {"rtol": HALF + SINGLE, "atol": 2**-25 + EXACT}
        np.testing.assert_allclose(found.points, outputs[layer].flatten(1), **rounded)
        assert found.points.dtype == np.float16
        assert isinstance(found.points, np.memmap)


@pytest.mark.parametrize("common", [False, True])
@in_float64()
def test_untrained_network_sees_clean_images_with_the_noise_of_the_samples(tmp_path, common):
    settings = settings_of({"layers": ["layer4"], "times": [300], "common_noise": common})
    model = TrainingState(settings, torch.device("cpu")).model
    record, diffusion = Record(tmp_path, "k"), Diffusion(settings.diffusion)
    collect(settings, diffusion, model, record.representations, 7)
    labels = torch.from_numpy(grid_labels(settings)).float()
    seeds = [
        integer(settings.seed, Stream.REPRESENTATIONS, 0 if common else i, 1) for i in range(9)
    ]
    noise = torch.stack([torch.randn(1, 6, 6, generator=seeded(seed)) for seed in seeds])
    clean = 2 * render(labels, settings.data) - 1
    for name, time in (("layer4", 0), ("layer4-t300", 300)):
        abar = diffusion.abar[time]
        noisy = abar.sqrt() * clean + (1 - abar).sqrt() * noise
        outputs = []
        with capture_activations(model, ["layer4"], lambda _, out, to=outputs: to.append(out)):
            model(noisy, torch.full((9,), time), labels)
        saved = read(record.represented()[7], name)
        assert (saved.time, saved.common_noise) == (time, common)
        found = of_untrained_network(settings, "layer4", saved)
        rounded = {"rtol": HALF + SINGLE, "atol": 2**-25 + EXACT}
        np.testing.assert_allclose(found, outputs[0].detach().flatten(1), **rounded)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def test_collect_at_several_times_equals_collecting_at_each(tmp_path):
    many = settings_of({"layers": ["layer1", "layer4"], "times": [0, 300, 700, 300]})
    model, diffusion = model_of(many), Diffusion(many.diffusion)
    record = Record(tmp_path, "many")
    collect(many, diffusion, model, record.representations, 7)
    names = {f"{layer}{time}" for layer in ("layer1", "layer4") for time in ("", "-t300", "-t700")}
    assert set(record.layers()) == names
    for time in (300, 700):
        one = settings_of({"layers": ["layer1", "layer4"], "time": time})
        single = Record(tmp_path, f"{time}")
        collect(one, diffusion, model, single.representations, 7)
        for layer in ("layer1", "layer4"):
            found = read(record.represented()[7], f"{layer}-t{time}")
            expected = read(single.represented()[7], layer)
            np.testing.assert_array_equal(found.points, expected.points)
            np.testing.assert_array_equal(found.labels, expected.labels)


@in_float64()
def test_common_noise_is_the_same_for_all_labels(tmp_path):
    """At the last time step hardly anything but noise is left of the images."""
    found = {}
    for common in (False, True):
        settings = settings_of({"layers": ["layer0"], "time": 999, "common_noise": common})
        model, diffusion = model_of(settings), Diffusion(settings.diffusion)
        with torch.no_grad():  # the layer sees the image alone, not the label
            for parameter in model.layer0.parameters():
                if parameter.ndim == 2:
                    parameter.zero_()
        record = Record(tmp_path, str(common))
        collect(settings, diffusion, model, record.representations, 1)
        points = np.asarray(read(record.represented()[1], "layer0").points, dtype=float)
        found[common] = np.std(points, axis=0).mean()
    assert found[True] < 0.05 * found[False]


def test_trial_keeps_activations_at_every_evaluation(tmp_path):
    trial, plain = (
        Trial(settings_of({"layers": layers}), tmp_path / str(len(layers)))
        for layers in (["layer4"], [])
    )
    for each in (trial, plain):
        list(each.run())
    assert trial.identity.key == plain.identity.key
    assert trial.record.result()["weights_sha256"] == plain.record.result()["weights_sha256"]
    assert list(trial.record.represented()) == [0, 2, 4]
    assert plain.record.represented() == {}


def test_trial_interrupted_keeps_same_activations(tmp_path):
    straight, stopped = (Trial(settings_of(), tmp_path / name) for name in ("one", "two"))
    list(straight.run())
    for _ in range(4):
        steps = Trial(settings_of(), tmp_path / "two").run()
        next(steps, None)
        steps.close()
    for step, folder in straight.record.represented().items():
        again = stopped.record.represented()[step]
        np.testing.assert_array_equal(read(folder).points, read(again).points)


def test_collect_leaves_no_file_after_error(tmp_path):
    settings = settings_of({"layers": ["layer1", "layer4"]})
    model, record, calls = model_of(settings), Record(tmp_path, "k"), []

    def fail(*_):
        calls.append(1)
        if len(calls) > 4:  # the first batch is three steps of sampling and one more call
            raise KeyError("lost")

    model.layer4.register_forward_pre_hook(fail)
    with pytest.raises(KeyError, match="lost"):
        collect(settings, Diffusion(settings.diffusion), model, record.representations, 0)
    assert open_below(tmp_path) == []
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert record.represented() == {}


def test_grid_labels_lie_evenly_in_evaluated_range():
    def axis(evaluation=None, **data):
        labels = grid_labels(settings_of({"grid": 4}, {"size": 8} | data, evaluation))
        return pytest.approx(sorted(set(labels[:, 0])))

    assert axis() == [2, 3 + 2 / 3, 5 + 1 / 3, 7]
    assert axis(evaluation={"labels": "all"}) == [1, 3 + 1 / 3, 5 + 2 / 3, 8]
    assert axis(periodic=True) == [1, 3, 5, 7]


def test_grid_labels_x_is_slowest():
    labels = grid_labels(settings_of({"grid": 3})).reshape(3, 3, 2)
    assert (labels[1, :, 0] == labels[1, 0, 0]).all()
    assert (labels[:, 1, 1] == labels[0, 1, 1]).all()


def test_read_finds_damage(tmp_path):
    settings = settings_of()
    record = Record(tmp_path, "k")
    diffusion, model = Diffusion(settings.diffusion), model_of(settings)
    collect(settings, diffusion, model, record.representations, 0)
    folder = record.represented()[0]
    with pytest.raises(ValueError, match="layer 'layer0' was not saved; available: layer4"):
        read(folder, "layer0")
    path = folder / "layer4.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedFile, match=r"layer4\.npy"):
        read(folder)
    path.unlink()
    with pytest.raises(DamagedFile, match=r"layer4\.npy"):
        read(folder)
    (folder / "index.json").unlink()
    assert record.represented() == {}


def test_representation_settings_refuse_bad_values():
    for wrong in (
        {"layers": ["layer9"]},
        {"time": 1000},
        {"time": -1},
        {"times": [5, 1000]},
        {"grid": 2},
    ):
        with pytest.raises(UserError, match=r"layer|time|grid"):
            settings_of(wrong)


def test_representation_settings_name_every_layer():
    assert settings_of({"layers": list(LAYERS)}).representations.layers == LAYERS


def test_identify_ignores_representations(tmp_path):
    trial = Trial(settings_of(), tmp_path)
    other = settings_of({"layers": list(LAYERS), "grid": 9})
    assert identify(other, trial.dataset).key == trial.identity.key
    assert isinstance(trial.record, Record)
