"""What the driver adds to Ray Tune: how often workers report, snapshots, and Ctrl-C."""

import os
import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray.tune.execution.tune_controller import TuneController
from ray.tune.tune import _setup_signal_catching

from sweeps.execution.tune_runner import (
    MOST_REPORTS,
    NO_HANDLER,
    REPORT_EVERY,
    _interruptible,
    _one_snapshot,
    report_period,
)


@given(st.integers(1, 10_000))
def test_workers_together_report_at_most_so_often(workers):
    assert workers / report_period(workers) <= MOST_REPORTS * (1 + 1e-9)


@given(st.integers(1, int(MOST_REPORTS * REPORT_EVERY)))
def test_few_workers_report_as_often_as_one(workers):
    assert report_period(workers) == REPORT_EVERY


class Heard:
    """A listener that counts."""

    def __init__(self, error=None):
        self.times, self._error = 0, error

    def stopping(self):
        self.times += 1
        if self._error is not None:
            raise self._error


@pytest.fixture(autouse=True)
def handlers():
    """Put the handlers back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGUSR1)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_first_interrupt_ends_tune_and_the_second_the_process():
    heard = Heard()
    with _interruptible(heard):
        ends = _setup_signal_catching()
        signal.raise_signal(signal.SIGINT)
        assert (ends.is_set(), heard.times) == (True, 1)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert heard.times == 1
    assert NO_HANDLER not in os.environ


def test_interrupt_before_tune_has_started_is_that_of_python():
    with pytest.raises(KeyboardInterrupt), _interruptible(Heard()):
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_second_interrupt_ends_a_command_in_the_background():
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell does for it
    with _interruptible(Heard()):
        ends = _setup_signal_catching()
        handler = signal.getsignal(signal.SIGINT)  # that SIGTERM calls
        handler(signal.SIGINT, None)
        assert ends.is_set()
        with pytest.raises(KeyboardInterrupt):
            handler(signal.SIGINT, None)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


@pytest.mark.parametrize("error", [SystemExit(1), BrokenPipeError()])
def test_interrupt_ends_tune_though_nobody_reads_the_output(error):
    with _interruptible(Heard(error)):
        ends = _setup_signal_catching()
        signal.raise_signal(signal.SIGINT)
        assert ends.is_set()


def test_variable_of_a_user_is_kept(monkeypatch):
    monkeypatch.setenv(NO_HANDLER, "0")
    with _interruptible(Heard()):
        assert os.environ[NO_HANDLER] == "1"
    assert os.environ[NO_HANDLER] == "0"


def test_tune_writes_its_state_again_only_if_it_is_gone(tmp_path, monkeypatch):
    state = tmp_path / "experiment_state-2026.json"
    written = []

    def write(controller, force=False, wait=False):
        written.append((controller, force, wait))
        state.touch()

    monkeypatch.setattr(TuneController, "checkpoint", write)
    with _one_snapshot(tmp_path):
        for force in (False, False, True):
            TuneController.checkpoint("tune", force=force)
        assert written == [("tune", False, True)]
        state.unlink()  # the first copy failed
        TuneController.checkpoint("tune")
        TuneController.checkpoint("tune", force=True)
        assert written == [("tune", False, True), ("tune", True, True)]
    assert TuneController.checkpoint is write
