"""The display of a running sweep, on a terminal and in a log."""

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from factorlab.formatting import duration
from sweeps.execution.listener import KnownCrossing
from sweeps.reporting.live.display import SweepDisplay, SweepFacts
from sweeps.reporting.live.sketch import Point, Sketch, strip
from sweeps.reporting.live.waiting import waiting


def display(terminal, seconds, done=0, problem=None, width=120, quiet=False, **facts):
    """Return a display and the text it writes."""
    text = io.StringIO()
    console = Console(file=text, force_terminal=terminal, width=width, height=40)
    shown = SweepDisplay(
        "tiny",
        SweepFacts(total=done + len(seconds), done=done, seconds=seconds, slots=2, **facts),
        problem=lambda: problem,
        reason=lambda key: f"reason of {key}",
        log=Path("runs/logs/ray.log"),
        console=console,
        quiet=quiet,
    )
    return shown, text


def known(*sentences):
    """Return what a search knows of crossings, with a posterior of six cells."""
    return [KnownCrossing(text, (0.0, 0.1, 0.4, 0.4, 0.1, 0.0)) for text in sentences]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (89, "89 s"),
        (90, "2 min"),
        (3600, "60 min"),
        (7200, "2.0 h"),
        (86400 * 3, "3.0 days"),
        (86400 * 365.25 * 4, "4.0 years"),
    ],
)
def test_duration_picks_unit(seconds, text):
    assert duration(seconds) == text


def test_sweep_display_on_terminal():
    shown, text = display(True, {"a": 10.0, "b": 10.0, "c": 10.0}, done=2, problem="store is away")
    with shown:
        shown.started("a", "size=8")
        shown.started("b", "size=9")
        shown.progressed("a", 50, 200, 0.5, 0.125)
        shown.started("c", "size=10")
        shown.stopped("c")  # its worker died
        shown.ended("b", "done", 0.75)
    out = text.getvalue()
    assert "tiny: 41 %, 3 of 5 done, 1 running on 2 slots, 0 failed" in out
    assert "step 50 of 200" in out
    assert "accuracy 50%" in out
    assert "loss 0.125" in out
    assert "done: size=9: accuracy 75%" in out
    assert "store is away" in out


def test_sweep_display_in_log():
    shown, text = display(False, {"a": 1.0, "b": 1.0, "c": 1.0})
    with shown:
        for key, outcome, accuracy in (("a", "done", 1.0), ("b", "failed", None)):
            shown.started(key, f"trial {key}")
            shown.ended(key, outcome, accuracy)
        for key, outcome in (("c", "locked"), ("d", "io_error"), ("e", "given_up")):
            shown.started(key, f"trial {key}")
            shown.ended(key, outcome)
    lines = text.getvalue().splitlines()
    assert "trial a: accuracy 100%" in lines
    assert "trial b: failed" in lines
    assert "trial c: trained by another process" in lines
    assert "trial d: skipped, since its record cannot be read or written" in lines
    assert "trial e: given up, since its workers died" in lines
    assert lines[-1].startswith("tiny: 1 of 3 done, 0 running, 1 failed")
    assert "\x1b" not in text.getvalue()


@pytest.mark.parametrize(
    ("method", "first", "all_of_them"),
    [
        ("worker_died", "a worker died: {}; details: runs/logs/ray.log", "3 workers died: {}"),
        ("worker_refused", "a worker cannot train: {}", "3 workers could not train: {}"),
    ],
)
def test_sweep_display_reports_each_reason_once(method, first, all_of_them):
    shown, text = display(False, {"a": 1.0})
    with shown:
        for reason in ("Its node has died", "No torch", "Its node has died", "Its node has died"):
            getattr(shown, method)(reason)
    lines = [line for line in text.getvalue().splitlines() if "worker" in line]
    assert lines == [
        first.format("Its node has died"),
        first.format("No torch"),
        all_of_them.format("Its node has died"),
    ]


def test_sweep_display_drops_the_full_stop_of_ray():
    shown, text = display(False, {"a": 1.0})
    with shown:
        shown.worker_died("Its node has died.")
    assert "a worker died: Its node has died; details" in text.getvalue()


def test_sweep_display_prints_what_a_search_has_learned():
    shown, text = display(False, {"a": 1.0})
    with shown:
        shown.narrowed(known("size=6: 3 samples", "size=8: 5 samples"))
        shown.narrowed(known("size=6: 3 samples", "size=8: 6 samples"))
    found = [line for line in text.getvalue().splitlines() if line.startswith("size=")]
    assert found == ["size=6: 3 samples", "size=8: 5 samples", "size=8: 6 samples"]


def test_sweep_display_shows_what_a_search_has_learned():
    shown, text = display(True, {"a": 1.0})
    with shown:
        shown.narrowed(known("size=6: 3 samples"))
    assert "│ ▂██▂ │ size=6: 3 samples" in text.getvalue()


def test_sweep_display_leaves_out_posteriors_without_room():
    shown, text = display(True, {"a": 1.0}, width=26)
    with shown:
        shown.narrowed(known("size=6: 3 samples", "size=8: 55 samples"))
    assert "▂" not in text.getvalue()
    assert "size=6: 3 samples" in text.getvalue()


def test_strip_scales_to_the_largest_value():
    assert strip([0.0, 1.0, 0.5, 0.04]) == " █▄ "
    assert strip([0.0, 0.0]) == "  "
    assert strip([]) == ""


def test_sweep_display_says_that_no_worker_has_started():
    shown, text = display(False, {"a": 1.0})
    with shown:
        shown.no_worker_yet(200.0)
    assert "no worker has started for 3 min" in text.getvalue()


def test_sweep_display_names_failures_with_their_reason():
    shown, text = display(True, {"a": 1.0})
    with shown:
        shown.started("a", "N6 bump")
        shown.ended("a", "failed")
    assert "failed: N6 bump: reason of a" in text.getvalue()


def test_quiet_display_prints_problems_alone():
    for terminal in (True, False):
        shown, text = display(terminal, {"a": 1.0}, quiet=True)
        with shown:
            shown.started("a", "N6 bump")
            shown.progressed("a", 1, 2, None)
            shown.narrowed(known("size=6: 3 samples"))
            shown.ended("a", "done", 1.0)
            shown.worker_died("Its node has died")
        assert [line.split(":")[0] for line in text.getvalue().splitlines()] == ["a worker died"]


@pytest.mark.parametrize("width", [40, 60, 89, 90, 120])
def test_sweep_display_fits_the_terminal(width):
    shown, text = display(True, {f"{i}": 1.0 for i in range(60)}, width=width)
    with shown:
        for i in range(60):
            shown.started(f"{i}", f"N{i} bump+stripes λ.025 width=8 s{i}")
            shown.progressed(f"{i}", 450, 900, 0.5, 0.0123)
    last = text.getvalue().split("starting")[-1].replace("\x1b[?25h", "")
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", last)
    assert max(map(len, plain.splitlines())) <= width
    assert "more" in plain


def test_sketch_places_accuracy_on_a_log_axis():
    points = [Point(0.01, 0.0, "bump"), Point(1.0, 1.0, "sos"), Point(0.1, 0.5, "bump")]
    title, *rows, _, scale, legend = Sketch("lambda", (0.01, 1.0), ["bump", "sos"], points).lines()
    assert title == "accuracy against lambda, log scale"
    assert rows[0] == "100 % │" + " " * 55 + "○"
    assert rows[3].index("●") - rows[-1].index("●") == 28  # half of the axis
    assert scale.split() == ["0.01", "1"]
    assert legend.split() == ["●", "bump", "○", "sos"]


def test_sweep_display_fills_in_the_sketch():
    empty = Sketch("lambda", (0.1, 0.5), ["bump"])
    shown, text = display(True, {"a": 1.0}, sketch=empty, places={"a": (0.5, "bump")})
    with shown:
        shown.started("a", "N6 bump")
        shown.ended("a", "done", 1.0)
    assert "100 % │" + " " * 55 + "●" in text.getvalue()


@pytest.mark.parametrize(
    ("terminal", "quiet", "shows"),
    [(True, False, True), (True, True, False), (False, False, False)],
)
def test_a_terminal_says_what_takes_its_time(terminal, quiet, shows, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    screen = io.StringIO()
    with waiting(Console(file=screen, force_terminal=terminal), "measuring", quiet=quiet):
        pass
    assert ("measuring" in screen.getvalue()) == shows
