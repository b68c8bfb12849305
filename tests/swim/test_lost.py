"""Nodes lost in a long outage are asked to join again (ours alone; see `swim/lost.py`)."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serfcompat.swim.effects import StartPushPull
from serfcompat.swim.events import NodeJoined, NodeState
from serfcompat.swim.hooks import Hooks
from serfcompat.swim.lost import _REMEMBERED, LostNodes
from tests.swim.harness import ELSEWHERE, HERE, SECOND, THERE, Network, Node, address_of, alive, of

DAY = 24 * 3600 * SECOND
MINUTE = 60 * SECOND


def picked(lost: LostNodes, members: int = 1, now_ns: int = 0, tries: int = 200) -> set[bytes]:
    found = (lost.pick(random.Random(seed), members, now_ns) for seed in range(tries))
    return {one[0] for one in found if one is not None}


def test_each_lost_node_may_be_picked_until_it_is_found_or_its_time_is_over():
    lost = LostNodes(DAY)
    lost.remember(b"a", THERE, 0)
    lost.remember(b"b", ELSEWHERE, MINUTE)
    assert picked(lost) == {b"a", b"b"}
    assert lost.pick(random.Random(1), 1, 0) in ((b"a", THERE), (b"b", ELSEWHERE))
    lost.found(b"a")
    lost.found(b"unknown")
    assert picked(lost, now_ns=DAY + MINUTE) == {b"b"}
    assert picked(lost, now_ns=DAY + MINUTE + 1) == set()
    assert len(lost) == 0


def test_a_large_cluster_shares_the_work():
    lost = LostNodes(DAY)
    for number in range(3):
        lost.remember(bytes([number]), address_of(number), 0)
    tried = sum(lost.pick(random.Random(seed), 30, 0) is not None for seed in range(1000))
    assert 60 < tried < 150
    assert all(lost.pick(random.Random(seed), 3, 0) for seed in range(100))


def test_only_so_many_are_remembered_and_none_if_switched_off():
    lost, off = LostNodes(DAY), LostNodes(0)
    for number in range(_REMEMBERED + 10):
        lost.remember(b"%d" % number, THERE, 0)
        off.remember(b"%d" % number, THERE, 0)
    assert len(lost) == _REMEMBERED
    assert len(off) == 0
    assert b"0" not in picked(lost)


@pytest.mark.property
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9), st.booleans())), st.integers(1, 5))
def test_what_is_picked_was_lost_lately_and_not_found(steps, keep):
    lost, model, now_ns = LostNodes(keep), {}, 0
    for name, later, found in steps:
        now_ns += later
        if found:
            lost.found(name.encode())
            model.pop(name, None)
        elif name not in model:
            lost.remember(name.encode(), THERE, now_ns)
            model[name] = now_ns
        fresh = {other.encode() for other, at_ns in model.items() if now_ns - at_ns <= keep}
        assert picked(lost, 1, now_ns, 30) <= fresh
        assert (lost.pick(random.Random(0), 1, now_ns) is not None) == bool(fresh)
        model = {other: at_ns for other, at_ns in model.items() if other.encode() in fresh}


def reaped(state: NodeState, **config) -> Node:
    me = Node(**config)
    me.knows("x", state=state)
    me.table.reap(MINUTE)
    assert me.state("x") is None
    me.now_ns = MINUTE
    return me


def test_who_died_and_was_forgotten_is_asked_to_join_with_the_next_exchange():
    me = reaped(NodeState.DEAD)
    me.knows("y", ELSEWHERE)
    asked = {effect for _ in range(20) for effect in of(StartPushPull, me.timer("push-pull"))}
    assert asked == {StartPushPull(ELSEWHERE, b"y"), StartPushPull(THERE, b"x", join=True)}


def test_who_left_is_not():
    me = reaped(NodeState.LEFT)
    assert of(StartPushPull, me.timer("push-pull")) == []


def test_it_can_be_switched_off():
    me = reaped(NodeState.DEAD, lost_node_retry_time=0.0)
    assert of(StartPushPull, me.timer("push-pull")) == []


def test_who_is_back_is_lost_no_more():
    me = reaped(NodeState.DEAD)
    me.hear(alive("x"))
    assert len(me.table.lost) == 0


def test_we_are_never_lost_to_ourselves():
    me = Node()
    me.did(me.engine.leave(0, "token"))
    me.node("me").state = NodeState.DEAD
    me.table.reap(MINUTE)
    assert len(me.table.lost) == 0


@pytest.mark.parametrize("heals", [True, False])
def test_a_cluster_torn_apart_for_ten_minutes_grows_together_again(heals):
    network = Network()
    nodes = [network.add(f"n{n}", address_of(n), lost_node_retry_time=86400.0 * heals) for n in range(6)]
    for node in nodes[1:]:
        network.join(node, nodes[0])
    network.run(5 * SECOND)
    left = {address_of(n) for n in range(3)}
    network.cut = lambda one, other: (one in left) != (other in left)
    network.run(10 * MINUTE)
    assert [len(node.table.ring) for node in nodes] == [3] * 6  # each side has forgotten the other
    network.cut = lambda _one, _other: False
    assert network.run(3 * MINUTE, until=lambda: all(len(n.engine.members()) == 6 for n in nodes)) == heals


def test_a_stranger_at_a_lost_address_can_be_kept_out_by_either_merge_hook():
    network = Network()
    asked = []
    hooks = Hooks(merge=lambda nodes: asked.append([node.name for node in nodes]) or "another cluster")
    me = network.add("me", HERE)
    me.table.lost.remember(b"x", THERE, 0)
    network.add("stranger", THERE, hooks=hooks)
    network.run(2 * MINUTE)
    assert [b"me"] in asked
    assert [event.node.name for _, _, event in network.happened if isinstance(event, NodeJoined)].count(b"me") == 1
