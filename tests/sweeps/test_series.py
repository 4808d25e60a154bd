"""Several sweeps in one command: mistakes are found first, and one failure stops no other."""

import io
import shutil
import sys
from pathlib import Path

import pytest
from rich.console import Console

from analysis.figures import sweep as sweep_figures
from analysis.figures.sweep import curves, samples
from factorlab.errors import UserError
from factorlab.trial import Trial
from sweeps import series, sweep
from sweeps.cli import main
from sweeps.execution.outcomes import Outcomes
from sweeps.planning import plan
from sweeps.planning.experiment import load
from sweeps.reporting import reports
from sweeps.reporting.html_report import page
from tests.helpers.experiments import write_experiment
from tests.helpers.mlflow_runs import copy_store
from tests.helpers.processes import factorlab

FIGURES = [{"name": "accuracy", "draw": "curves"}, {"name": "images", "draw": "samples"}]


def write(folder, name, *, axes=None, figures=FIGURES, more=""):
    """Write an experiment of two trials with two figures, and more lines at its end."""
    path = write_experiment(
        folder / f"{name}.yaml",
        axes=axes or {"seed": [0, 1]},
        figures=figures,
        data={"spacing": 0.5, "subsample": 0.5},
        training={"steps": 2},
        evaluation={"samples": 9, "keep": 4},
    )
    path.write_text(path.read_text() + more)
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory, empty_store):
    """Two experiments whose trials are all done."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "runs").mkdir()
    copy_store(empty_store, folder / "runs" / "mlflow.db")
    for name, seeds in (("first", [0, 1]), ("second", [2, 3])):
        path = write(folder, name, axes={"seed": seeds})
        for trial in plan.make(load(str(path)), folder / "runs").trials:
            for _ in Trial(trial.run, folder / "runs").run():
                pass
    return folder


@pytest.fixture
def folder(trained, tmp_path, monkeypatch):
    """A copy of that folder, as working folder."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*names, **changes):
    """Run sweeps in this process; return the exit status and the output."""
    console = Console(file=io.StringIO(), width=200)
    options = {"retry_failed": False, "address": None, "console": console} | changes
    chosen = [load(f"{name}.yaml") for name in names]
    code = series.run_sweeps(chosen, Path("runs"), Path("figures"), **options)
    return code, console.file.getvalue()


def drawn():
    return sorted(str(path.relative_to("figures")) for path in Path("figures").glob("*/*.png"))


FIRST = ["first/accuracy-default.png", "first/images-default.png"]
SECOND = ["second/accuracy-default.png", "second/images-default.png"]


def broken(*_arguments, **_options):
    raise ZeroDivisionError("of ours")


def first_alone(function, of=lambda first: first):
    """Let a function raise for the first sweep only."""

    def called(*arguments, **options):
        if of(arguments[0]) == "first_default":
            broken()
        return function(*arguments, **options)

    return called


def test_run_sweeps_draws_all_figures(folder):
    code, said = run("first", "second")
    assert code == 0, said
    assert drawn() == [*FIRST, *SECOND]
    assert said.splitlines()[-2:] == [
        "figures: figures/second",
        "report: figures/second/report-default.html",
    ]
    assert all(Path(f"figures/{name}/report-default.html").exists() for name in ("first", "second"))


def test_run_sweeps_continues_after_failing_figure(folder, monkeypatch):
    monkeypatch.setattr(curves, "draw", broken)
    code, said = run("first", "second")
    assert code == 1
    assert drawn() == [FIRST[1], SECOND[1]]
    assert said.splitlines()[-2:] == [
        "first_default: figure 'accuracy': ZeroDivisionError: of ours",
        "second_default: figure 'accuracy': ZeroDivisionError: of ours",
    ]
    assert said.count('raise ZeroDivisionError("of ours")') == 2


def test_run_sweeps_reports_figure_that_cannot_be_saved(folder, monkeypatch):
    def crooked(_table, _options):
        drawing = sweep_figures.load("curves").draw(_table)
        drawing.figure.axes[0].set_xticks([float("nan")])
        return drawing

    monkeypatch.setattr(samples, "draw", crooked)
    code, said = run("first", "second")
    assert code == 1
    assert drawn() == [FIRST[0], SECOND[0]]
    assert "first_default: figure 'images': ValueError: " in said
    assert "Traceback" in said


def test_run_sweeps_reports_figure_without_measures(folder):
    for name in ("first", "second"):
        path = Path(f"{name}.yaml")
        path.write_text(path.read_text().replace("draw: curves", "draw: views"))
    code, said = run("first", "second")
    assert code == 1
    assert drawn() == [FIRST[1], SECOND[1]]
    assert said.splitlines()[-1] == (
        "second_default: figure 'accuracy': layer4 has not been measured; run `factorlab analyse`."
    )
    assert "Traceback" not in said


def test_run_sweeps_continues_after_unwritable_figures_folder(folder):
    Path("figures").mkdir()
    Path("figures/first").touch()
    code, said = run("first", "second")
    assert code == 1
    assert drawn() == SECOND
    assert "first_default: figure 'accuracy': figures/first: File exists" in said
    assert "Traceback" not in said


def stop_and_break(sync, stop=sweep.MlflowSync.stop):
    stop(sync)  # or the thread would live on
    broken()


@pytest.mark.parametrize(
    ("attribute", "function"),
    [
        ("start", broken),
        ("refresh", broken),
        ("stop", stop_and_break),
        ("log_figures", broken),
    ],
)
def test_run_sweeps_continues_after_failing_mlflow(folder, monkeypatch, attribute, function):
    monkeypatch.setattr(sweep.MlflowSync, attribute, function)
    monkeypatch.setattr(sweep, "_measure", lambda *_: True)  # as if there were measures to send
    code, said = run("first", "second")
    assert code == 1
    assert drawn() == [*FIRST, *SECOND]
    assert said.splitlines()[-2:] == [
        "first_default: MLflow: ZeroDivisionError: of ours",
        "second_default: MLflow: ZeroDivisionError: of ours",
    ]


def test_run_sweeps_draws_without_mlflow(folder, monkeypatch):
    monkeypatch.setattr(sweep, "mlflow_sync_of", broken)
    code, said = run("first")
    assert code == 1
    assert drawn() == FIRST
    assert said.splitlines()[-1] == "first_default: MLflow: ZeroDivisionError: of ours"


@pytest.mark.parametrize(
    ("module", "attribute", "line", "shown"),
    [
        (sweep, "analyse_all", "measures: ZeroDivisionError: of ours", [*FIRST, *SECOND]),
        (reports, "draw", "figures: ZeroDivisionError: of ours", []),
        (page, "write", "report: ZeroDivisionError: of ours", [*FIRST, *SECOND]),
        (sweep, "conclude", "ZeroDivisionError: of ours", [*FIRST, *SECOND]),
        (sweep, "show_plan", "ZeroDivisionError: of ours", []),
        (sweep, "_begin", "ZeroDivisionError: of ours", []),
    ],
)
def test_run_sweeps_continues_after_failing_part(
    folder, monkeypatch, module, attribute, line, shown
):
    monkeypatch.setattr(module, attribute, broken)
    code, said = run("first", "second")
    assert code == 1
    assert drawn() == shown
    assert said.splitlines()[-2:] == [f"{name}_default: {line}" for name in ("first", "second")]
    assert said.count("Traceback") == 2


def test_run_sweeps_continues_after_failing_sweep(folder, monkeypatch):
    of_plan = first_alone(sweep.run_sweep, lambda made: made.sweep)
    monkeypatch.setattr(series, "run_sweep", of_plan)
    code, said = run("first", "second")
    assert code == 1
    assert drawn() == SECOND
    assert said.splitlines()[-1] == "first_default: ZeroDivisionError: of ours"


def test_run_sweeps_continues_after_failing_planning(folder, monkeypatch):
    of_experiment = first_alone(plan.make, lambda experiment: experiment.sweep)
    monkeypatch.setattr(plan, "make", of_experiment)
    code, said = run("first", "second")
    assert code == 1
    assert drawn() == SECOND
    assert said.splitlines()[-1] == "first_default: planning: ZeroDivisionError: of ours"


def test_run_sweeps_continues_after_user_error(folder, monkeypatch):
    refused = UserError("runs: cannot be written: Read-only file system")
    begin = sweep._begin

    def second_refused(state, how):
        if state.plan.sweep == "second_default":
            raise refused
        return begin(state, how)

    monkeypatch.setattr(sweep, "_begin", second_refused)
    write(folder, "third", axes={"seed": [0]})
    code, said = run("first", "second", "third")
    assert code == 1
    assert drawn() == [*FIRST, "third/accuracy-default.png", "third/images-default.png"]
    assert said.splitlines()[-1] == f"second_default: {refused}"
    assert "Traceback" not in said
    with pytest.raises(UserError, match="Read-only"):
        run("second")


LATE = "first.yaml: search.metric = speed: runs have no such metric; allowed: accuracy"


def refused(state, *_arguments, **_options):
    """Train the first sweep, which shows a mistake in its file."""
    return Outcomes(refused=LATE if state.plan.sweep == "first_default" else None)


def test_run_sweeps_continues_after_mistake_that_training_shows(folder, monkeypatch):
    monkeypatch.setattr(sweep, "_train", refused)
    code, said = run("first", "second")
    assert code == 1
    assert drawn() == [*FIRST, *SECOND]
    assert Path("figures/first/report-default.html").exists()
    assert said.splitlines()[-1] == f"first_default: {LATE}"
    assert "Traceback" not in said


def test_run_sweeps_draws_a_single_sweep_before_it_refuses_it(folder, monkeypatch):
    monkeypatch.setattr(sweep, "_train", refused)
    with pytest.raises(UserError) as error:
        run("first")
    assert str(error.value) == LATE
    assert drawn() == FIRST


def test_run_sweeps_continues_after_user_error_once_trials_train(folder, monkeypatch):
    def failing(state, *_arguments, **_options):
        if state.plan.sweep == "first_default":
            raise UserError(LATE)
        return Outcomes()

    monkeypatch.setattr(sweep, "_train", failing)
    code, said = run("first", "second")
    assert code == 1
    assert drawn() == SECOND
    assert said.splitlines()[-1] == f"first_default: {LATE}"


def test_run_sweeps_reports_figure_that_cannot_be_loaded(folder, monkeypatch, caplog):
    loaded = sweep_figures.load

    def load_figure(name):
        return broken() if name == "curves" else loaded(name)

    monkeypatch.setattr(sweep_figures, "load", load_figure)
    code, said = run("first")
    assert code == 1
    assert drawn() == [FIRST[1]]
    assert "first.yaml: figures: accuracy: ZeroDivisionError: of ours; training" in caplog.text
    assert said.splitlines()[-1] == "first_default: figure 'accuracy': ZeroDivisionError: of ours"


def test_figures_continues_after_failing_figure(folder, monkeypatch, capsys):
    run("first")
    shutil.rmtree("figures")
    monkeypatch.setattr(curves, "draw", broken)
    monkeypatch.setattr(sys, "argv", ["factorlab", "figures", "first"])
    with pytest.raises(SystemExit) as ended:
        main.main()
    assert ended.value.code == 1
    written = capsys.readouterr()
    assert FIRST[1] in written.out
    last = written.err.splitlines()[-1]
    assert last == "first_default: figure 'accuracy': ZeroDivisionError: of ours"


def test_illustrate_continues_after_failing_figure(tmp_path, monkeypatch, capsys):
    from analysis.figures.static import overlap  # noqa: PLC0415

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(overlap, "draw", broken)
    monkeypatch.setattr(sys, "argv", ["factorlab", "illustrate", "overlap", "architecture"])
    with pytest.raises(SystemExit) as ended:
        main.main()
    assert ended.value.code == 1
    assert Path("figures/illustrations/architecture.png").exists()
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "figure 'overlap': ZeroDivisionError: of ours"


def test_sweep_over_axis_with_null(tmp_path):
    axes = {"data.margin": [None, 5.0], "data.family": ["bump+stripes"]}
    write(tmp_path, "margins", axes=axes, figures=None)  # the default figure
    ended = factorlab("sweep", "margins.yaml", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "figures/margins/accuracy-default.png").exists()
    means = (tmp_path / "figures/margins/accuracy-default-means.csv").read_text()
    assert [line.split(",")[3] for line in means.splitlines()[1:]] == ["none", "5.0"]
