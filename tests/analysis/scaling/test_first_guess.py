"""Where theories expect the crossing, against closed forms."""

import numpy as np
import pytest
from scipy.stats import hypergeom

from analysis.measures.null_models.nearest import copied
from analysis.scaling.first_guess import first_guess, nearest_curve, refusal
from factorlab.data.dataset import build, evaluation_labels
from factorlab.evaluation.accuracy import expected_accuracies
from factorlab.parsing import parse
from percolation import predict_samples


def run(**data):
    return parse({"data": {"size": 10, "spacing": 0.5, **data}, "evaluation": {"samples": 400}})


@pytest.mark.parametrize("size", [8, 12, 20])
@pytest.mark.parametrize("level", [0.3, 0.6, 0.9])
def test_nearest_example_against_the_hypergeometric_distribution(size, level):
    """Sites around a label: the nine nearest are right, the next twelve are a pixel away in x or in
    y, the next four in both."""
    sites = (2 * size - 1) ** 2
    counts = np.arange(1, sites)
    none, edge, corner = (hypergeom(sites, near, counts).pmf(0) for near in (9, 21, 25))
    accuracy = 1 - none + (none - edge) / 2 + (edge - corner) / 4
    exact = np.interp(level, accuracy, counts)
    # Both are interpolated between whole numbers, one in the logarithm: 1 / (8 n^2) at n = 8.
    assert first_guess(run(size=size), "nearest", level) == pytest.approx(exact, rel=2e-3)


@pytest.mark.parametrize(
    ("data", "evaluation"),
    [
        ({"spacing": 0.7}, {"labels": "all"}),
        ({"periodic": True, "spacing": 0.5}, {"labels": "uniform"}),
        ({"held_out": {"kind": "box", "width": 3.0}}, {"labels": "region"}),
        ({"family": "sos+stripes", "held_out": {"kind": "rim", "width": 2.0}}, {}),
    ],
)
def test_nearest_example_against_random_data_sets(data, evaluation):
    settings = parse(
        {"data": {"size": 8, "spacing": 0.5, **data}, "evaluation": {"samples": 60, **evaluation}}
    )
    counts, accuracy = nearest_curve(settings)
    labels = evaluation_labels(settings, build(settings.data, settings.seed)).labels
    sites = int(counts[-1])
    period = 8.0 if settings.data.periodic else None
    for count in (3, 12, 40):
        part = settings.data.model_copy(update={"subsample": count / sites})
        right = []
        for seed in range(200):
            kept = build(part, seed)
            assert kept.samples_2d == count
            errors = copied(kept.lattice[kept.seen], labels, period=period)
            right.append(expected_accuracies(errors)["accuracy"])
        # Ties in the distance are broken in another order.
        error = 5 * np.std(right) / np.sqrt(200) + 0.01
        assert np.interp(count, counts, accuracy) == pytest.approx(np.mean(right), abs=error)


def test_percolation_is_that_of_the_lattice():
    found = first_guess(run(), "percolation", 0.6)
    exact = predict_samples(10, 0.5, sigma=1.0, threshold=0.5, realisations=2000)
    assert found == pytest.approx(exact.value, abs=12 * exact.error)  # 5 errors of 100 realisations


def test_guess_does_not_depend_on_the_subsample():
    assert first_guess(run(subsample=0.1), "nearest", 0.6) == first_guess(run(), "nearest", 0.6)


def test_lattice_without_a_cluster_has_no_guess():
    """Bumps of sigma 0.3 one pixel apart overlap by exp(-1 / (16 * 0.09)) = 0.499."""
    assert first_guess(run(sigma=0.3, spacing=1.0), "percolation", 0.6) is None
    uniform = parse({"data": {"size": 10, "spacing": 3.0}, "evaluation": {"labels": "uniform"}})
    assert first_guess(uniform, "nearest", 0.9) is None  # (2 / 3)^2 of the labels are right


@pytest.mark.parametrize(
    ("data", "theory", "reason"),
    [
        ({}, "percolation", None),
        ({"family": "bump+thinned-stripes"}, "percolation", None),
        ({"family": "sos"}, "percolation", "needs round bumps"),
        ({"sigma": [1.0, 2.0]}, "percolation", "needs round bumps"),
        ({"periodic": True}, "percolation", "needs a plain frame without a held-out region"),
        ({"family": "stripes"}, "nearest", "needs 2D examples"),
        ({"family": "sos", "periodic": True}, "nearest", None),
    ],
)
def test_refusal(data, theory, reason):
    settings = run(**data)
    assert refusal(settings, theory) == reason
    if reason is None:
        assert first_guess(settings, theory, 0.6) > 1
