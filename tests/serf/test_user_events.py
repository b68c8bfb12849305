"""User events."""

import logging

import pytest

from serfcompat.errors import PayloadTooLarge
from serfcompat.serf.lamport import LTIME_MAX
from serfcompat.serf.snapshot import Snapshot
from serfcompat.wire.serf_messages import UserEventMessage

from .nodes import Node

LOG = logging.getLogger("serfcompat.serf")


def event(ltime, name=b"deploy", payload=b"v1", cc=False):
    return UserEventMessage(ltime, name, payload, cc)


@pytest.mark.statement("S-052")
def test_an_event_carries_the_time_before_the_increment():
    node = Node()
    node.did(node.engine.user_event("deploy", b"v1", True, 0))
    assert node.core.event_clock.time == 2
    assert node.gossip() == [event(1, cc=True).encode()]
    [told] = node.events()
    assert (told.ltime, told.name, told.payload, told.coalesce) == (1, "deploy", b"v1", True)


@pytest.mark.statement("S-102", "S-054")
def test_name_and_payload_over_the_limit_are_refused_before_encoding():
    node = Node()
    with pytest.raises(PayloadTooLarge) as caught:
        node.engine.user_event("n" * 13, b"p" * 500, False, 0)
    assert str(caught.value) == "user event exceeds configured limit of 512 bytes before encoding"
    assert (caught.value.limit, caught.value.size) == (512, 513)
    assert node.core.event_clock.time == 1
    assert node.gossip() == []


@pytest.mark.statement("S-103", "S-054")
def test_what_fits_before_encoding_may_not_fit_after():
    node = Node()
    node.engine.user_event("n", b"p" * 481, False, 0)
    assert node.core.event_clock.time == 2
    with pytest.raises(PayloadTooLarge) as caught:
        node.engine.user_event("n", b"p" * 482, False, 0)
    assert str(caught.value) == "encoded user event exceeds configured limit of 512 bytes after encoding"
    assert node.core.event_clock.time == 2


def test_the_limit_may_be_raised_to_the_cap():
    node = Node(user_event_size_limit=9216)
    node.engine.user_event("n", b"p" * 9000, False, 0)
    with pytest.raises(PayloadTooLarge, match="configured limit of 9216 bytes before"):
        node.engine.user_event("n", b"p" * 9216, False, 0)


@pytest.mark.statement("S-105", "S-106", "S-112")
def test_the_same_event_is_told_once_and_any_difference_is_another():
    node = Node()
    for message in (
        event(1),
        event(1),
        event(1, cc=True),
        event(1, name=b"other"),
        event(1, payload=b"v2"),
        event(2),
        event(2, payload=b""),
        event(2, payload=None),
    ):
        node.hear(message)
    assert [(e.ltime, e.name, e.payload) for e in node.events()] == [
        (1, "deploy", b"v1"),
        (1, "other", b"v1"),
        (1, "deploy", b"v2"),
        (2, "deploy", b"v1"),
        (2, "deploy", b""),
    ]
    assert len(node.core.queues.events) == 5
    assert node.metrics.counters["serf.events"] == 5
    assert node.metrics.counters["serf.events.deploy"] == 4


@pytest.mark.statement("S-107")
def test_events_older_than_the_buffer_are_dropped(caplog):
    node = Node(event_buffer=4)
    node.hear(event(9))
    node.hear(event(6))
    assert [e.ltime for e in node.events()] == [9, 6]
    node.hear(event(5))
    assert caplog.messages == ["serf: received old event deploy from time 5 (current: 10)"]
    assert len(node.events()) == len(node.core.queues.events) == 2


@pytest.mark.statement("S-108", "S-185")
def test_events_before_the_minimum_are_dropped_silently(caplog):
    node = Node(restored=Snapshot.replay(b"event-clock: 7\n", log=LOG))
    node.hear(event(7))
    assert node.events() == node.gossip() == []
    assert not caplog.records
    node.hear(event(8))
    assert [e.ltime for e in node.events()] == [8]


def test_the_last_lamport_time_is_not_believed():  # defect D-6
    node = Node()
    node.hear(event(LTIME_MAX))
    assert node.events() == node.gossip() == []
    assert node.core.event_clock.time == 1


def test_the_buffer_has_room_for_much_but_not_for_everything(caplog):
    node = Node()
    node.core.events._max_weight = 10_000
    for number in range(100):
        node.hear(event(1, payload=b"%d" % number * 100))
    assert 0 < len(node.events()) == len(node.core.queues.events) < 100
    assert "serf: event buffer is full, dropping event deploy" in caplog.messages
