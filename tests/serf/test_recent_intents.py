"""Intents for members that are not known yet."""

import pytest

from serfcompat.serf.recent_intents import IntentType, RecentIntents

JOIN, LEAVE = IntentType.JOIN, IntentType.LEAVE


@pytest.mark.statement("S-059")
def test_only_a_strictly_later_intent_replaces_one_whatever_its_type():
    intents = RecentIntents()
    assert intents.upsert(b"x", JOIN, 5, now_ns=0)
    assert not intents.upsert(b"x", JOIN, 5, now_ns=0)
    assert not intents.upsert(b"x", LEAVE, 5, now_ns=0)
    assert not intents.upsert(b"x", LEAVE, 4, now_ns=0)
    assert intents.lookup(b"x", JOIN) == 5
    assert intents.upsert(b"x", LEAVE, 6, now_ns=0)
    assert intents.lookup(b"x", JOIN) is None
    assert intents.lookup(b"x", LEAVE) == 6


def test_expiry_needs_strictly_more_than_the_timeout():
    intents = RecentIntents()
    intents.upsert(b"x", JOIN, 5, now_ns=100)
    intents.expire(50, now_ns=150)
    assert intents.lookup(b"x", JOIN) == 5
    intents.expire(50, now_ns=151)
    assert intents.lookup(b"x", JOIN) is None


def test_strangers_cannot_fill_the_memory():
    intents = RecentIntents()

    def flood():
        return sum(intents.upsert(b"%04d" % number * 1000, JOIN, 1, now_ns=0) for number in range(6000))

    stored = flood()
    assert stored == len(intents) == 16 * 1024 * 1024 // (4000 + 128)
    assert flood() == 0
    intents.expire(0, now_ns=1)
    assert len(intents) == 0
    assert flood() == stored  # the room was given back
