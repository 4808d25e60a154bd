"""The tables of performance in the documentation are those of the history."""

import pytest

from tests.benchmarks import tables

PAGE = """<!--
measured: {step: ["2026-01-02T03:04:05+00:00"]}
command: make bench-step
first: N, width
columns: {time: , ratio: eager over ours}
rows: {"N = 8": "8"}
-->
old
<!-- end -->
after
"""

HISTORY = """time,revision,machine,table,case,quantity,value,unit,better
2026-01-01T00:00:00+00:00,aaaa,A,step,N = 8,time,9.9,ms,lower
2026-01-02T03:04:05+00:00,bbbb+,B,step,N = 8,time,1234.5,ms,lower
2026-01-02T03:04:05+00:00,bbbb+,B,step,N = 8,ratio,2.0004,,higher
2026-01-02T03:04:05+00:00,bbbb+,B,step,N = 9,time,1.5,ms,lower
"""


@pytest.fixture
def history(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text(HISTORY)
    return path


@pytest.mark.parametrize("page", tables.pages(), ids=lambda page: page.name)
def test_page_has_the_numbers_of_the_history(page):
    text = page.read_text("utf-8")
    assert tables.rewritten(text) == text


def test_page_of_throughput_has_such_tables():
    assert "throughput.md" in [page.name for page in tables.pages()]


def test_rewritten_takes_the_run_that_the_page_names(history):
    found = tables.rewritten(PAGE, history)
    assert found.endswith("<!-- end -->\nafter\n")
    assert found.splitlines()[7:13] == [
        "",
        "| N, width | time, ms | eager over ours |",
        "| --- | --- | --- |",
        "| 8 | 1,234 | 2 |",
        "",
        "`make bench-step`, 2026-01-02, B, commit `bbbb` with changes.",
    ]
    assert tables.rewritten(found, history) == found


def test_rewritten_names_all_machines_and_refuses_other_units(history):
    both = PAGE.replace('["', '["2026-01-01T00:00:00+00:00", "').replace("rows:", "#")
    assert "2026-01-01 and 2026-01-02, A and B, commit `aaaa` and `bbbb` with changes." in (
        tables.rewritten(both, history)
    )
    history.write_text(HISTORY.replace("9.9,ms", "9.9,s"))
    with pytest.raises(ValueError, match="several units"):
        tables.rewritten(both, history)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("03:04:05", "03:04:06", "no run of 'step' at 2026-01-02T03:04:06"),
        ("ratio:", "rate:", "no quantity 'rate'"),
        ("N = 8", "N = 7", "no case 'N = 7'"),
    ],
)
def test_rewritten_refuses_what_was_not_measured(history, old, new, said):
    with pytest.raises(ValueError, match=said):
        tables.rewritten(PAGE.replace(old, new), history)
