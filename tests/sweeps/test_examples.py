"""The example of docs/extending.md: five added files, and no other changes."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples"
PACKAGES = ("factorlab", "percolation", "analysis", "sweeps")
PLACES = {
    "ring.py": "factorlab/families/ring.py",
    "intrinsic.py": "analysis/measures/scalars/intrinsic.py",
    "smoothing.py": "analysis/measures/null_models/smoothing.py",
    "against.py": "analysis/figures/sweep/against.py",
    "rings.yaml": "sweeps/experiments/rings.yaml",
}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of the packages with the files of the example added."""
    folder = tmp_path_factory.mktemp("checkout")
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, folder / package, ignore=ignored)
    for name, place in PLACES.items():  # also if they were copied before
        shutil.copy(EXAMPLES / name, folder / place)
    return folder


def run(checkout, *arguments):
    """Run Python on the copy."""
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


def test_extending_page_names_every_example():
    page = (ROOT / "docs" / "extending.md").read_text()
    for name, place in PLACES.items():
        assert f"examples/{name}" in page
        assert place in page
    assert {path.name for path in EXAMPLES.iterdir()} == set(PLACES)


def test_sweep_of_example_draws_its_figure(checkout):
    ended = run(checkout, "-m", "sweeps.cli.main", "sweep", "rings", "--profile", "smoke")
    assert ended.returncode == 0, ended.stderr
    results = [json.loads(p.read_text()) for p in checkout.glob("runs/trials/*/result.json")]
    assert len(results) == 4
    configs = [json.loads(p.read_text()) for p in checkout.glob("runs/trials/*/config.json")]
    assert {c["config"]["data"]["family"] for c in configs} == {"bump", "ring"}
    drawn = pd.read_csv(checkout / "figures" / "rings" / "against-smoke-trials.csv")
    assert set(drawn["group"]) == {"Bumps", "Rings"}
    assert np.isfinite(drawn["layer4/intrinsic_dimension"]).all()
    cells = pd.read_csv(checkout / "figures" / "rings" / "cells-smoke-cells.csv")
    assert cells["smoothing"].between(0, 1).all()
    exported = run(checkout, "-m", "sweeps.cli.main", "export", "rings", "rings.csv")
    assert exported.returncode == 0, exported.stderr
    table = pd.read_csv(checkout / "rings.csv")
    assert table["null_smoothing"].between(0, 1).all()
    assert (table["null_smoothing"] != table["null_nearest"]).any()


def test_read_finds_labels_of_clean_rings(checkout):
    code = """
import torch
from factorlab import families
from factorlab.config import DataSettings
from factorlab.data.dataset import build
from factorlab.data.rendering import render, to_8_bit, to_model
from factorlab.label_reader import read
for family in ("ring", "ring+stripes"):
    data = DataSettings(family=family, size=16, sigma=1.0)
    lattice = build(data, 0).lattice
    labels = torch.from_numpy(lattice[((lattice >= 4) & (lattice <= 13)).all(axis=1)])
    images = to_8_bit(to_model(render(labels, data))).numpy()
    print(abs(read(images, families.of(family).READ).labels - labels.numpy()).max())
"""
    ended = run(checkout, "-c", code)
    assert ended.returncode == 0, ended.stderr
    # Each edge of the outline's box is rounded inwards by less than a pixel; a label is their mean.
    assert [float(line) < 0.5 for line in ended.stdout.split()] == [True, True]


def test_intrinsic_dimension_of_circles_and_tori(checkout):
    code = """
import numpy as np
from types import SimpleNamespace
from analysis.measures.scalars import intrinsic
rng = np.random.default_rng(0)
for dimension in (1, 2, 3):
    angles = rng.uniform(0, 2 * np.pi, size=(3000, dimension))
    torus = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
    measures = SimpleNamespace(principal=SimpleNamespace(scores=torus))
    print(intrinsic.scalars(measures)["intrinsic_dimension"])
"""
    ended = run(checkout, "-c", code)
    assert ended.returncode == 0, ended.stderr
    found = [float(line) for line in re.findall(r"[\d.]+", ended.stdout)]
    # Three standard errors of 1 / sqrt(19 * 3000) are 1.3 %. In three dimensions the twentieth
    # neighbour is 0.73 away, where chords fall short of arcs by 0.73^2 / 24 = 2.2 %.
    np.testing.assert_allclose(found, [1, 2, 3], rtol=0.04)
