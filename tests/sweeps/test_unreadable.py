"""A record that the system refuses to read: all commands go on with the others and name it."""

import builtins
import errno
import io
import os

import pytest

from analysis.tables.loading import trials_table
from factorlab.errors import UserError
from factorlab.provenance import code_record
from sweeps.execution import measuring
from sweeps.execution.outcomes import Outcomes
from sweeps.planning import saved_plans
from sweeps.reporting import comparison, reports, summary
from sweeps.reporting.html_report import page
from sweeps.reporting.live.watch import Watched
from sweeps.tracking.plan_sync import mlflow_sync_of
from tests.helpers.mlflow_runs import client_of
from tests.sweeps.reporting import synthetic_records

pytestmark = pytest.mark.usefixtures("no_server")

AXES = {"data.sigma": [0.5, 1.0], "seed": [0, 1]}


@pytest.fixture
def refuse(monkeypatch):
    """Returns a function that makes the system refuse all files of a folder, also to root."""

    def refused(folder, number=errno.EACCES):
        def guarded(call):
            def asked(path=".", *arguments, **options):
                inside = not isinstance(path, int) and os.fspath(path).startswith(f"{folder}/")
                if inside or (call.__name__ in ("scandir", "listdir") and str(path) == str(folder)):
                    raise OSError(number, os.strerror(number), os.fspath(path))
                return call(path, *arguments, **options)

            return asked

        for module, name in (
            *((os, name) for name in ("stat", "scandir", "listdir", "open", "mkdir")),
            *((io, "open"), (builtins, "open")),
        ):
            monkeypatch.setattr(module, name, guarded(getattr(module, name)))
        monkeypatch.setattr(os, "access", lambda path, *_: not str(path).startswith(f"{folder}/"))

    return refused


@pytest.fixture
def made(tmp_path):
    """A sweep of four finished runs."""
    made = synthetic_records.make_plan(tmp_path, axes=AXES)
    for trial in made.trials:
        synthetic_records.write_run(made, trial, measured=True)
    return made


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE])
def test_readers_go_on_with_the_other_records(made, refuse, tmp_path, number):
    other = synthetic_records.make_plan(tmp_path, name="other", axes=AXES)
    name, record = next(made.records())
    refuse(record.path, number)
    reason = f"{record.path}/result.json: {os.strerror(number)}"

    found = reports.status(made)
    assert (found.counts["done"], found.counts["unreadable"]) == (3, 1)
    assert found.problems == {name: ("unreadable", reason)}
    state, shown = Watched().look(made)
    assert (shown.done, state.counts()["unreadable"]) == (3, 1)
    table = trials_table(made.runs, made.keys).set_index("key")
    assert table["accuracy"].notna().sum() == 3
    assert table.loc[record.key, "state"] == "unreadable"
    assert reports.evaluations(made)["last"].sum() == 3
    compared = comparison.compare(made.sweep, other.sweep, runs=made.runs)
    assert compared.name_b == other.sweep
    report = page.write(made, tmp_path / "figures", [])
    assert reason in report.read_text("utf-8")
    with pytest.raises(UserError, match=r"result.json: .*; an archive has the records of all runs"):
        reports.export(made, tmp_path / "made.tar.xz")
    chosen = [measuring.TrialReference.of(trial) for trial in made.trials]
    left = measuring._look(chosen, made.runs, None)
    assert (left.before, [one.name for one in left.problems]) == (3, [name])


def test_half_measured_runs_are_reported_once_representations_are_gone(made):
    whole, half, *_ = made.trials
    lines = made.record(half).measures("layer4").read_bytes().splitlines(keepends=True)
    made.record(half).measures("layer4").write_bytes(b"".join(lines[:-1]))
    chosen = [measuring.TrialReference.of(trial) for trial in (whole, half)]
    left = measuring._look(chosen, made.runs, None)
    assert left.before == 1
    assert [one.name for one in left.problems] == [half.name]
    further = measuring.TrialReference(whole.key, whole.name, ("layer4", "layer4-t300"))
    assert measuring._look([further], made.runs, None).before == 0


def test_the_other_records_are_sent_to_mlflow(made, refuse):
    name, record = next(made.records())
    refuse(record.path)
    sync = mlflow_sync_of(made)
    sync.start()
    sync.stop()
    assert sync.problem is not None
    client = client_of(made.runs)
    experiment = client.get_experiment_by_name(made.experiment).experiment_id
    sent = client.search_runs([experiment], "tags.`factorlab.role` = 'trial'")
    finished = [run.info.run_name for run in sent if run.info.status == "FINISHED"]
    assert sorted(finished) == sorted(trial.name for trial in made.trials if trial.name != name)


def test_plans_of_other_sweeps_are_found(made, refuse, tmp_path, caplog):
    other = synthetic_records.make_plan(tmp_path, name="other", axes=AXES)
    refuse(tmp_path / "runs" / "sweeps" / other.sweep)
    assert [plan.sweep for plan in saved_plans.saved(tmp_path / "runs")] == [made.sweep]
    assert "plan.json: Permission denied; this sweep is skipped" in caplog.text


def test_error_of_the_whole_process_is_raised(made, refuse):
    refuse(next(made.records())[1].path, errno.EMFILE)
    for read in (made.state, lambda: trials_table(made.runs, made.keys)):
        with pytest.raises(OSError, match="Too many open files"):
            read()


def test_unreadable_code_is_kept_and_readers_go_on(made, tmp_path):
    other = synthetic_records.make_plan(tmp_path, name="other", axes=AXES)
    trial = made.trials[0]
    record = made.record(trial)
    record.clear_result()
    record.write_code([synthetic_records.CODE])
    (record.path / "code.json").rename(tmp_path / "code.json")
    (record.path / "code.json").symlink_to("code.json")  # a loop, which even root cannot read
    with pytest.raises(OSError, match="symbolic links"):
        code_record.note(record, 3)
    assert (record.path / "code.json").is_symlink()
    assert page.write(made, tmp_path / "figures", []).exists()
    assert comparison.compare(made.sweep, other.sweep, runs=made.runs).name_a == made.sweep
    assert summary._trained_by_other_code(made, Outcomes({trial.key: "done"})) == []
    (tmp_path / "code.json").replace(record.path / "code.json")
    code_record.note(record, 3)
    assert [entry["from_step"] for entry in record.code()] == [0, 3]


def test_reason_of_a_failure_may_be_unreadable(made):
    name, record = next(made.records())
    record.clear_result()
    record.write_failure("loss is nan", 3)
    (record.path / "failure.json").unlink()
    (record.path / "failure.json").mkdir()
    reason = f"unknown, since {record.path}/failure.json: Is a directory"
    assert reports.status(made).failures == {name: reason}
