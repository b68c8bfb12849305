"""Random selection (spec memberlist §6.10, Go `kRandomNodes`)."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serfcompat.swim.dice import pick


class Unlucky(random.Random):
    """Draws the first of everything, and does not shuffle."""

    def randrange(self, *_args: int) -> int:
        return 0

    def shuffle(self, x: list[object]) -> None:
        pass


@pytest.mark.statement("M-171")
@pytest.mark.parametrize(("items", "found"), [(8, [0, 2, 4]), (9, [0])])
def test_below_three_times_the_count_every_item_is_looked_at(items, found):
    assert pick(Unlucky(), 3, range(items), lambda item: item % 2 == 0) == found


@pytest.mark.statement("M-171")
def test_in_a_small_list_all_that_are_wanted_are_found_whatever_the_dice():
    for seed in range(50):
        assert sorted(pick(random.Random(seed), 3, range(8), lambda item: item in (1, 6, 7))) == [1, 6, 7]


@pytest.mark.statement("M-171")
def test_in_a_large_list_three_draws_per_item_are_made_at_most():
    looked_at = []
    assert pick(random.Random(1), 2, range(100), lambda item: bool(looked_at.append(item))) == []
    assert len(looked_at) == 300


@pytest.mark.property
@pytest.mark.statement("M-159", "M-171")
@given(st.integers(0, 6), st.integers(0, 40), st.integers(0, 2**32), st.sets(st.integers(0, 40)))
def test_never_more_than_asked_never_twice_and_only_wanted_ones(count, size, seed, unwanted):
    got = pick(random.Random(seed), count, range(size), lambda item: item not in unwanted)
    assert len(got) == len(set(got)) <= count
    assert not unwanted.intersection(got)
