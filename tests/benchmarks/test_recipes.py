"""Reports of the benchmarks of recipes and of sampling."""

from itertools import pairwise

import pandas as pd
import pytest

from factorlab.config import RunSettings
from tests.benchmarks import sampling, time_to_accuracy
from tests.benchmarks.time_to_accuracy import Run


def run_of(recipe, accuracy, train):
    return Run(recipe, 8, 100, train, 1.0, accuracy, ceiling=0.8)


@pytest.mark.parametrize("recipe", ["published", "papers", "ours"])
@pytest.mark.parametrize("size", [8, 16, 32])
def test_settings_of_recipe_is_a_run(recipe, size):
    run = time_to_accuracy.settings_of(recipe, size, 0, 10)
    assert isinstance(run, RunSettings)
    if recipe != "ours":
        assert run.diffusion.sampling_steps == run.diffusion.timesteps == 1000
        assert (run.diffusion.prediction, run.diffusion.eta) == ("noise", 1)


def test_run_reached_is_a_share_of_the_ceiling():
    assert run_of("ours", 0.73, 9).reached
    assert not run_of("ours", 0.71, 9).reached


def test_looks_widen_and_end_at_last_step():
    steps = list(time_to_accuracy.looks(100, 1000))
    gaps = [b - a for a, b in pairwise(steps)]
    assert steps[0] == 100
    assert steps[-1] == 1000
    assert gaps[:-1] == sorted(gaps[:-1])


def test_measurements_and_remarks_of_run_given_up():
    ours, slow = run_of("ours", 0.8, 9), run_of("papers", 0.1, 99)
    quantities = {m.quantity: m.value for m in time_to_accuracy.measurements(slow, ours)}
    assert quantities["factor more than"] == 10
    assert "factor" not in quantities
    assert "lower bounds" in time_to_accuracy.remarks(slow, ours)[0]
    done = run_of("papers", 0.8, 99)
    quantities = {m.quantity: m.value for m in time_to_accuracy.measurements(done, ours)}
    assert quantities["factor"] == 10
    assert time_to_accuracy.remarks(done, ours) == []


def row(sampler, steps, right):
    model = {"prediction": "v", "size": 8, "train_seconds": 9.0, "evaluate_seconds": 1.0}
    return model | {"sampler": sampler, "steps": steps, "right": right}


def test_summary_compares_samplers_image_by_image():
    ddpm = row("DDPM", 1000, [True] * 90 + [False] * 10)
    same = row("DDIM", 10, [True] * 90 + [False] * 10)
    few = row("DDIM", 3, [True] * 85 + [False] * 15)
    table = sampling.summary([few, same, ddpm])
    assert table["accuracy"].tolist() == pytest.approx([85, 90, 90])
    assert table["minus_ddpm"].tolist() == pytest.approx([-5, 0, 0])
    assert table["minus_ddpm_se"].tolist() == pytest.approx(
        [100 * (0.05 * 0.95 / 100) ** 0.5, 0, 0]
    )
    assert sampling.fewest(table)["steps"].tolist() == [10]
    shares = [m for m in sampling.measurements(table) if "share" in m.quantity]
    assert [m.value for m in shares] == pytest.approx([10])


def test_draw_shows_every_sampler():
    rows = [row(s, n, [True, False]) for s in ("DDIM", "short DDPM") for n in (3, 10)]
    table = sampling.summary([*rows, row("DDPM", 1000, [True, True])])
    assert isinstance(table, pd.DataFrame)
    assert len(sampling.draw(table).axes) == 1
