"""Suspicion timers: the tables of spec memberlist §6.9 and Appendix C, and the laws behind them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serfcompat.swim.config import MemberlistConfig, Timing
from serfcompat.swim.suspicion import Suspicion, confirmations_wanted, suspicion_timeouts, timeout_ns
from tests.swim.harness import MS, SECOND


def suspicion(*, k: int = 3, min_ns: int = 2 * SECOND, max_ns: int = 30 * SECOND, started_ns: int = 0) -> Suspicion:
    return Suspicion(b"first", k=k, min_ns=min_ns, max_ns=max_ns, started_ns=started_ns)


@pytest.mark.statement("M-149")
@pytest.mark.parametrize(
    ("mult", "nodes", "k"),
    [(4, 1, 0), (4, 2, 0), (4, 3, 0), (4, 4, 2), (4, 10, 2), (4, 1000, 2), (6, 5, 0), (6, 6, 4), (3, 2, 0), (3, 3, 1)],
)
def test_confirmations_wanted(mult, nodes, k):
    assert confirmations_wanted(mult, nodes) == k


@pytest.mark.statement("M-150")
@pytest.mark.parametrize(
    ("nodes", "shortest", "longest"),
    [
        (0, 4.0, 24.0),
        (1, 4.0, 24.0),
        (3, 4.0, 24.0),
        (10, 4.0, 24.0),
        (50, 6.792, 40.752),
        (100, 8.0, 48.0),
        (500, 10.792, 64.752),
        (1000, 12.0, 72.0),
    ],
)
def test_lan_timeouts_of_appendix_c(nodes, shortest, longest):
    lan = MemberlistConfig.lan()
    got = suspicion_timeouts(
        lan.suspicion_mult, lan.suspicion_max_timeout_mult, nodes, Timing.of(lan).probe_interval_ns
    )
    assert got == (round(shortest * SECOND), round(longest * SECOND))


@pytest.mark.statement("M-150")
def test_the_test_style_case_of_appendix_c():
    shortest, longest = suspicion_timeouts(5, 2, 5, 100 * MS)
    assert (shortest, longest) == (500 * MS, 1000 * MS)
    assert [timeout_ns(c, 3, shortest, longest) // MS for c in range(5)] == [1000, 750, 603, 500, 500]


@pytest.mark.statement("M-151")
@pytest.mark.parametrize(
    ("confirmations", "elapsed_s", "remaining_ms"),
    [(0, 0, 30_000), (1, 2, 14_000), (2, 3, 4_810), (3, 4, -2_000), (4, 5, -3_000), (5, 10, -8_000)],
)
def test_remaining_time(confirmations, elapsed_s, remaining_ms):
    whole_ns = timeout_ns(confirmations, 3, 2 * SECOND, 30 * SECOND)
    assert whole_ns - elapsed_s * SECOND == remaining_ms * MS


@pytest.mark.statement("M-152")
def test_without_k_it_starts_at_the_shortest_wait_and_takes_no_confirmations():
    alone = suspicion(k=0)
    assert alone.due_ns == 2 * SECOND
    assert not alone.confirm(b"second", SECOND)
    assert alone.due_ns == 2 * SECOND
    assert suspicion(k=1).due_ns == 30 * SECOND


@pytest.mark.statement("M-137", "M-138")
def test_each_accuser_counts_once_and_only_k_of_them():
    one = suspicion(k=2)
    assert not one.confirm(b"first", 0)
    assert one.confirm(b"second", 0)
    assert not one.confirm(b"second", 0)
    assert one.confirm(b"third", 0)
    assert not one.confirm(b"fourth", 0)
    assert one.confirmations == 2
    assert one.due_ns == 2 * SECOND


@pytest.mark.statement("M-153")
def test_a_confirmation_that_leaves_no_time_makes_it_due_now():
    late = suspicion(k=3)
    for accuser in (b"second", b"third", b"fourth"):
        assert late.confirm(accuser, 20 * SECOND)
    assert late.due_ns == 20 * SECOND


def test_it_can_be_postponed_only_once():
    one = suspicion()
    assert one.postpone(31 * SECOND)
    assert one.due_ns == 31 * SECOND
    assert not one.postpone(32 * SECOND)
    assert one.due_ns == 31 * SECOND


@pytest.mark.property
@pytest.mark.statement("M-138", "M-151")
@given(st.lists(st.tuples(st.binary(max_size=2), st.integers(0, 10 * SECOND)), max_size=12), st.integers(0, 5))
def test_more_accusers_never_lengthen_the_wait_nor_bring_it_below_the_shortest(accusations, k):
    one = suspicion(k=k)
    now_ns = 0
    for accuser, later_ns in accusations:
        now_ns += later_ns
        before_ns = one.due_ns
        counted = one.confirm(accuser, now_ns)
        assert one.due_ns >= 2 * SECOND
        assert one.due_ns <= max(before_ns, now_ns)
        assert counted or one.due_ns == before_ns
    assert one.confirmations <= k


@pytest.mark.property
@pytest.mark.statement("M-150")
@given(st.integers(1, 20), st.integers(1, 8), st.integers(0, 200_000), st.integers(1, 60 * SECOND))
def test_timeouts_grow_with_the_cluster(mult, max_mult, nodes, interval_ns):
    shortest, longest = suspicion_timeouts(mult, max_mult, nodes, interval_ns)
    assert longest == max_mult * shortest
    assert shortest >= mult * interval_ns
    assert suspicion_timeouts(mult, max_mult, nodes + 1, interval_ns)[0] >= shortest
