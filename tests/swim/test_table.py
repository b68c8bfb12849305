"""The table: probe order, reaping, what is told about members (spec memberlist §6.1, §6.10)."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serfcompat.swim.events import NodeState
from serfcompat.swim.table import NEVER_NS
from serfcompat.swim.table import Node as TableNode
from tests.swim.harness import SECOND, Node


@pytest.mark.statement("M-148")
def test_members_are_the_alive_and_the_suspect_in_order_of_the_list():
    me = Node()
    for name, state in zip("abcd", NodeState, strict=True):
        me.knows(name, state=state)
    assert [view.name for view in me.engine.members()] == [b"me", b"a", b"b"]
    assert [view.state for view in me.engine.members()] == [NodeState.ALIVE, NodeState.ALIVE, NodeState.SUSPECT]
    assert me.engine.alive_count() == 3
    assert len(me.table.ring) == 5


@pytest.mark.statement("M-148")
@pytest.mark.parametrize(("state", "alive"), [(0, True), (1, True), (2, False), (3, False)])
def test_whether_anybody_else_is_there(state, alive):
    me = Node()
    assert not me.engine.any_other_alive()
    me.knows("x", state=NodeState(state))
    assert me.engine.any_other_alive() == alive


@pytest.mark.statement("M-169")
def test_new_nodes_come_to_random_places_of_the_probe_order():
    places = Counter()
    for seed in range(400):
        me = Node(seed=seed)
        me.knows_many(4)
        me.table.insert(TableNode(b"new"))
        assert sorted(node.name for node in me.table.ring) == sorted(me.table.nodes)
        places[next(at for at, node in enumerate(me.table.ring) if node.name == b"new")] += 1
    # Swapped with a random earlier one: each of the five earlier places, never the last.
    assert set(places) == {0, 1, 2, 3, 4}
    assert all(40 < count < 130 for count in places.values())


@pytest.mark.statement("M-169")
def test_reaping_shuffles_the_probe_order():
    me = Node()
    me.knows_many(20)
    before = list(me.table.ring)
    me.table.reap(0)
    assert me.table.ring != before
    assert set(me.table.ring) == set(before)


@pytest.mark.statement("M-170")
@pytest.mark.parametrize("state", NodeState)
@pytest.mark.parametrize(("age_ns", "old"), [(30 * SECOND, False), (30 * SECOND + 1, True), (-NEVER_NS, True)])
def test_only_gone_nodes_are_reaped_and_only_after_their_time(state, age_ns, old):
    me = Node()
    me.knows("x", state=state, state_change_ns=0)
    me.table.reap(age_ns)
    reaped = old and state >= NodeState.DEAD
    assert (me.state("x") is None) == reaped
    assert len(me.table.ring) == len(me.table.nodes) == (1 if reaped else 2)


@pytest.mark.statement("M-170")
def test_we_are_reaped_too_after_leaving():
    me = Node()
    me.did(me.engine.leave(0, "token"))
    me.table.reap(31 * SECOND)
    assert me.table.ring == []


@pytest.mark.property
@pytest.mark.statement("M-169", "M-170")
@given(st.lists(st.tuples(st.sampled_from(NodeState), st.integers(0, 60))), st.integers(0, 90))
def test_list_and_names_stay_one(nodes, now_s):
    me = Node()
    for number, (state, changed_s) in enumerate(nodes):
        me.knows(f"n{number}", state=state, state_change_ns=changed_s * SECOND)
    me.table.reap(now_s * SECOND)
    assert {node.name: node for node in me.table.ring} == me.table.nodes
    assert len(me.table.ring) == len(me.table.nodes)
