import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serfcompat.errors import UsageError
from serfcompat.sim.latency import About, Fixed, Uniform, latency_of


@pytest.mark.parametrize("text", ["1ms", "1ms..5ms", "~3ms"])
def test_reads_back_what_it_writes(text):
    assert str(latency_of(text)) == text


def test_bounds_may_come_in_any_order():
    assert latency_of("5ms..1ms") == Uniform(1_000_000, 5_000_000)


@pytest.mark.parametrize("text", ["", "~", "1ms..", "fast"])
def test_refuses_what_is_no_latency(text):
    with pytest.raises(UsageError):
        latency_of(text)


@pytest.mark.property
@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers())
def test_a_uniform_one_stays_within_its_bounds(low, width, seed):
    assert low <= Uniform(low, low + width).draw(random.Random(seed)) <= low + width


def test_half_of_a_log_normal_one_is_below_the_median_and_its_tail_is_long():
    dice = random.Random(7)
    drawn = sorted(About(1_000_000).draw(dice) for _ in range(4000))
    assert drawn[2000] == pytest.approx(1_000_000, rel=0.05)
    assert drawn[3900] > 2_500_000
    assert drawn[0] > 0


def test_a_fixed_one_needs_no_dice():
    assert Fixed(7).draw(None) == 7
