"""The MLflow sync of real records to a real SQLite store; both sides are counted."""

import time
from pathlib import Path

import pytest
import torch

from factorlab.parsing import parse
from factorlab.provenance import code_record
from factorlab.storage.journal import Journal
from factorlab.storage.record import Record
from factorlab.trial import Trial
from sweeps.tracking.mlflow_sync import TrackedTrial
from tests.helpers.experiments import small_settings
from tests.helpers.mlflow_runs import (
    EXPERIMENT,
    PARAMETERS,
    SWEEP,
    all_runs,
    assert_same_points,
    child_runs,
    client_of,
    copy_store,
    finish,
    key_of,
    parent_runs,
    state_file,
    sync_of,
    write_record,
)
from tests.helpers.processes import wait_for

pytestmark = pytest.mark.usefixtures("no_server")


def test_sync_sends_every_point_once(runs):
    for number in range(3):
        write_record(runs, number, range(600 if number == 2 else 5))
    sync = sync_of(runs, range(3))
    sent = sync.sync()
    assert sent == assert_same_points(runs, range(3))
    assert sent == 1220  # more than MLflow takes in one call
    assert sync.sync() == 0
    assert sync_of(runs, range(3)).sync() == 0
    assert assert_same_points(runs, range(3)) == sent


def test_sync_of_real_trial_with_artifacts(runs, tmp_path):
    torch.set_num_threads(1)
    settings = small_settings(
        training={"steps": 4, "log_every": 2}, evaluation={"keep": 4, "at": [0, 2]}
    )
    trial = Trial(parse({**settings, "device": "cpu"}), runs)
    list(trial.run())
    key = trial.identity.key
    tracked = TrackedTrial(key, "bump N=6", {"data.size": "6", "long": "x" * 7000})
    sync = sync_of(runs, [], trials=[tracked])
    sent = sync.sync()
    assert sent == sum(len(point.metrics) for point in trial.record.points()[0])

    run = child_runs(runs)[key]
    result = trial.record.result()
    assert run.info.status == "FINISHED"
    assert run.info.end_time == int(result["finished"] * 1000)
    assert run.info.start_time == int(trial.record.points()[0][0].time * 1000)
    assert run.info.run_name == "bump N=6"
    assert run.data.params == {"data.size": "6", "long": "x" * 6000}
    assert run.data.tags["factorlab.device"] == result["device"]
    (code,) = trial.record.code()
    assert run.data.tags["factorlab.sources_sha256"] == code["sources_sha256"]
    assert run.data.tags["factorlab.code_versions"] == "1"
    for name, value in result["metrics"].items():
        assert run.data.metrics[name] == value

    client = client_of(runs)
    root = {item.path for item in client.list_artifacts(run.info.run_id)}
    samples = {item.path for item in client.list_artifacts(run.info.run_id, "samples")}
    assert root == {"config.json", "result.json", "samples"}
    assert samples == {f"samples/step-{step:010d}.png" for step in (0, 2, 4)}
    local = client.download_artifacts(run.info.run_id, "config.json", str(tmp_path))
    assert Path(local).read_bytes() == (trial.record.path / "config.json").read_bytes()
    assert run.info.artifact_uri.startswith((runs / "artifacts").as_uri())


def test_sync_keeps_one_parent_per_sweep(runs):
    for number in range(2):
        write_record(runs, number, done=True)
    write_record(runs, 2)
    for _ in range(3):
        sync = sync_of(runs, range(4))
        sync.start()
        sync.stop()
        assert sync.problem is None
    (parent,) = parent_runs(runs)
    assert parent.info.status == "KILLED"  # trials 2 and 3 are not done
    assert parent.info.run_name == SWEEP
    by_key = child_runs(runs)
    assert by_key.keys() == {key_of(n) for n in range(3)}  # trial 3 was never started
    assert {run.data.tags["mlflow.parentRunId"] for run in by_key.values()} == {parent.info.run_id}
    assert [by_key[key_of(n)].info.status for n in range(3)] == ["FINISHED", "FINISHED", "KILLED"]
    assert sync_of(runs, range(4), sweep="another").sync() == 3 * 10
    assert len(parent_runs(runs)) == 2


def test_start_leaves_finished_sweep_unchanged(runs):
    for number in range(2):
        write_record(runs, number, done=True)
    sync_of(runs, range(2)).sync()
    (before,) = parent_runs(runs)
    assert before.info.status == "FINISHED"
    sync = sync_of(runs, range(2))
    sync.start()
    sync.stop()
    (after,) = parent_runs(runs)
    assert (after.info.end_time, after.data.tags) == (before.info.end_time, before.data.tags)


def test_sync_sets_tags_and_parameters(runs):
    write_record(runs, 0, done=True)
    sync_of(runs, [0]).sync()
    (parent,) = parent_runs(runs)
    code = code_record.revision()
    for run in (parent, child_runs(runs)[key_of(0)]):
        assert run.data.tags["factorlab.sweep"] == SWEEP
        assert run.data.tags["factorlab.experiment"] == EXPERIMENT
        assert run.data.tags["factorlab.profile"] == "smoke"
        assert run.data.tags["factorlab.state"] == "done"
        assert {k: v for k, v in run.data.tags.items() if k in code_record.TAGS} == code.tags()
    child = child_runs(runs)[key_of(0)]
    assert child.data.tags["factorlab.key"] == key_of(0)
    assert child.data.params == PARAMETERS
    if code.diff:
        paths = [item.path for item in client_of(runs).list_artifacts(parent.info.run_id)]
        assert paths == ["dirty.diff"]


def test_sync_gives_new_parent_the_code_that_trained_last(runs):
    saved = runs / "code" / f"{'d' * 64}.patch"
    saved.parent.mkdir(parents=True)
    saved.write_bytes(b"a difference")
    for number, revision in enumerate(["a" * 40, "b" * 40, "c" * 40]):
        entry = {"revision": revision, "difference_sha256": "d" * 64, "lock_sha256": "e" * 64}
        code = [{"from_step": 0, "sources_sha256": "f" * 64, **entry}]
        ended = {"finished": 1_700_000_000 - abs(number - 1), "code": code}  # the second one last
        write_record(runs, number).write_result({"metrics": {}, "device": "cpu test", **ended})
    sync_of(runs, [0, 1, 2]).sync()
    (parent,) = parent_runs(runs)
    tags = {k: v for k, v in parent.data.tags.items() if k in code_record.TAGS}
    assert tags == dict(zip(code_record.TAGS, ["b" * 40, "d" * 64, "e" * 64], strict=True))
    diff = client_of(runs).download_artifacts(parent.info.run_id, "dirty.diff")
    assert Path(diff).read_bytes() == b"a difference"


@pytest.mark.parametrize("damage", ["lost", "torn", "rolled back"])
def test_sync_with_outdated_state_repeats_no_point(runs, damage):
    record = write_record(runs, 0)
    sync_of(runs, [0]).sync()
    older = state_file(record).read_bytes()
    write_record(runs, 0, range(50, 90, 10))
    sync_of(runs, [0]).sync()
    if damage == "lost":
        state_file(record).unlink()
    elif damage == "torn":
        state_file(record).write_bytes(older[:40])
    else:  # as after a kill between sending and writing the state
        state_file(record).write_bytes(older)
    write_record(runs, 0, range(90, 120, 10))
    again = sync_of(runs, [0])
    assert again.sync() == 2 * 3
    assert assert_same_points(runs, [0]) == 2 * 12


def test_sync_killed_after_sending_repeats_no_point(runs, monkeypatch):
    write_record(runs, 0)
    with monkeypatch.context() as patch:
        patch.setattr(
            "sweeps.tracking.run_state.write_json", lambda *_: (_ for _ in ()).throw(OSError("x"))
        )
        with pytest.raises(OSError, match="x"):
            sync_of(runs, [0]).sync()
    sync_of(runs, [0]).sync()
    assert assert_same_points(runs, [0]) == 10
    assert len(parent_runs(runs)) == 1


def test_sync_of_rewritten_journal_repeats_no_step(runs):
    record = write_record(runs, 0)
    sync_of(runs, [0]).sync()
    record.journal.unlink()
    journal = Journal(record.journal)
    for step in range(0, 80, 10):
        journal.append(step, {"loss": 0.123456, "accuracy": 1.0})
    assert sync_of(runs, [0]).sync() == 2 * 3


def test_sync_fills_another_store(runs, tmp_path, empty_store, monkeypatch):
    write_record(runs, 0, done=True)
    first = sync_of(runs, [0]).sync()
    copy_store(empty_store, tmp_path / "other.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/other.db")
    assert sync_of(runs, [0]).sync() == first
    assert child_runs(runs)[key_of(0)].info.status == "FINISHED"
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert sync_of(runs, [0]).sync() == 0
    assert assert_same_points(runs, [0]) == first


def test_start_follows_growing_journals(runs):
    sync = sync_of(runs, range(3))
    sync.start()
    for step in range(40):
        for number in range(3):
            write_record(runs, number, [step])
        time.sleep(0.01)
    wait_for(lambda: len(all_runs(runs)) == 4)
    assert {run.info.status for run in all_runs(runs)} == {"RUNNING"}
    sync.sync()  # in another thread than the one that `start` began
    assert assert_same_points(runs, range(3)) == 3 * 40 * 2
    for number in range(2):
        finish(Record(runs, key_of(number)))
    sync.stop()
    assert sync.problem is None
    assert assert_same_points(runs, range(3)) == 3 * 40 * 2
    by_key = child_runs(runs)
    assert [by_key[key_of(n)].info.status for n in range(3)] == ["FINISHED", "FINISHED", "KILLED"]
    assert by_key[key_of(2)].data.tags["factorlab.state"] == "stopped"


def test_sync_shows_resumed_trial_as_running(runs):
    record = write_record(runs, 0)
    sync_of(runs, [0]).sync()
    assert child_runs(runs)[key_of(0)].info.status == "KILLED"
    with record.lease():
        sync_of(runs, [0]).sync()
        assert child_runs(runs)[key_of(0)].info.status == "RUNNING"
        (parent,) = parent_runs(runs)
        assert parent.info.status == "RUNNING"
    sync = sync_of(runs, [0])
    sync.start()
    sync.stop()
    assert child_runs(runs)[key_of(0)].info.status == "KILLED"
    sync = sync_of(runs, [0])
    sync.start()
    write_record(runs, 0, [60])
    wait_for(lambda: child_runs(runs)[key_of(0)].info.status == "RUNNING")
    finish(record)
    sync.stop()
    child = child_runs(runs)[key_of(0)]
    assert (child.info.status, child.info.end_time) == ("FINISHED", 1_700_000_000_250)


def test_sync_shows_failure_until_retried(runs):
    record = write_record(runs, 0)
    write_record(runs, 1, done=True)
    record.write_failure("loss is nan at step 7", 7)
    sync_of(runs, [0, 1]).sync()
    child = child_runs(runs)[key_of(0)]
    assert child.info.status == "FAILED"
    assert child.data.tags["factorlab.failure"] == "loss is nan at step 7"
    assert parent_runs(runs)[0].info.status == "FAILED"
    record.clear_failure()
    finish(record)
    sync_of(runs, [0, 1]).sync()
    child = child_runs(runs)[key_of(0)]
    assert child.info.status == "FINISHED"
    assert "factorlab.failure" not in child.data.tags
    assert parent_runs(runs)[0].info.status == "FINISHED"


def test_sync_continues_after_damaged_record(runs):
    record = write_record(runs, 0, done=True)
    write_record(runs, 1, done=True)
    (record.path / "result.json").write_text("{")
    sync = sync_of(runs, [0, 1])
    with pytest.raises(RuntimeError):
        sync.sync()
    assert "result.json" in sync.problem
    assert child_runs(runs)[key_of(1)].info.status == "FINISHED"
    finish(record)
    sync.sync()
    assert sync.problem is None
    assert assert_same_points(runs, [0, 1]) == 20


def test_sync_sends_measures_once_despite_failure(runs, monkeypatch):
    write_record(runs, 0)
    record = Record(runs, key_of(0))
    record.analysis.mkdir()
    measures = Journal(record.measures("layer4"))
    measures.append(0, {"dimension": 1.0})
    sync_of(runs, [0]).sync()
    measures.append(10, {"dimension": 2.0})
    with monkeypatch.context() as patch:
        away = OSError("away")
        patch.setattr(
            "sweeps.tracking.trial_runs.log_artifacts", lambda *_: (_ for _ in ()).throw(away)
        )
        with pytest.raises(OSError, match="away"):
            sync_of(runs, [0]).sync()
    assert sync_of(runs, [0]).sync() == 0
    # Measured again, in lines of other lengths.
    record.measures("layer4").write_bytes(b"")
    again = Journal(record.measures("layer4"))
    monkeypatch.setattr(time, "time", lambda: 1.5)
    for step in (0, 10, 20):
        again.append(step, {"dimension": 1.0 + step})
    assert sync_of(runs, [0]).sync() == 1


def test_log_figures_adds_artifacts_to_parent(runs, tmp_path):
    folder = tmp_path / "figures"
    folder.mkdir()
    (folder / "scaling.png").write_bytes(b"png")
    sync = sync_of(runs, [])
    sync.log_figures(sorted(folder.iterdir()))
    assert sync.problem is None
    (parent,) = parent_runs(runs)
    (item,) = client_of(runs).list_artifacts(parent.info.run_id, "figures")
    assert item.path == "figures/scaling.png"


def test_start_and_stop_print_nothing(runs, capfd):
    write_record(runs, 0, done=True)
    sync = sync_of(runs, [0])
    sync.start()
    sync.stop()
    assert sync.problem is None
    assert capfd.readouterr() == ("", "")


def test_sync_refused_while_another_follows(runs):
    first, second = sync_of(runs, [0]), sync_of(runs, [0])
    first.start()
    try:
        wait_for(lambda: len(parent_runs(runs)) == 1)
        engine = client_of(runs)._tracking_client.store.engine
        connections = engine.pool
        with pytest.raises(RuntimeError, match="another process keeps"):
            second.sync()
        assert engine.pool is connections  # a pool that is disposed of in use leaves one open
    finally:
        first.stop()
    second.sync()
    assert len(parent_runs(runs)) == 1
