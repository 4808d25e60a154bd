"""The history of benchmarks: slowdowns are named, noise and progress are not."""

from tests.benchmarks import report
from tests.benchmarks.report import Measurement


def publish(history, value, better):
    measurement = Measurement("N = 8", "step", value, "s", better)
    report.publish("training-step", "A step", [measurement], history)


def test_publish_first_run(tmp_path, capsys):
    publish(tmp_path / "history.csv", 1.0, "lower")
    out = capsys.readouterr().out
    assert "worse" not in out
    assert "| N = 8 |" in out
    assert (tmp_path / "history.csv").read_text().count("\n") == 2


def test_publish_names_slowdown_in_either_direction(tmp_path, capsys):
    for better, worse in (("lower", 2.0), ("higher", 0.5)):
        history = tmp_path / f"{better}.csv"
        for _ in range(3):
            publish(history, 1.0, better)
        capsys.readouterr()
        publish(history, worse, better)
        assert "worse than before: training-step, N = 8, step" in capsys.readouterr().out


def test_publish_ignores_noise_and_progress(tmp_path, capsys):
    for value in (1.0, 1.2, 0.4):
        publish(tmp_path / "history.csv", value, "lower")
    assert "worse" not in capsys.readouterr().out


def test_publish_takes_zero_as_a_number(tmp_path, capsys):
    for better in ("lower", "higher", "neither"):
        history = tmp_path / f"{better}.csv"
        for value in (0.0, 0.0):
            publish(history, value, better)
        assert "worse" not in capsys.readouterr().out
        assert history.read_text().count("\n") == 3


def test_publish_ignores_other_machines(tmp_path, capsys, monkeypatch):
    publish(tmp_path / "history.csv", 1.0, "lower")
    monkeypatch.setattr(report, "machine", lambda: "another")
    publish(tmp_path / "history.csv", 9.0, "lower")
    assert "worse" not in capsys.readouterr().out


def test_numbers_in_the_history_do_not_change_the_code():
    numbers = (
        b"diff --git a/tests/benchmarks/history.csv b/tests/benchmarks/history.csv\n"
        b"+2026-11-28,diff --git a/factorlab/trial.py b/factorlab/trial.py\n"
    )
    code = b"diff --git a/factorlab/trial.py b/factorlab/trial.py\n+pass\n"
    assert not report.changes_code(b"")
    assert not report.changes_code(numbers)
    assert report.changes_code(numbers + code)
