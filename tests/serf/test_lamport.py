"""Lamport clocks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serfcompat.serf.lamport import LTIME_MAX, LamportClock


@pytest.mark.statement("S-047")
def test_witness_jumps_past_later_times_and_ignores_earlier_ones():
    clock = LamportClock(1)
    for heard, expected in ((41, 42), (41, 42), (30, 42)):
        clock.witness(heard)
        assert clock.time == expected


@pytest.mark.statement("S-048")
def test_witnessing_the_present_advances_by_one():
    clock = LamportClock(7)
    clock.witness(7)
    assert clock.time == 8


@pytest.mark.statement("S-049")
def test_increment_returns_the_new_time():
    clock = LamportClock(1)
    assert clock.increment() == 2
    assert clock.time == 2


def test_the_last_time_there_is_cannot_turn_the_clock_back():  # defect D-6
    clock = LamportClock(5)
    clock.witness(LTIME_MAX)
    assert clock.time == 5
    clock.witness(LTIME_MAX - 1)
    assert clock.increment() == LTIME_MAX


@pytest.mark.property
@given(st.lists(st.integers(0, LTIME_MAX)))
def test_a_clock_is_never_behind_what_it_believed_nor_goes_back(heard):
    clock = LamportClock(1)
    for time in heard:
        before = clock.time
        clock.witness(time)
        assert clock.time >= before
        assert clock.time > time or time == LTIME_MAX
