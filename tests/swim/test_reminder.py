"""Who is held for dead is told so when it shows up (ours alone; see `swim/reminder.py`)."""

from __future__ import annotations

import pytest

from serfcompat.swim.events import NodeJoined, NodeState
from serfcompat.wire.messages import Ack, Ping, Suspect
from serfcompat.wire.types import MessageType
from tests.swim.harness import (
    ELSEWHERE,
    HERE,
    QUIET,
    SECOND,
    THERE,
    Network,
    Node,
    Sent,
    address_of,
    alive,
    events,
)

GONE = [NodeState.DEAD, NodeState.LEFT]


def remembering(state: NodeState = NodeState.DEAD, **config) -> Node:
    """A node that holds x for dead or left, in its hundredth life."""
    me = Node(**(QUIET | {"probe_interval": 1.0} | config))
    me.silence()
    me.knows("x", state=state, incarnation=100)
    return me


def reminders(me: Node, effects) -> list[Sent]:
    return [packet for packet in me.sent(effects) if isinstance(packet[0], Suspect)]


@pytest.mark.parametrize("state", GONE)
def test_a_ping_from_who_is_held_for_dead_is_answered_and_followed_by_the_accusation(state):
    me = remembering(state)
    ack, accusation = me.sent(me.hear(Ping(9, b"me", THERE.ip, THERE.port, b"x")))
    assert ack == (Ack(9, None),)
    assert accusation == (Suspect(100, node=b"x", from_=b"me"),)
    assert accusation.to == THERE
    assert accusation.data[0] == MessageType.CRC  # as to any node that we know


@pytest.mark.parametrize("state", GONE)
@pytest.mark.parametrize("incarnation", [1, 100])
def test_a_stale_alive_is_answered_with_the_accusation(state, incarnation):
    me = remembering(state)
    effects = me.hear(alive("x", incarnation), source=ELSEWHERE)
    assert reminders(me, effects) == [(Suspect(100, node=b"x", from_=b"me"),)]
    assert events(effects) == []
    assert me.state("x") is state


@pytest.mark.parametrize("state", [NodeState.ALIVE, NodeState.SUSPECT])
def test_who_is_not_held_for_dead_is_not_told_anything(state):
    me = remembering(state)
    assert reminders(me, me.hear(Ping(9, b"me", THERE.ip, THERE.port, b"x"), alive("x", 1))) == []


def test_a_newer_alive_needs_no_accusation():
    me = remembering()
    effects = me.hear(alive("x", 101))
    assert me.sent(effects) == []
    assert isinstance(events(effects)[0], NodeJoined)


def test_somebody_elsewhere_under_that_name_is_not_told():
    me = remembering(NodeState.DEAD)
    assert reminders(me, me.hear(Ping(9, b"me", ELSEWHERE.ip, ELSEWHERE.port, b"x"))) == []
    assert reminders(me, me.hear(alive("x", 101, ELSEWHERE))) == []


def test_a_node_stored_dead_only_because_it_never_was_alive_is_not_accused():
    me = remembering()
    assert me.sent(me.hear(alive("y", 0, ELSEWHERE))) == []


def test_it_is_told_once_per_probe_interval_however_much_comes():
    me = remembering()
    ping = Ping(9, b"me", THERE.ip, THERE.port, b"x")
    told = [len(reminders(me, me.hear(ping, alive("x", 1), alive("x", 2)))) for _ in range(5)]
    assert told == [1, 0, 0, 0, 0]
    me.now_ns = SECOND
    assert len(reminders(me, me.hear(ping))) == 1


def test_we_do_not_accuse_ourselves_after_leaving():
    me = remembering()
    me.did(me.engine.leave(0, "token"))
    assert reminders(me, me.hear(Ping(9, b"me", HERE.ip, HERE.port, b"me"))) == []


def test_a_mass_restart_leaves_nobody_dead():
    """x restarts and meets only a node that knows nothing of its last life; me remembers that one as dead.

    Upstream leaves it so until the next push/pull of the two; none happens here.
    """
    off = {"push_pull_interval": 0.0}
    network = Network()
    me = network.add("me", HERE, **off)
    me.knows("x", THERE, state=NodeState.DEAD, incarnation=100)
    fresh = network.add("fresh", ELSEWHERE, **off)
    x = network.add("x", THERE, **off)
    for node, knows in ((x, "me"), (x, "fresh"), (fresh, "x"), (fresh, "me"), (me, "fresh")):
        node.knows(knows, {"me": HERE, "fresh": ELSEWHERE, "x": THERE}[knows])
    assert network.run(6 * SECOND, until=lambda: me.state("x") is NodeState.ALIVE)
    assert me.node("x").incarnation == 101
    network.run(3 * SECOND)
    assert all(node.state(name) is NodeState.ALIVE for node in (me, fresh, x) for name in ("me", "fresh", "x"))


def test_a_node_under_its_old_address_but_with_another_name_is_not_hurt():
    me = remembering()
    assert reminders(me, me.hear(Ping(9, b"me", THERE.ip, THERE.port, b"newcomer"))) == []
    me.knows("newcomer", address_of(1))
    assert reminders(me, me.hear(alive("newcomer", 1, address_of(1)))) == []
