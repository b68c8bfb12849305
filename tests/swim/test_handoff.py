"""The two queues between the receive path and the claims (spec memberlist §1.9.1)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serfcompat.swim.effects import Emit, SendPacket
from serfcompat.swim.events import MessageReceived, NodeJoined, NodeState
from serfcompat.swim.handoff import HandoffQueue
from serfcompat.wire.messages import Ack, IndirectPing, Nack, Ping
from serfcompat.wire.packet import compound
from tests.swim.harness import ELSEWHERE, QUIET, THERE, Node, address_of, alive, dead, events, suspect


def quiet(**config) -> Node:
    me = Node(**QUIET, **config)
    me.silence()
    return me


def drained(queue: HandoffQueue) -> list[bytes]:
    messages = []
    while (message := queue.pop()) is not None:
        messages.append(message)
    return messages


@pytest.mark.statement("M-039")
def test_the_newest_comes_first_and_the_high_queue_before_the_low():
    queue = HandoffQueue(10)
    for message, high in ((b"l1", False), (b"h1", True), (b"l2", False), (b"h2", True)):
        assert queue.put(message, high=high)
    assert drained(queue) == [b"h2", b"h1", b"l2", b"l1"]


@pytest.mark.statement("M-040")
def test_a_full_queue_refuses_the_new_and_the_other_has_room():
    queue = HandoffQueue(2)
    assert [queue.put(bytes([n]), high=False) for n in range(3)] == [True, True, False]
    assert queue.put(b"h", high=True)
    assert drained(queue) == [b"h", b"\x01", b"\x00"]


@pytest.mark.property
@pytest.mark.statement("M-039", "M-040")
@given(st.integers(0, 4), st.lists(st.booleans(), max_size=15))
def test_nothing_is_lost_that_was_taken(depth, puts):
    queue = HandoffQueue(depth)
    taken = {True: [], False: []}
    for number, high in enumerate(puts):
        if queue.put(bytes([number]), high=high):
            taken[high].append(bytes([number]))
    assert all(len(messages) == min(depth, puts.count(high)) for high, messages in taken.items())
    assert drained(queue) == taken[True][::-1] + taken[False][::-1]


# -- through the engine -----------------------------------------------------------------------


@pytest.mark.statement("M-038", "M-039")
@pytest.mark.parametrize("other", [suspect("x"), dead("x")])
def test_an_alive_is_handled_before_accusations_of_the_same_packet(other):
    for order in ((alive("x"), other), (other, alive("x"))):
        me = quiet()
        me.receive(compound([message.encode() for message in order]))
        assert me.state("x") in (NodeState.SUSPECT, NodeState.DEAD)


@pytest.mark.statement("M-038", "M-039")
def test_a_user_message_waits_for_the_alive_behind_it():
    me = quiet()
    heard = events(me.receive(compound([b"\x08one", alive("x").encode(), b"\x08two"])))
    assert [type(event) for event in heard] == [NodeJoined, MessageReceived, MessageReceived]
    assert heard[1:] == [MessageReceived(b"two"), MessageReceived(b"one")]


@pytest.mark.statement("M-038", "M-039")
def test_suspect_dead_and_user_share_one_queue():
    me = quiet()
    me.knows_many(4)
    me.receive(compound([suspect("n0").encode(), dead("n0").encode(), b"\x08u", suspect("n1", by="a").encode()]))
    # Dead first: the suspicion before it then changes nothing.
    assert me.state("n0") is NodeState.DEAD
    assert b"n0" not in me.table.suspicions


@pytest.mark.statement("M-040")
def test_a_flood_in_one_packet_is_dropped_and_counted():
    me = quiet(handoff_queue_depth=2)
    alives = [alive(f"x{n}", address=address_of(n)).encode() for n in range(4)]
    users = [b"\x08%d" % n for n in range(5)]
    heard = events(me.receive(compound(alives + users)))
    assert [event.node.name for event in heard[:2]] == [b"x1", b"x0"]
    assert heard[2:] == [MessageReceived(b"1"), MessageReceived(b"0")]
    assert me.count("serfcompat.drop.handoff_full") == 5


@pytest.mark.statement("M-040")
def test_the_depth_is_1024_for_each_queue_by_default():
    me = quiet()
    parts = [compound([b"\x08u"] * 255) for _ in range(5)] + [compound([alive("x").encode()] * 255) for _ in range(5)]
    heard = events(me.receive(compound(parts)))
    assert heard.count(MessageReceived(b"u")) == 1024
    assert me.count("serfcompat.drop.handoff_full") == 2 * (5 * 255 - 1024)


@pytest.mark.statement("M-041")
def test_pings_and_acks_are_never_queued():
    me = quiet(handoff_queue_depth=0)
    me.knows("y", ELSEWHERE)
    me.did(me.engine.ping(b"y", ELSEWHERE, 0)[1])
    inline = [
        Ping(9, b"me", THERE.ip, THERE.port, b"x").encode(),
        IndirectPing(8, ELSEWHERE.ip, ELSEWHERE.port, b"y", False, THERE.ip, THERE.port, b"x").encode(),
        Ack(1, None).encode(),
        Nack(3).encode(),
    ]
    effects = me.receive(compound([b"\x08u", *inline]))
    assert [type(message) for packet in me.sent(effects) for message in packet] == [Ack, Ping]
    assert len(events(effects)) == 1  # the answer to our own ping; the user message found no room
    assert me.count("serfcompat.drop.handoff_full") == 1


@pytest.mark.statement("M-041")
def test_a_ping_is_answered_before_the_claims_beside_it_are_handled():
    me = quiet()
    effects = me.receive(compound([alive("x").encode(), Ping(9, b"me").encode()]))
    assert [type(effect) for effect in effects] == [SendPacket, Emit]
    assert me.sent(effects) == [(Ack(9, None),)]  # x is not gossiped on with it yet
