"""Files of a record that have no test with the code that writes them."""

import errno
import json

import pytest

from factorlab.storage.record import Record


def test_write_code_names_the_run(tmp_path):
    record = Record(tmp_path, "a" * 64)
    record.path.mkdir(parents=True)
    assert record.code() == []
    record.write_code([{"from_step": 0}])
    assert json.loads((record.path / "code.json").read_text())["key"] == record.key
    assert record.code() == [{"from_step": 0}]


def test_clear_result_and_clear_failure_need_no_file(tmp_path):
    record = Record(tmp_path, "a" * 64)
    record.path.mkdir(parents=True)
    for _ in range(2):
        record.clear_result()
        record.clear_failure()
    record.write_result({"steps": 3})
    record.write_failure("loss is nan", 3)
    record.clear_result()
    record.clear_failure()
    assert record.result() is None
    assert record.failure() is None


@pytest.mark.parametrize("name", ["result.json", "metrics.jsonl", "lease"])
def test_file_that_cannot_be_read_makes_a_record_unreadable(tmp_path, name):
    record = Record(tmp_path, "a" * 64)
    record.path.mkdir(parents=True)
    record.journal.touch()
    record.write_result({"steps": 3})
    assert (record.state(), record.problem()) == ("done", None)
    if name == "lease":
        record.clear_result()
    path = record.path / name
    path.unlink(missing_ok=True)
    path.mkdir()
    assert record.state() == "unreadable"
    assert record.problem() == f"{path}: Is a directory"


def test_state_raises_errors_of_the_whole_process(tmp_path, monkeypatch):
    def refused(_):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(Record, "result", refused)
    with pytest.raises(OSError, match="Too many open files"):
        Record(tmp_path, "a" * 64).state()


def test_error_while_reading_names_the_file(tmp_path, monkeypatch):
    def failing(*_):
        raise OSError(errno.EIO, "Input/output error")

    record = Record(tmp_path, "a" * 64)
    record.path.mkdir(parents=True)
    record.journal.touch()
    record.write_result({"steps": 3})
    monkeypatch.setattr("hashlib.file_digest", failing)
    assert record.state() == "unreadable"
    assert record.problem() == f"{record.journal}: Input/output error"
