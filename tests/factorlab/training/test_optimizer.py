"""AdamW and its schedules against PyTorch's."""

import subprocess
import sys
from dataclasses import astuple

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from factorlab.config import TrainingSettings
from factorlab.training import optimizer
from factorlab.training.optimizer import (
    AdamW,
    CoefficientTable,
    adamw_coefficients,
    schedule_values,
)
from tests.helpers.rounding import DOUBLE, EXACT, SINGLE, gamma


def reference(weights, settings):
    """Return the optimizer and the scheduler of PyTorch."""
    theirs = torch.optim.AdamW(
        [weights], lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    if settings.schedule == "constant":
        return theirs, torch.optim.lr_scheduler.ConstantLR(theirs, factor=1.0)
    return theirs, torch.optim.lr_scheduler.OneCycleLR(
        theirs, max_lr=settings.learning_rate, total_steps=settings.steps
    )


@given(
    steps=st.integers(1, 60),
    schedule=st.sampled_from(["one_cycle", "constant"]),
    rate=st.floats(1e-5, 1.0),
    decay=st.sampled_from([0.0, 0.01, 0.3]),
    seed=st.integers(0, 2**31),
)
def test_adamw_matches_pytorch(steps, schedule, rate, decay, seed):
    settings = TrainingSettings(
        steps=steps, schedule=schedule, learning_rate=rate, weight_decay=decay
    )
    g = torch.Generator().manual_seed(seed)
    weights = torch.randn(11, generator=g, dtype=torch.float64)
    theirs = weights.clone().requires_grad_()
    ours, (adamw, scheduler) = AdamW(weights), reference(theirs, settings)
    for step in range(steps):
        group, now = adamw.param_groups[0], schedule_values(settings, step)
        # The last rate, 4e-6 of the peak, is a difference of numbers as large as the peak.
        assert now.learning_rate == pytest.approx(group["lr"], rel=gamma(20, DOUBLE) / 4e-6)
        assert now.beta_1 == pytest.approx(group["betas"][0], rel=gamma(20, DOUBLE))
        gradient = torch.randn(11, generator=g, dtype=torch.float64)
        theirs.grad = gradient.clone()
        adamw.step()
        scheduler.step()
        ours.update(weights, gradient, adamw_coefficients(settings, step))
        np.testing.assert_allclose(weights, theirs.detach(), rtol=0, atol=EXACT)


def test_adamw_update_independent_of_block_size(monkeypatch):
    settings, trained = TrainingSettings(steps=5), []
    for block in (2**17, 64):
        monkeypatch.setattr(optimizer, "CACHED", block)
        g = torch.Generator().manual_seed(0)
        weights = torch.randn(1001, generator=g)
        ours = AdamW(weights)
        for step in range(5):
            ours.update(weights, torch.randn(1001, generator=g), adamw_coefficients(settings, step))
        trained.append(weights)
    assert torch.equal(*trained)


def test_coefficient_table_holds_every_step():
    settings = TrainingSettings(steps=7)
    table = CoefficientTable(settings, torch.device("cpu"))
    for step in [*range(7), 3, 4]:
        if step == 3:
            table.seek(3)
        found = [float(value) for value in astuple(table.take())]
        assert found == pytest.approx(astuple(adamw_coefficients(settings, step)), rel=SINGLE)


def test_training_state_does_not_import_compiler():
    # The compiler would add 2.7 s to the start of every worker.
    code = (
        "import sys, torch\n"
        "from factorlab.parsing import parse; from factorlab.training.step import TrainingState\n"
        "TrainingState(parse({'model': {'width': 4}}), torch.device('cpu'))\n"
        "print('torch.optim' in sys.modules, 'torch._dynamo' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["True", "False"]
