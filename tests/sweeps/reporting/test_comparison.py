"""The comparison of two sweeps names what they were made with; see also tests/api."""

from sweeps.reporting import comparison
from tests.sweeps.reporting import synthetic_records


def test_commits_that_differ_are_named(tmp_path):
    sweeps = []
    for name, seeds, revision in (("first", [0, 1], "a" * 40), ("second", [2, 3], "b" * 40)):
        made = synthetic_records.make_plan(tmp_path, name=name, axes={"seed": seeds})
        for trial in made.trials:
            record = synthetic_records.write_run(made, trial)
            record.write_code([synthetic_records.CODE | {"revision": revision}])
        sweeps.append(made.sweep)
    compared = comparison.compare(*sweeps, runs=tmp_path / "runs")
    assert compared.facts["code"] == (["a" * 12], ["b" * 12])
