import pytest
from hypothesis import given
from hypothesis import strategies as st

from serfcompat.sim.clock import EXACT, HostClock

RATES = st.integers(EXACT // 10, EXACT * 10)
TIMES = st.integers(0, 10**13)


@pytest.mark.property
@given(RATES, TIMES, TIMES)
def test_a_timer_is_never_early_and_hardly_late(rate, origin_ns, wait_ns):
    clock = HostClock(origin_ns, rate)
    due = clock.world(origin_ns + wait_ns)
    assert clock.read(due) >= origin_ns + wait_ns
    assert due == 0 or clock.read(due - 1) < origin_ns + wait_ns


@pytest.mark.property
@given(st.lists(st.tuples(RATES, st.integers(1, 10**10)), max_size=6))
def test_it_never_goes_back_whatever_its_pace(changes):
    clock, world, last = HostClock(5), 0, 5
    for rate, wait_ns in changes:
        clock.run_at(rate, world)
        assert clock.read(world) >= last
        world += wait_ns
        last = clock.read(world)
        assert last >= 5


def test_at_half_pace_a_second_takes_two():
    clock = HostClock()
    clock.run_at(EXACT // 2, world_ns=100)
    assert clock.read(300) == 200
    assert clock.world(200) == 300
