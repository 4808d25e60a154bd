"""Lists and values in messages: short for any content."""

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factorlab import formatting
from factorlab.errors import LONGEST_MESSAGE, UserError
from factorlab.formatting import LONGEST_ITEM, MOST_ITEMS, first_of, listed, named, shortened


def test_formatting_doctests():
    assert doctest.testmod(formatting).failed == 0


@given(st.lists(st.text(max_size=100), max_size=60))
def test_listed_is_short_and_counts_items(items):
    said = listed(items)
    assert len(said) <= MOST_ITEMS * LONGEST_ITEM + (MOST_ITEMS - 1) * len(", ")
    if len(items) > MOST_ITEMS:
        assert said.endswith(f"({len(items)} in all)")


@given(st.text(max_size=60), st.integers(9, 40))
def test_shortened_keeps_both_ends(words, most):
    cut = shortened(words, most)
    assert len(cut) <= most
    assert cut == words or (cut[0], cut[-1]) == (words[0], words[-1])


@given(st.text(max_size=60), st.text(max_size=60))
def test_named_keeps_cut_names_different(one, other):
    assert len(named(one, 20)) <= 20
    assert (named(one, 20) == named(other, 20)) == (one == other)


@pytest.mark.parametrize(("count", "shown"), [(0, 0), (MOST_ITEMS, MOST_ITEMS), (2000, 25)])
def test_first_of_counts_the_rest(count, shown):
    lines = first_of([str(i) for i in range(count)], "; see there")
    assert len(lines) == shown
    if count > shown:
        assert lines[-1] == "... and 1976 more; see there"


def test_user_error_shortens_endless_key():
    said = str(UserError(f"mine.yaml: unknown key '{'x' * 10**6}'; allowed: seed"))
    assert len(said) <= LONGEST_MESSAGE
    assert said.startswith("mine.yaml: unknown key 'x")
    assert said.endswith("x'; allowed: seed")
