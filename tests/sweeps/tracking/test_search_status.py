"""The status of a search's parent run: finished only when the search picks no further trial."""

import pytest

from tests.helpers.mlflow_runs import parent_runs, sync_of, write_record

pytestmark = pytest.mark.usefixtures("no_server")


def status_after(sync, runs):
    sync.sync()
    (parent,) = parent_runs(runs)
    return parent.info.status


@pytest.fixture
def stopped(runs):
    """A folder with a search that its user stopped after two finished trials."""
    for number in range(2):
        write_record(runs, number, done=True)
    sync = sync_of(runs, range(2), searches=True)
    sync.start()
    sync.sync()
    assert parent_runs(runs)[0].info.status == "RUNNING"
    sync.stop()
    return runs


def test_stopped_search_is_not_finished(stopped):
    assert parent_runs(stopped)[0].info.status == "KILLED"
    assert status_after(sync_of(stopped, range(2), searches=True), stopped) == "KILLED"


def test_ended_search_is_finished(stopped):
    sync = sync_of(stopped, range(2), searches=True)
    sync.start()
    sync.end_search()
    sync.stop()
    assert parent_runs(stopped)[0].info.status == "FINISHED"
    # A later sync cannot know why the search ended below its budget. It keeps what was said.
    assert status_after(sync_of(stopped, range(2), searches=True), stopped) == "FINISHED"


def test_search_with_a_failed_trial_is_failed(runs):
    write_record(runs, 0, done=True)
    write_record(runs, 1).write_failure("loss is not finite", 40)
    assert status_after(sync_of(runs, range(2), searches=True), runs) == "KILLED"
    sync = sync_of(runs, range(2), searches=True)
    sync.end_search()
    assert status_after(sync, runs) == "FAILED"


def test_killed_search_is_found_by_sync(runs):
    record = write_record(runs, 0)
    with record.lease():
        assert status_after(sync_of(runs, range(1), searches=True), runs) == "RUNNING"
    assert status_after(sync_of(runs, range(1), searches=True), runs) == "KILLED"
