"""Regular ticks (spec memberlist §6.15)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from serfcompat.swim.ticker import Ticker


def test_a_tick_that_was_missed_is_dropped():
    ran = []
    ticker = Ticker(10, lambda now_ns: ran.append(now_ns) or [])
    assert ticker.begin(3) == 13
    for now_ns, following in ((13, 23), (24, 33), (65, 73), (73, 83)):
        ticker.tick(now_ns)
        assert ticker.next_ns == following
    assert ran == [13, 24, 65, 73]


@given(st.integers(1, 50), st.integers(0, 100), st.lists(st.integers(0, 300), max_size=20))
def test_the_next_tick_is_in_the_future_and_on_the_grid(interval_ns, start_ns, delays):
    ticker = Ticker(interval_ns, lambda _now_ns: [])
    now_ns = ticker.begin(start_ns)
    for delay in delays:
        now_ns = ticker.next_ns + delay
        ticker.tick(now_ns)
        assert now_ns < ticker.next_ns <= now_ns + interval_ns
        assert (ticker.next_ns - start_ns) % interval_ns == 0


def test_the_next_tick_comes_sooner_as_long_as_there_is_haste():
    parts = iter([1, 4, 4, 1])
    ticker = Ticker(40, lambda _now_ns: [], lambda: next(parts))
    assert ticker.begin(0) == 40
    for now_ns, following in ((40, 80), (80, 90), (95, 100), (100, 140)):
        ticker.tick(now_ns)
        assert ticker.next_ns == following
