"""The memory of recent Lamport times."""

from serfcompat.serf.ltime_ring import LTimeRing


def ring(size=4, max_weight=100):
    return LTimeRing[str, str](size, max_weight)


def test_knows_what_was_added_at_the_same_time_only():
    seen = ring()
    assert seen.add(1, "a", "A")
    assert seen.knows(1, "a")
    assert not seen.knows(1, "b")
    assert not seen.knows(2, "a")


def test_a_newer_time_evicts_the_slot_it_falls_into():
    seen = ring(size=4)
    seen.add(1, "a", "A")
    seen.add(5, "b", "B")
    assert not seen.knows(1, "a")
    assert seen.knows(5, "b")
    assert [slot and slot.ltime for slot in seen] == [None, 5, None, None]


def test_old_is_more_than_a_whole_ring_ago():
    seen = ring(size=4)
    assert not seen.is_old(0, clock=4)
    assert not seen.is_old(1, clock=5)
    assert seen.is_old(0, clock=5)


def test_weight_is_bounded_and_given_back_by_eviction():
    seen = ring(size=4, max_weight=10)
    assert seen.add(1, "a", "A", weight=6)
    assert not seen.add(1, "b", "B", weight=5)
    assert not seen.knows(1, "b")
    assert seen.add(5, "c", "C", weight=10)
    assert seen.weight == 10
