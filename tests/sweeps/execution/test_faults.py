"""Workers that get SIGTERM, workers that hang and unwritable records, in one real sweep."""

import io
import os
import signal

import psutil
import pytest
from rich.console import Console

from factorlab.storage.record import Record
from sweeps.execution import watchdog
from sweeps.execution.outcomes import Outcomes
from sweeps.planning import plan
from sweeps.planning.experiment import load
from sweeps.reporting import summary
from tests.helpers.experiments import records_of, write_experiment
from tests.helpers.processes import PATIENCE, running, wait_for, worker_of


def write(folder):
    """Write an experiment without regular checkpoints, with a timeout of ten seconds."""
    return write_experiment(
        folder / "faults.yaml",
        axes={"training.steps": [900, 20, 6, 5]},
        resources={"pack": 1, "timeout": 10},
        data={"spacing": 0.5},
        training={"checkpoint_every": 100_000, "log_every": 10},
    )


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A sweep in which one worker got SIGTERM, another hung, and one record is a file."""
    folder = tmp_path_factory.mktemp("faults")
    records = records_of(write(folder), folder / "runs")
    long, stuck, _, refused = records
    refused.path.parent.mkdir(parents=True)
    refused.path.touch()
    stuck.checkpoints.mkdir(parents=True)
    # Reading a FIFO waits for a writer, as on a file system that does not answer.
    away = stuck.checkpoints / f"step-{1:010d}-{0:032x}.pt"
    os.mkfifo(away)
    with running("sweep", "faults.yaml", cwd=folder) as driver:
        wait_for(lambda: long.journal.exists() and long.points()[0])
        asked = worker_of(driver, long)
        os.kill(asked.pid, signal.SIGTERM)
        wait_for(lambda: not asked.is_running() or asked.status() == psutil.STATUS_ZOMBIE)
        checkpoints = [path.name for path in long.checkpoints.glob("*.pt")]
        wait_for(lambda: watchdog.hung(stuck.path))
        report = (stuck.path / watchdog.REPORT).read_text()
        away.unlink()
        _, messages = driver.communicate(timeout=PATIENCE)
    return {
        "records": records,
        "checkpoints": checkpoints,
        "report": report,
        "status": driver.returncode,
        "messages": messages,
    }


def test_sweep_continues_after_unwritable_record(swept):
    assert swept["status"] == 1, swept["messages"]
    *ended, refused = swept["records"]
    assert [record.result()["steps"] for record in ended] == [900, 20, 6]
    assert f"not trained: steps=5: {refused.path}: File exists" in swept["messages"]
    assert "1 trials are not finished; run the same command again" in swept["messages"]


def test_worker_saves_checkpoint_on_sigterm(swept):
    assert len(swept["checkpoints"]) == 1  # no regular one was due


def test_conclude_names_trial_that_hangs(tmp_path):
    made = plan.make(load(str(write(tmp_path))), tmp_path / "runs")
    stuck = made.trials[1]
    report = Record(tmp_path / "runs", stuck.key).path / watchdog.REPORT
    report.parent.mkdir(parents=True)
    report.write_text("Timeout (0:00:10)!")
    console = Console(file=io.StringIO())
    outcomes = Outcomes(errors={stuck.key: "The actor died unexpectedly"})
    assert summary.conclude(made.state(), outcomes, console) == 1
    said = console.file.getvalue()
    assert f"{stuck.name}: no progress for 10 s, see {report}" in said
    assert "died unexpectedly" not in said


def test_watchdog_reports_where_worker_hung(swept):
    assert "checkpoint.py" in swept["report"]
    assert not [r for r in swept["records"] if (r.path / watchdog.REPORT).exists()]
