"""Lists and values for people: short whatever they hold."""

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factorlab import formatting
from factorlab.errors import LONGEST_MESSAGE, UserError
from factorlab.formatting import MOST_ITEMS, first_of, listed, named, shortened


def test_the_examples_hold():
    assert doctest.testmod(formatting).failed == 0


@given(st.lists(st.text(max_size=100), max_size=60))
def test_a_list_is_short_and_says_how_long_it_is(items):
    said = listed(items)
    assert len(said) < 1600
    if len(items) > MOST_ITEMS:
        assert said.endswith(f"({len(items)} in all)")


@given(st.text(max_size=60), st.integers(9, 40))
def test_a_text_is_cut_to_a_length_with_both_ends(words, most):
    cut = shortened(words, most)
    assert len(cut) <= most
    assert cut == words or (cut[0], cut[-1]) == (words[0], words[-1])


@given(st.text(max_size=60), st.text(max_size=60))
def test_names_that_are_cut_stay_different(one, other):
    assert len(named(one, 20)) <= 20
    assert (named(one, 20) == named(other, 20)) == (one == other)


@pytest.mark.parametrize(("count", "shown"), [(0, 0), (MOST_ITEMS, MOST_ITEMS), (2000, 25)])
def test_of_many_lines_the_first_are_shown_and_the_others_counted(count, shown):
    lines = first_of([str(i) for i in range(count)], "; see there")
    assert len(lines) == shown
    if count > shown:
        assert lines[-1] == "... and 1976 more; see there"


def test_a_mistake_with_an_endless_key_is_a_sentence_with_its_remedy():
    said = str(UserError(f"mine.yaml: unknown key '{'x' * 10**6}'; allowed: seed"))
    assert len(said) <= LONGEST_MESSAGE
    assert said.startswith("mine.yaml: unknown key 'x")
    assert said.endswith("x'; allowed: seed")
