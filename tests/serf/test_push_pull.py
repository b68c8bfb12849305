"""Serf's part of push/pull."""

import logging

import pytest

from serfcompat.serf.member import MemberStatus
from serfcompat.serf.push_pull import local_state
from serfcompat.swim.events import RemoteStateReceived
from serfcompat.wire.serf_messages import (
    BufferedEvent,
    EventSlot,
    JoinIntent,
    LeaveIntent,
    SerfPushPull,
    UserEventMessage,
)

from .nodes import Node


def state(*, ltime=0, status=None, left=(), event_ltime=0, events=None, query_ltime=0):
    return SerfPushPull(ltime, status or {}, list(left), event_ltime, events, query_ltime)


def merge(node, remote, join=False):
    raw = remote if isinstance(remote, bytes) else remote.encode()
    return node.swim(RemoteStateReceived(raw, join))


def clocks(node):
    return (node.core.clock.time, node.core.event_clock.time, node.core.query_clock.time)


@pytest.mark.statement("S-050")
def test_clocks_are_taken_over():
    node = Node()
    merge(node, state(ltime=42, event_ltime=50, query_ltime=100))
    assert clocks(node) == (42, 50, 100)


@pytest.mark.statement("S-051")
def test_clocks_that_stand_at_nothing_say_nothing():
    node = Node()
    node.core.clock.time = node.core.event_clock.time = node.core.query_clock.time = 0
    merge(node, state())
    assert clocks(node) == (0, 0, 0)


@pytest.mark.statement("S-073")
def test_who_left_gets_a_leave_one_later_than_its_status():
    node = Node()
    node.joins("b")
    node.hear(JoinIntent(5, b"b"))
    merge(node, state(status={b"b": 5}, left=[b"b"]))
    assert (node.status("b"), node.ltime("b")) == (MemberStatus.LEAVING, 6)


def test_who_hears_of_an_intent_that_it_never_sent_says_that_it_is_here():
    """Else those who believed it would take this node for leaving for ever; only its own word can help."""
    node = Node().start()
    node.hear(JoinIntent(5, b"me"))
    node.core.queues.intents.reset()
    for told, says in ((5, []), (6, [JoinIntent(10, b"me").encode()]), (10, [])):
        merge(node, state(ltime=9, status={b"me": told}))
        assert node.gossip() == says
        node.core.queues.intents.reset()
    assert node.ltime("me") == 10


@pytest.mark.statement("S-074")
def test_who_left_without_a_status_left_at_time_one():
    node = Node()
    node.joins("b")
    merge(node, state(left=[b"b"]))
    assert (node.status("b"), node.ltime("b")) == (MemberStatus.LEAVING, 1)


@pytest.mark.statement("S-075")
def test_nothing_learned_here_is_passed_on():
    node = Node()
    node.joins("b")
    slot = EventSlot(3, [BufferedEvent(b"e", b"x")])
    merge(node, state(status={b"b": 4, b"stranger": 5}, left=[b"ghost"], event_ltime=4, events=[slot]))
    assert node.ltime("b") == 4
    assert len(node.core.intents) == 2
    assert len(node.events()) == 2
    assert node.gossip() == []


@pytest.mark.statement("S-110")
def test_events_learned_here_are_not_to_be_coalesced_and_later_copies_are_known():
    node = Node()
    merge(node, state(event_ltime=2, events=[None, EventSlot(1, [BufferedEvent(b"e", b"x")]), EventSlot(2, None)]))
    node.hear(UserEventMessage(1, b"e", b"x", True))
    [event] = node.events()
    assert (event.ltime, event.name, event.payload, event.coalesce) == (1, "e", b"x", False)


@pytest.mark.statement("S-109")
@pytest.mark.parametrize(("ignore_old", "join", "told"), [(True, True, 0), (True, False, 1), (False, True, 1)], ids=str)
def test_a_join_that_ignores_the_past_hears_only_what_is_newer(ignore_old, join, told):
    node = Node()
    node.engine.begin_join(ignore_old)
    merge(node, state(event_ltime=5, events=[EventSlot(4, [BufferedEvent(b"e", b"x")])]), join=join)
    node.did(node.engine.joined(0, ignore_old, 0))
    assert len(node.events()) == told
    assert node.core.event_min_time == (5 if ignore_old and join else 0)
    node.hear(UserEventMessage(5, b"new", None, False))
    assert len(node.events()) == told + 1


@pytest.mark.statement("S-111")
def test_the_whole_ring_is_sent_with_nil_for_unused_slots():
    node = Node(event_buffer=3)
    node.hear(UserEventMessage(1, b"deploy", b"v1", True))
    node.hear(UserEventMessage(1, b"x", None, False))
    sent = SerfPushPull.decode(local_state(node.core)[1:])
    assert sent.events == [None, EventSlot(1, [BufferedEvent(b"deploy", b"v1"), BufferedEvent(b"x", None)]), None]
    assert len(SerfPushPull.decode(local_state(Node().core)[1:]).events) == 512


def test_the_live_state_of_upstream_is_reproduced():  # appendix A-33, the tail after the events
    node = Node("alpha")
    node.joins("alpha")
    node.joins("beta")
    node.hear(JoinIntent(1, b"beta"))
    node.did(node.engine.user_event("deploy", b"v1", False, 0))
    node.did(node.engine.user_event("deploy", None, False, 0))
    node.core.query_clock.witness(1)
    node.core.clock.time = 2
    expected = (
        "0286aa4576656e744c54696d6503a64576656e7473dc0200c082a64576656e74739182a44e616d65a66465706c6f79a75061796c6f6164"
        "a27631a54c54696d650182a64576656e74739182a44e616d65a66465706c6f79a75061796c6f6164c0a54c54696d6502"
        + 509
        * "c0"
        + "a54c54696d6502ab4c6566744d656d6265727390aa51756572794c54696d6502ac5374617475734c54696d657382a5616c70686100"
        "a46265746101"
    )
    assert local_state(node.core).hex() == expected


def test_who_left_is_listed():
    node = Node()
    node.joins("b")
    node.hear(LeaveIntent(3, b"b"))
    node.leaves("b")
    sent = SerfPushPull.decode(local_state(node.core)[1:])
    assert sent.left_members == [b"b"]
    assert sent.status_ltimes == {b"b": 3}


@pytest.mark.parametrize(
    ("raw", "complaint"),
    [
        (b"", "serf: Remote state is zero bytes"),
        (b"\x01\x80", "serf: Remote state has bad type prefix: 1"),
        (b"\x02\xff", "serf: Failed to decode remote state: "),
    ],
)
def test_what_is_no_state_is_refused(raw, complaint, caplog):
    node = Node()
    merge(node, raw)
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage().startswith(complaint)
    assert clocks(node) == (1, 1, 1)


def test_a_status_at_the_end_of_time_is_not_believed():  # defect D-6
    node = Node()
    node.joins("b")
    merge(node, state(status={b"b": 2**64 - 1}, left=[b"b"]))
    assert (node.status("b"), node.ltime("b"), node.core.clock.time) == (MemberStatus.ALIVE, 0, 1)
