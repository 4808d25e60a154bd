"""Files of a record that have no test with the code that writes them."""

import json

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
