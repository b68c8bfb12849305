"""The gossip tick (spec memberlist §6.11, §1.5)."""

from __future__ import annotations

import pytest

from serfcompat.swim.effects import SendPacket
from serfcompat.swim.events import NodeState
from serfcompat.swim.gossip import HURRY, on_gossip_tick, pace
from serfcompat.swim.hooks import Hooks
from serfcompat.wire.layers import Layers
from serfcompat.wire.packet import peel
from serfcompat.wire.types import MessageType
from tests.swim.harness import SECOND, VSN, Node, address_of, of, quiet


def tick(me: Node) -> list[SendPacket]:
    return of(SendPacket, me.did(on_gossip_tick(me.table, me.engine._sender, me.now_ns)))


def queue(me: Node, *messages: bytes) -> None:
    for message in messages:
        me.table.broadcasts.put(message, name=message)


@pytest.mark.statement("M-173")
@pytest.mark.parametrize(
    ("state", "age_s", "hears"),
    [
        (NodeState.ALIVE, 999, True),
        (NodeState.SUSPECT, 999, True),
        (NodeState.DEAD, 29, True),
        (NodeState.DEAD, 30, True),
        (NodeState.DEAD, 31, False),
        (NodeState.LEFT, 0, False),
    ],
)
def test_who_is_gossiped_to(state, age_s, hears):
    me = quiet()
    node = me.knows("x", state=state)
    me.now_ns = age_s * SECOND
    queue(me, b"\x05claim")
    assert [packet.to for packet in tick(me)] == ([node.address] if hears else [])


@pytest.mark.statement("M-173")
def test_we_never_gossip_to_ourselves():
    me = quiet()
    queue(me, b"\x05claim")
    for _ in range(20):
        assert tick(me) == []


@pytest.mark.statement("M-173")
def test_a_tick_goes_to_different_nodes_as_many_as_configured():
    me = quiet()
    me.knows_many(40)
    queue(me, b"\x05claim")
    for _ in range(2):
        assert len({packet.to for packet in tick(me)}) == 3


@pytest.mark.statement("M-010")
@pytest.mark.parametrize(("vsn", "kind"), [(VSN, MessageType.CRC), (bytes((1, 4, 2, 0, 0, 0)), MessageType.DEAD)])
def test_gossip_has_a_checksum_for_who_understands_it(vsn, kind):
    me = quiet()
    me.knows("x", vsn=vsn)
    queue(me, b"\x05claim")
    (packet,) = tick(me)
    assert packet.data[0] == kind


@pytest.mark.statement("M-010", "M-019", "M-020")
def test_more_than_255_messages_are_compounds_of_255_and_one_with_the_rest():
    me = quiet(hooks=Hooks(broadcasts=lambda _overhead, _limit: [b"u"] * 511))
    me.knows("x")
    packets = [peel(packet.data, Layers()).messages for packet in tick(me)]
    assert list(map(len, packets)) == [255, 255, 1]
    assert all(packet.data[5] == MessageType.COMPOUND for packet in of(SendPacket, me.effects))  # behind the CRC
    assert packets[-1] == [b"\x08u"]


@pytest.mark.statement("M-001", "M-020")
def test_one_message_goes_bare_and_255_in_one_compound():
    for count, kind in ((1, MessageType.USER), (255, MessageType.COMPOUND)):
        me = quiet(hooks=Hooks(broadcasts=lambda _overhead, _limit, count=count: [b"u"] * count))
        me.knows("x", vsn=b"")
        (packet,) = tick(me)
        assert packet.data[0] == kind


@pytest.mark.statement("M-021")
def test_the_tick_ends_at_the_first_target_for_which_nothing_is_left():
    answers = [[b"one"], [], [b"two"]]
    me = quiet(hooks=Hooks(broadcasts=lambda _overhead, _limit: answers.pop(0)))
    me.knows_many(10)
    assert len(tick(me)) == 1
    assert answers == [[b"two"]]


@pytest.mark.statement("M-021")
def test_with_nothing_to_say_nothing_is_sent():
    me = quiet()
    me.knows_many(10)
    assert tick(me) == []


@pytest.mark.statement("M-194")
def test_each_target_takes_its_own_batch():
    me = quiet(retransmit_mult=1)
    me.knows_many(8)  # nine with us: one transmission each
    queue(me, b"\x05claim")
    assert len(tick(me)) == 1
    assert len(me.table.broadcasts) == 0


def test_the_room_is_for_all_messages_of_a_packet():
    me = quiet()
    me.knows("x", address_of(1))
    queue(me, *[bytes((5, n)) * 300 for n in range(5)])
    (packet,) = tick(me)
    assert len(peel(packet.data, Layers()).messages) == 2
    assert len(packet.data) <= 1405


@pytest.mark.parametrize("pending", [True, False])
def test_the_layer_above_is_asked_only_if_it_has_something_to_say(pending):
    me, asked = quiet(), []
    me.knows_many(10)
    me.table.hooks.pending = lambda: pending
    me.table.hooks.broadcasts = lambda overhead, room: asked.append(room) or [b"news"]
    assert len(tick(me)) == (me.table.config.gossip_nodes if pending else 0)
    assert bool(asked) is pending


@pytest.mark.parametrize(
    ("others", "waiting", "parts"), [(3, 720, HURRY), (3, 680, 1), (1, 720, HURRY), (4, 720, 1), (4, 5000, 1)]
)
@pytest.mark.parametrize("whose", ["claims", "layer above"])
def test_ticks_come_sooner_while_much_waits_and_everybody_hears_each(others, waiting, parts, whose):
    me = quiet()
    me.knows_many(others)
    if whose == "claims":
        queue(me, b"\x05" * waiting)
    else:
        me.table.hooks.pending = lambda: waiting
    assert me.table.config.gossip_nodes == 3
    assert pace(me.table, me.engine._sender) == parts
