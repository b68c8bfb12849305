"""Alive: one test for each way through the table of spec memberlist §6.2; and laws that hold whatever is claimed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serfcompat.swim.claims import announce
from serfcompat.swim.effects import CancelTimer, Finished
from serfcompat.swim.events import (
    NodeConflict,
    NodeJoined,
    NodeLeft,
    NodeState,
    NodeUpdated,
    RemoteStateReceived,
)
from serfcompat.swim.hooks import Hooks
from serfcompat.swim.table import MAX_NODES, NEVER_NS
from serfcompat.wire.address import Address
from serfcompat.wire.messages import Alive, Dead, Suspect
from tests.swim.harness import (
    ELSEWHERE,
    HERE,
    QUIET,
    SECOND,
    THERE,
    VSN,
    Node,
    alive,
    events,
    quiet,
    suspect,
)

MAPPED = Address(b"\0" * 10 + b"\xff\xff" + THERE.ip, THERE.port)


# -- alive ------------------------------------------------------------------------------------


@pytest.mark.statement("M-115")
def test_the_first_alive_of_a_node_makes_it_known_and_is_passed_on():
    me = quiet()
    claim = alive("x", 3, meta=b"m")
    (joined,) = events(me.hear(claim))
    assert isinstance(joined, NodeJoined)
    node = me.node("x")
    assert joined.node == node.view()
    assert (node.state, node.incarnation, node.address, node.meta, node.vsn) == (NodeState.ALIVE, 3, THERE, b"m", VSN)
    assert me.gossip() == [claim]
    assert len(me.table.ring) == 2
    assert me.count("memberlist.msg.alive") == 1


@pytest.mark.statement("M-116")
def test_incarnation_0_of_an_unknown_node_stores_it_dead_and_silent():
    me = quiet()
    assert me.hear(alive("x", 0)) == []
    assert (me.state("x"), me.node("x").state_change_ns) == (NodeState.DEAD, NEVER_NS)
    assert me.gossip() == []
    assert me.count("memberlist.msg.alive") == 0
    assert len(me.table.ring) == 2


@pytest.mark.statement("M-117")
@pytest.mark.parametrize("incarnation", [4, 5])
@pytest.mark.parametrize("state", NodeState)
def test_an_alive_that_is_not_newer_is_ignored(incarnation, state):
    me = quiet()
    node = me.knows("x", incarnation=5, state=state)
    assert events(me.hear(alive("x", incarnation, meta=b"new"))) == []
    assert (node.state, node.incarnation, node.meta) == (state, 5, None)
    assert me.gossip() == []


@pytest.mark.statement("M-118")
@pytest.mark.parametrize("vsn", [(0, 5, 2, 0, 0, 0), (1, 0, 2, 0, 0, 0), (3, 2, 2, 0, 0, 0), (0, 5, 2)])
def test_impossible_versions_are_refused_before_the_hook_is_asked(vsn):
    asked = []
    me = quiet(hooks=Hooks(alive=lambda node: asked.append(node.name)))
    me.hear(alive("x", vsn=bytes(vsn)))
    assert me.state("x") is None
    assert asked == [b"me"]  # our own announcement


@pytest.mark.statement("M-118")
@pytest.mark.parametrize("vsn", [(0, 5, 2), (1, 0, 2), (3, 2, 2), (0, 5, 2, 0, 0, 0)])
def test_impossible_versions_are_refused_without_a_hook_too(vsn):
    me = quiet()
    me.hear(alive("x", vsn=bytes(vsn)))
    assert me.state("x") is None


@pytest.mark.statement("M-118")
@pytest.mark.parametrize("vsn", [None, b"", b"\x00\x05", bytes((1, 5, 9, 0, 0, 0)), bytes((2, 2, 0, 0, 0, 0))])
def test_missing_versions_and_an_odd_current_one_pass(vsn):
    me = quiet()
    me.hear(alive("x", vsn=vsn))
    assert me.state("x") is NodeState.ALIVE
    assert me.node("x").vsn == (vsn if vsn and len(vsn) == 6 else b"")


@pytest.mark.statement("M-119")
@pytest.mark.parametrize("vsn", [None, VSN[:5]])
def test_an_alive_hook_wants_all_six_versions(vsn):
    me = quiet(hooks=Hooks(alive=lambda _node: None))
    me.hear(alive("x", vsn=vsn))
    assert me.state("x") is None


@pytest.mark.statement("M-120")
def test_the_alive_hook_may_refuse():
    seen = []

    def hook(node):
        seen.append(node)
        return "no" if node.name == b"x" else None

    me = quiet(hooks=Hooks(alive=hook))
    me.hear(alive("x", 2, meta=b"m"))
    assert me.state("x") is None
    assert me.gossip() == []
    assert (seen[-1].name, seen[-1].address, seen[-1].meta, seen[-1].vsn) == (b"x", THERE, b"m", VSN)


@pytest.mark.statement("M-120")
def test_the_alive_hook_is_asked_about_stale_claims_too():
    seen = []
    me = quiet(hooks=Hooks(alive=lambda node: seen.append(node.incarnation)))
    me.knows("x", incarnation=9)
    me.hear(alive("x", 3))
    assert seen[-1] == 3


@pytest.mark.statement("M-121", "M-122")
@pytest.mark.parametrize("state", [NodeState.ALIVE, NodeState.SUSPECT])
@pytest.mark.parametrize("address", [MAPPED, ELSEWHERE, Address(THERE.ip, 7947)])
def test_another_address_of_a_living_node_is_a_conflict(address, state):
    me = quiet()
    node = me.knows("x", state=state)
    (conflict,) = events(me.hear(alive("x", 9, address, meta=b"m")))
    assert isinstance(conflict, NodeConflict)
    assert conflict.existing == node.view()
    assert (conflict.other.name, conflict.other.address, conflict.other.meta) == (b"x", address, b"m")
    assert (node.state, node.incarnation, node.address, node.meta) == (state, 1, THERE, None)
    assert me.gossip() == []


@pytest.mark.statement("M-123")
@pytest.mark.parametrize("incarnation", [0, 1, 7])
def test_a_node_that_left_may_come_back_from_elsewhere_at_once(incarnation):
    me = quiet()
    node = me.knows("x", state=NodeState.LEFT, incarnation=5)
    (joined,) = events(me.hear(alive("x", incarnation, ELSEWHERE)))
    assert isinstance(joined, NodeJoined)
    assert (node.state, node.incarnation, node.address) == (NodeState.ALIVE, incarnation, ELSEWHERE)
    assert [claim.incarnation for claim in me.gossip()] == [incarnation]


@pytest.mark.statement("M-124")
@pytest.mark.parametrize(
    ("limit", "elapsed_s", "reclaimed"), [(0.0, 99, False), (30.0, 29, False), (30.0, 30, False), (30.0, 31, True)]
)
def test_a_dead_node_may_come_back_from_elsewhere_after_its_time(limit, elapsed_s, reclaimed):
    me = quiet(dead_node_reclaim_time=limit)
    node = me.knows("x", state=NodeState.DEAD, incarnation=5)
    me.now_ns = elapsed_s * SECOND
    (event,) = events(me.hear(alive("x", 1, ELSEWHERE)))
    assert isinstance(event, NodeJoined if reclaimed else NodeConflict)
    assert node.address == (ELSEWHERE if reclaimed else THERE)


@pytest.mark.statement("M-126")
def test_a_newer_alive_frees_a_suspect():
    me = quiet()
    me.knows_many(3)
    me.knows("x")
    me.hear(suspect("x"))
    me.now_ns = 2 * SECOND
    effects = me.hear(alive("x", 2))
    assert effects == [CancelTimer(("suspicion", b"x"))]
    assert (me.state("x"), me.node("x").state_change_ns) == (NodeState.ALIVE, 2 * SECOND)
    assert me.table.suspicions == {}
    assert me.gossip() == [alive("x", 2)]


@pytest.mark.statement("M-127")
def test_new_metadata_are_an_update():
    me = quiet()
    me.knows("x", meta=b"old")
    (updated,) = events(me.hear(alive("x", 2, meta=b"new")))
    assert isinstance(updated, NodeUpdated)
    assert updated.node.meta == b"new"


@pytest.mark.statement("M-127")
@pytest.mark.parametrize(("before", "after"), [(None, b""), (b"", None), (b"m", b"m")])
def test_the_same_metadata_are_no_update(before, after):
    me = quiet()
    me.knows("x", meta=before)
    assert events(me.hear(alive("x", 2, meta=after))) == []
    assert me.node("x").meta == after


@pytest.mark.statement("M-127")
def test_new_versions_alone_are_stored_without_an_event():
    me = quiet()
    me.knows("x")
    newer = bytes((1, 5, 3, 0, 0, 0))
    assert events(me.hear(alive("x", 2, vsn=newer))) == []
    assert me.node("x").vsn == newer
    me.hear(alive("x", 3, vsn=None))
    assert me.node("x").vsn == newer


@pytest.mark.statement("M-128")
@pytest.mark.parametrize("state", [NodeState.DEAD, NodeState.LEFT])
def test_the_return_of_a_dead_or_left_node_is_a_join(state):
    me = quiet()
    node = me.knows("x", state=state, meta=b"old")
    (joined,) = events(me.hear(alive("x", 2, meta=b"new")))
    assert isinstance(joined, NodeJoined)
    assert (node.state, node.incarnation) == (NodeState.ALIVE, 2)


# -- alive about ourselves --------------------------------------------------------------------


@pytest.mark.statement("M-129")
@pytest.mark.parametrize("meta", [None, b""])
def test_our_own_word_come_back_is_ignored(meta):
    me = quiet()
    assert me.hear(alive("me", 1, HERE, meta=meta)) == []
    assert me.gossip() == []
    assert me.count("memberlist.msg.alive") == 0
    assert me.engine.health_score == 0


@pytest.mark.statement("M-130")
@pytest.mark.parametrize(("meta", "vsn"), [(b"other", VSN), (None, bytes((1, 5, 3, 0, 0, 0))), (None, VSN + b"\0")])
def test_other_words_in_our_name_are_refuted(meta, vsn):
    me = quiet()
    assert me.hear(alive("me", 1, HERE, meta=meta, vsn=vsn)) == []
    assert me.gossip() == [alive("me", 2, HERE)]
    assert (me.node("me").incarnation, me.node("me").meta, me.node("me").vsn) == (2, None, VSN)
    assert me.engine.health_score == 1
    assert me.count("memberlist.msg.alive") == 1


@pytest.mark.statement("M-131")
def test_an_earlier_life_of_ours_is_outbid():
    me = quiet()
    me.hear(alive("me", 77, HERE))
    assert me.gossip() == [alive("me", 78, HERE)]
    assert me.node("me").incarnation == 78


@pytest.mark.statement("M-132")
def test_old_words_in_our_name_are_ignored():
    me = quiet()
    me.node("me").incarnation = me.table.incarnation = 5
    assert me.hear(alive("me", 4, HERE, meta=b"other")) == []
    assert me.gossip() == []


@pytest.mark.statement("M-133")
def test_our_name_from_elsewhere_is_a_conflict_and_not_refuted():
    me = quiet()
    (conflict,) = events(me.hear(alive("me", 9, ELSEWHERE)))
    assert isinstance(conflict, NodeConflict)
    assert me.gossip() == []
    assert me.node("me").incarnation == 1
    assert me.engine.health_score == 0


@pytest.mark.statement("M-134")
def test_after_leaving_alive_claims_about_us_are_ignored():
    me = quiet()
    me.did(me.engine.leave(0, "token"))
    me.silence()
    assert me.hear(alive("me", 9, HERE)) == []
    assert me.hear(alive("me", 9, ELSEWHERE)) == []
    assert me.state("me") is NodeState.LEFT
    assert me.gossip() == []


# -- bounds -----------------------------------------------------------------------------------


def test_a_full_table_takes_no_new_nodes():
    me = quiet()
    me.table.ring *= MAX_NODES
    assert me.hear(alive("x")) == []
    assert me.state("x") is None
    assert me.count("serfcompat.drop.table_full") == 1


@pytest.mark.parametrize("claim", [alive("x" * 9000), alive("x", meta=b"m" * 9000), suspect("y", by="a" * 9000)])
def test_a_claim_too_large_to_keep_is_dropped(claim):
    me = quiet()
    me.knows("y")
    assert me.hear(claim) == []
    assert len(me.table.ring) == 2
    assert me.state("y") is NodeState.ALIVE
    assert me.count("serfcompat.drop.claim_too_large") == 1


# -- laws -------------------------------------------------------------------------------------

NAMES = st.sampled_from([b"me", b"x", b"y"])
INCARNATIONS = st.integers(0, 6)
CLAIMS = st.one_of(
    st.builds(
        lambda name, inc, where, meta: Alive(inc, name, where.ip, where.port, meta, VSN),
        NAMES,
        INCARNATIONS,
        st.sampled_from([HERE, THERE, ELSEWHERE]),
        st.sampled_from([None, b"", b"m"]),
    ),
    st.builds(Suspect, INCARNATIONS, NAMES, st.sampled_from([b"a", b"b", b"c", b"me"])),
    st.builds(Dead, INCARNATIONS, NAMES, st.sampled_from([b"a", b"x", b"y"])),
)
STEPS = st.lists(st.one_of(CLAIMS, st.integers(0, 30)), max_size=30)


def live(me: Node, steps) -> None:
    for step in steps:
        if isinstance(step, int):
            me.run_until(me.now_ns + step * SECOND)
        else:
            me.hear(step)


@pytest.mark.property
@pytest.mark.statement("M-117", "M-132")
@given(STEPS)
@settings(max_examples=150)
def test_incarnations_never_go_back_except_for_a_name_reclaimed_after_leaving(steps):
    me = quiet()
    before: dict[bytes, tuple[int, NodeState, bytes]] = {}
    for step in steps:
        live(me, [step])
        for node in me.table.ring:
            if node.name in before:
                incarnation, state, addr = before[node.name]
                assert node.incarnation >= incarnation or (state is NodeState.LEFT and node.addr != addr)
            before[node.name] = (node.incarnation, node.state, node.addr)


@pytest.mark.property
@pytest.mark.statement("M-139", "M-140")
@given(STEPS)
@settings(max_examples=150)
def test_whatever_is_said_about_us_we_stay_alive_and_beyond_it(steps):
    me = quiet()
    live(me, steps)
    mine = me.node("me")
    said = [s.incarnation for s in steps if not isinstance(s, int) and s.node == b"me" and not isinstance(s, Alive)]
    assert mine.state is NodeState.ALIVE
    assert mine.address == HERE
    assert all(mine.incarnation > incarnation for incarnation in said if incarnation >= 1)


@pytest.mark.property
@pytest.mark.statement("M-115", "M-128", "M-141")
@given(STEPS)
@settings(max_examples=150)
def test_joins_and_leaves_alternate_for_each_node(steps):
    me = quiet()
    live(me, steps)
    present = {b"me"}
    for event in events(me.effects):
        if isinstance(event, NodeJoined):
            assert event.node.name not in present
            present.add(event.node.name)
        elif isinstance(event, NodeLeft):
            present.remove(event.node.name)
        elif not isinstance(event, RemoteStateReceived | NodeConflict):
            assert event.node.name in present
    assert present == {node.name for node in me.engine.members()}


@pytest.mark.property
@pytest.mark.statement("M-126", "M-136", "M-146")
@given(STEPS)
@settings(max_examples=150)
def test_every_suspect_has_a_timer_and_nobody_else_has(steps):
    me = quiet()
    live(me, steps)
    suspects = {("suspicion", node.name) for node in me.table.ring if node.state is NodeState.SUSPECT}
    assert {key for key in me.timers if key[0] == "suspicion"} == suspects
    assert set(me.table.suspicions) == {name for _, name in suspects}
    assert all(me.timers["suspicion", n] == s.due_ns for n, s in me.table.suspicions.items())


@pytest.mark.statement("M-183")
def test_the_first_word_is_incarnation_1():
    me = Node(hooks=Hooks(node_meta=lambda _limit: b"tags"), **QUIET)
    (joined,) = events(me.effects)
    assert isinstance(joined, NodeJoined)
    assert joined.node.name == b"me"
    assert me.gossip() == [alive("me", 1, HERE, meta=b"tags")]


@pytest.mark.statement("M-188")
def test_an_announcement_is_not_refuted_but_passed_on_with_its_token():
    me = quiet()
    me.did(announce(me.table, HERE, b"new", 0, "token"))
    assert me.gossip() == [alive("me", 2, HERE, meta=b"new")]
    assert Finished("token") not in me.effects
    me.table.broadcasts.reset()
    assert me.table.broadcasts.finished == ["token"]
