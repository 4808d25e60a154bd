"""Workers that are asked to end, and workers that hang, in one real sweep."""

import io
import os
import signal

import psutil
import pytest
from rich.console import Console

from factorlab.storage.record import Record
from sweeps.execution import watchdog, work_queue
from sweeps.planning import plan
from sweeps.planning.experiment import load
from sweeps.reporting import summary
from tests.helpers.processes import running, trainer, wait_for

EXPERIMENT = """
name: faults
base:
  data: {size: 6, spacing: 0.5}
  model: {width: 4, encoding: 8}
  diffusion: {prediction: v, sampling_steps: 2}
  training: {steps: 1, batch_size: 4, checkpoint_every: 100000, log_every: 10}
  evaluation: {samples: 2, loss_samples: 2, keep: 0}
axes:
  training.steps: [900, 20, 6, 5]
resources: {pack: 1, timeout: 10}
"""


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A sweep in which a worker was asked to end, another hung, and one record was no folder."""
    folder = tmp_path_factory.mktemp("faults")
    (folder / "faults.yaml").write_text(EXPERIMENT)
    made = plan.make(load(str(folder / "faults.yaml")), folder / "runs")
    records = [Record(folder / "runs", trial.key) for trial in made.trials]
    long, stuck, _, refused = records
    refused.path.parent.mkdir(parents=True)
    refused.path.touch()
    stuck.checkpoints.mkdir(parents=True)
    # To read it waits for a writer, as on a file system that is away; none but a worker does.
    away = stuck.checkpoints / f"step-{1:010d}-{0:032x}.pt"
    os.mkfifo(away)
    with running("sweep", "faults.yaml", cwd=folder) as driver:
        wait_for(lambda: long.journal.exists() and long.points()[0])
        asked = trainer(driver, long)
        os.kill(asked.pid, signal.SIGTERM)
        wait_for(lambda: not asked.is_running() or asked.status() == psutil.STATUS_ZOMBIE)
        checkpoints = [path.name for path in long.checkpoints.glob("*.pt")]
        wait_for(lambda: watchdog.hung(stuck.path))
        report = (stuck.path / watchdog.REPORT).read_text()
        away.unlink()
        _, messages = driver.communicate(timeout=240)
    return {
        "records": records,
        "checkpoints": checkpoints,
        "report": report,
        "status": driver.returncode,
        "messages": messages,
    }


def test_all_trials_end_but_the_one_whose_record_cannot_be_written(swept):
    assert swept["status"] == 1, swept["messages"]
    *ended, refused = swept["records"]
    assert [record.result()["steps"] for record in ended] == [900, 20, 6]
    assert f"not trained: steps=5: {refused.path}: File exists" in swept["messages"]
    assert "1 trials are not finished; run the same command again" in swept["messages"]


def test_a_worker_that_was_asked_to_end_left_a_checkpoint(swept):
    assert len(swept["checkpoints"]) == 1  # none but this was due


def test_a_trial_that_hangs_each_time_is_named_with_where_to_look(tmp_path):
    (tmp_path / "faults.yaml").write_text(EXPERIMENT)
    made = plan.make(load(str(tmp_path / "faults.yaml")), tmp_path / "runs")
    stuck = made.trials[1]
    report = Record(tmp_path / "runs", stuck.key).path / watchdog.REPORT
    report.parent.mkdir(parents=True)
    report.write_text("Timeout (0:00:10)!")
    console = Console(file=io.StringIO())
    outcomes = work_queue.Outcomes(errors={stuck.key: "The actor died unexpectedly"})
    assert summary.conclude(made.state(), outcomes, console) == 1
    said = console.file.getvalue()
    assert f"{stuck.name}: no progress for 10 s, see {report}" in said
    assert "died unexpectedly" not in said


def test_a_hung_worker_says_where_and_leaves_nothing_behind(swept):
    assert "checkpoint.py" in swept["report"]
    assert not [r for r in swept["records"] if (r.path / watchdog.REPORT).exists()]
