"""The benchmark of the time left reads what a sweep prints."""

import pytest

from sweeps.reporting.live.snapshot import Snapshot
from tests.benchmarks.time_left import Statement, measurements, statements


def line(share, left, done=2):
    return Snapshot("many", share, done, 20, left=left).line()


@pytest.mark.parametrize(
    ("left", "rounded"), [(0.0, 0), (88.6, 89), (100.0, 120), (6000.0, 6120), (300_000.0, 302_400)]
)
def test_statements_have_every_unit(left, rounded):
    stated, end = statements([(5.0, line(0.1234, left))])
    assert stated == [Statement(5.0, 0.12, pytest.approx(rounded))]
    assert end == 5.0


def test_measurements_compare_stated_with_true():
    lines = [
        (5.0, line(0.09, None)),
        (10.0, line(0.12, 80.0)),
        (12.0, "N8 bump: accuracy 50%"),
        (70.0, line(0.61, 60.0)),
        (110.0, line(1.0, None, done=20)),
        (115.0, "figures: figures/many"),
    ]
    stated, end = statements(lines)
    assert end == 110.0
    found = {m.quantity: m.value for m in measurements("many", stated, end)}
    assert found == {
        "training": 110.0,
        "at 10%, stated": 80.0,
        "at 10%, true": 100.0,
        "at 10%, stated / true": 0.8,
        **{
            f"at {share}%, {name}": value
            for share in (25, 50)
            for name, value in (("stated", 60.0), ("true", 40.0), ("stated / true", 1.5))
        },
    }
