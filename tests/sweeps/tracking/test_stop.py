"""Stopping the sync while the store does not answer."""

import threading

import pytest

from factorlab.storage import lease
from sweeps.tracking import mlflow_sync
from sweeps.tracking.sync_pass import SweepRuns
from tests.helpers.mlflow_runs import SWEEP, sync_of, write_record
from tests.helpers.processes import wait_for

pytestmark = pytest.mark.usefixtures("no_server")


def test_stop_keeps_claim_while_thread_may_write(runs, monkeypatch):
    write_record(runs, 0)
    entered, answer = threading.Event(), threading.Event()
    send = SweepRuns.send

    def hang(self, *arguments):
        entered.set()
        answer.wait()
        return send(self, *arguments)

    monkeypatch.setattr(SweepRuns, "send", hang)
    monkeypatch.setattr(mlflow_sync, "PATIENCE", 0.1)
    sync, claim = sync_of(runs, [0]), runs / "sweeps" / SWEEP / "mirror.lock"
    sync.start()
    thread = sync._thread
    assert entered.wait(60)
    sync.stop()
    assert "no answer in" in sync.problem
    assert lease.is_held(claim)
    other = sync_of(runs, [0])
    with pytest.raises(RuntimeError, match="another process keeps"):
        other.sync()
    answer.set()
    wait_for(lambda: not thread.is_alive())
    wait_for(lambda: not lease.is_held(claim))
