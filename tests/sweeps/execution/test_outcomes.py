"""Outcomes of several rounds of one sweep."""

from sweeps.execution.outcomes import Outcomes


def test_outcomes_then_keeps_both_rounds():
    first = Outcomes(
        {"a": "done"}, {"b": "full"}, {"c": "died"}, {"one": "no torch"}, interrupted=True, lost="x"
    )
    later = Outcomes({"a": "failed", "d": "done"}, {"e": "full"}, {"f": "died"}, {"two": "no ray"})
    assert first.then(later) == Outcomes(
        {"a": "failed", "d": "done"},
        {"b": "full", "e": "full"},
        {"c": "died", "f": "died"},
        {"one": "no torch", "two": "no ray"},
        interrupted=False,
        lost=None,
    )
