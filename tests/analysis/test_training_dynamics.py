"""Analysis of ideals with known measures and of the record of a small trial."""

import shutil
import time
from threading import Thread

import matplotlib.pyplot as plt
import numpy as np
import pytest

from analysis import training_dynamics
from analysis.figures import checkpoint as checkpoint_figures
from analysis.measures import scalars
from analysis.measures.checkpoint import measure
from analysis.measures.factorization import clifford_torus, solid_torus
from factorlab.storage import journal
from factorlab.storage.files import DamagedFile
from factorlab.storage.journal import Journal
from factorlab.storage.record import Record
from factorlab.trial import Trial
from tests.helpers.rounding import EXACT
from tests.helpers.settings import analysed_run, tiny_run

SETTINGS = analysed_run(data={"periodic": True})
SIDES = (16, 16)


def labels_of(sides):
    nx, ny = sides
    return np.stack(np.meshgrid(np.arange(nx), np.arange(ny), indexing="ij"), -1).reshape(-1, 2)


@pytest.fixture(scope="module")
def clifford():
    points = clifford_torus(*SIDES).reshape(-1, 4)
    return measure(points, labels_of(SIDES), SIDES, period=16)


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    made = Trial(SETTINGS, tmp_path_factory.mktemp("course"))
    list(made.run())
    return made


def test_measure_factorized_ideal(clifford):
    numbers = scalars.of(clifford)
    assert numbers["dimension"] == pytest.approx(4)
    assert numbers["variance_top_four"] == pytest.approx(1)
    assert numbers["factorization"] == pytest.approx(1)
    assert [numbers[f"betti_{k}"] for k in range(3)] == [1, 2, 1]


def test_measure_coupled_ideal():
    points = solid_torus(*SIDES).reshape(-1, 3)
    numbers = scalars.of(measure(points, labels_of(SIDES), SIDES, period=16))
    assert numbers["factorization"] == pytest.approx(0, abs=EXACT)
    # Variances (1 + 1 / 8) / 2 twice and 1 / 8, for a tube of half the radius.
    assert numbers["dimension"] == pytest.approx(1.25**2 / (2 * 0.5625**2 + 0.125**2))


@pytest.mark.parametrize("name", checkpoint_figures.available())
def test_checkpoint_figures_draw_with_panels(clifford, name):
    drawing = checkpoint_figures.load(name).draw(clifford)
    assert all(len(table) > 0 for table in drawing.panels.values())
    assert not plt.get_fignums()  # no figure is left in pyplot


def test_analyse_measures_each_step_once(trial):
    assert list(training_dynamics.analyse(trial.record)) == [0, 4]
    assert list(training_dynamics.analyse(trial.record)) == []
    table = training_dynamics.table(trial.record)
    assert table["step"].to_list() == [0, 4]
    assert {"accuracy", "dimension", "factorization", "betti_1"} <= set(table)
    assert table["null_image_factorization"].nunique() == 1  # that of the images, at every step
    assert table["cka_image"].between(0, 1).all()
    assert table["null_untrained_factorization"].nunique() == 1
    folder = trial.record.analysis / "layer4"
    assert {f"{name}.png" for name in checkpoint_figures.available()} <= {
        p.name for p in folder.iterdir()
    }
    assert {path.name for path in training_dynamics.save(trial.record, "layer4")} == {
        "course.png",
        "course-course.csv",
    }


def test_analyse_waits_for_another_process(trial, tmp_path):
    runs = tmp_path / "runs"
    shutil.copytree(trial.record.path, runs / "trials" / trial.record.key)
    record = Record(runs, trial.record.key)
    shutil.rmtree(record.analysis, ignore_errors=True)
    measured = []
    other = Thread(target=lambda: measured.extend(training_dynamics.analyse(record)))
    with record.measuring("layer4"):
        other.start()
        time.sleep(0.5)
        book = Journal(record.measures("layer4"))
        book.append(0, {"dimension": 1.0})
        book.append(4, {"dimension": 2.0})
    other.join()
    assert measured == []
    points, _ = journal.read(record.measures("layer4"))
    assert [(point.step, point.metrics["dimension"]) for point in points] == [(0, 1.0), (4, 2.0)]


def test_analyse_says_what_cannot_be_analysed(trial, tmp_path):
    bare = Trial(tiny_run(), tmp_path)
    list(bare.run())
    with pytest.raises(ValueError, match="saved no representations"):
        list(training_dynamics.analyse(bare.record))
    with pytest.raises(ValueError, match=r"^layer4 has not been measured"):
        training_dynamics.table(bare.record)
    with pytest.raises(ValueError, match="layer 'layer0' was not saved"):
        list(training_dynamics.analyse(trial.record, "layer0"))
    with pytest.raises(ValueError, match=r"There is no layer '\.\./out'; the layers are layer0, "):
        list(training_dynamics.analyse(trial.record, "../out"))


def test_analyse_names_damaged_file(tmp_path):
    damaged = Trial(SETTINGS, tmp_path)
    list(damaged.run())
    path = damaged.record.representations / "step-0000000004" / "layer4.npy"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DamagedFile, match=r"layer4\.npy"):
        list(training_dynamics.analyse(damaged.record))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda points, labels: (points, labels[::-1]), "do not lie on a grid"),
        (lambda points, labels: (points, labels[:-1]), "labels have shape"),
        (lambda points, labels: (np.ones_like(points), labels), "are the same"),
    ],
)
def test_measure_refuses_bad_representations(change, message):
    points, labels = change(clifford_torus(*SIDES).reshape(-1, 4), labels_of(SIDES))
    if message == "do not lie on a grid":
        labels = np.roll(labels, 1, axis=0)
    with pytest.raises(ValueError, match=message):
        measure(points, labels, SIDES)
