"""How often workers report, whatever their number."""

from hypothesis import given
from hypothesis import strategies as st

from sweeps.execution.tune_runner import MOST_REPORTS, REPORT_EVERY, report_period


@given(st.integers(1, 10_000))
def test_workers_together_report_at_most_so_often(workers):
    assert workers / report_period(workers) <= MOST_REPORTS * (1 + 1e-9)


@given(st.integers(1, int(MOST_REPORTS * REPORT_EVERY)))
def test_few_workers_report_as_often_as_one(workers):
    assert report_period(workers) == REPORT_EVERY
