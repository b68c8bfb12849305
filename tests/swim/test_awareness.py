"""Lifeguard's health score (spec memberlist §6.10, Appendix C)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serfcompat.swim.awareness import Awareness
from tests.swim.harness import SECOND


@pytest.mark.statement("M-154")
def test_the_sequence_of_appendix_c():
    health = Awareness(8)
    scores = []
    for delta in (0, -1, -10, +1, -1, +10, -1):
        health.apply(delta)
        scores.append(health.score)
    assert scores == [0, 0, 0, 1, 0, 7, 6]


@pytest.mark.statement("M-155")
def test_the_score_stretches_a_duration_up_to_eightfold():
    health = Awareness(8)
    scaled = []
    for _ in range(9):
        scaled.append(health.scale(SECOND) // SECOND)
        health.apply(1)
    assert scaled == [1, 2, 3, 4, 5, 6, 7, 8, 8]


@pytest.mark.property
@pytest.mark.statement("M-154")
@given(st.integers(0, 12), st.lists(st.integers(-20, 20)))
def test_the_score_stays_within_its_bounds_and_tells_changes(most, deltas):
    health = Awareness(most)
    for delta in deltas:
        before = health.score
        assert health.apply(delta) == (health.score != before)
        assert 0 <= health.score <= max(most - 1, 0)
