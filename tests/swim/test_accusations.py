"""Suspect, dead and refute: one test for each way through the tables of spec memberlist §6.3 to §6.5."""

from __future__ import annotations

import pytest

from serfcompat.swim.effects import CancelTimer, Emit, SetTimer
from serfcompat.swim.events import (
    NodeJoined,
    NodeLeft,
    NodeState,
)
from serfcompat.swim.hooks import Hooks
from serfcompat.wire.messages import Alive
from tests.swim.harness import (
    ELSEWHERE,
    HERE,
    SECOND,
    alive,
    dead,
    events,
    of,
    quiet,
    suspect,
)

# -- suspect ----------------------------------------------------------------------------------


@pytest.mark.statement("M-135")
def test_a_suspicion_about_an_unknown_node_is_ignored():
    me = quiet()
    assert me.hear(suspect("x")) == []
    assert me.gossip() == []


@pytest.mark.statement("M-135")
def test_a_stale_suspicion_is_ignored():
    me = quiet()
    node = me.knows("x", incarnation=5)
    assert me.hear(suspect("x", 4)) == []
    assert node.state is NodeState.ALIVE
    assert me.gossip() == []


@pytest.mark.statement("M-135")
@pytest.mark.parametrize("state", [NodeState.DEAD, NodeState.LEFT])
def test_a_suspicion_about_a_gone_node_changes_no_state(state):
    me = quiet()
    node = me.knows("x", state=state, state_change_ns=-5)
    assert me.hear(suspect("x", 1)) == []
    assert (node.state, node.state_change_ns) == (state, -5)
    assert me.gossip() == []
    assert me.table.suspicions == {}


@pytest.mark.statement("M-136", "M-149")
def test_a_suspicion_about_a_living_node():
    me = quiet()
    me.knows_many(2)
    node = me.knows("x")
    me.now_ns = SECOND
    claim = suspect("x", 4, by="far")
    assert me.hear(claim) == [SetTimer(("suspicion", b"x"), 25 * SECOND)]
    assert (node.state, node.incarnation, node.state_change_ns) == (NodeState.SUSPECT, 4, SECOND)
    assert me.gossip() == [claim]
    assert me.count("memberlist.msg.suspect") == 1


@pytest.mark.statement("M-149", "M-152")
def test_in_a_small_cluster_the_wait_is_short_and_nobody_confirms():
    me = quiet()
    me.knows("y", ELSEWHERE)
    me.knows("x")
    assert me.hear(suspect("x")) == [SetTimer(("suspicion", b"x"), 4 * SECOND)]
    me.silence()
    assert me.hear(suspect("x", by="another")) == []
    assert me.gossip() == []


@pytest.mark.statement("M-137")
def test_a_second_accuser_confirms_and_is_passed_on():
    me = quiet()
    me.knows_many(3)
    me.knows("x")
    me.hear(suspect("x"))
    me.silence()
    me.now_ns = SECOND
    second = suspect("x", by="second")
    # k = 2, 4 to 24 s: 24 − 20 · ln 2 / ln 3, floored to milliseconds
    assert me.hear(second) == [SetTimer(("suspicion", b"x"), 11_381_000_000)]
    assert me.gossip() == [second]
    assert me.count("memberlist.msg.suspect") == 0
    me.silence()
    for known in (suspect("x"), second):
        assert me.hear(known) == []
    assert me.gossip() == []


@pytest.mark.statement("M-138")
def test_an_accuser_beyond_k_is_neither_counted_nor_passed_on():
    me = quiet()
    me.knows_many(3)
    me.knows("x")
    for accuser in "abc":
        me.hear(suspect("x", by=accuser))
    me.silence()
    assert me.hear(suspect("x", by="d")) == []
    assert me.gossip() == []
    assert me.table.suspicions[b"x"].confirmations == 2


@pytest.mark.statement("M-139", "M-144")
@pytest.mark.parametrize(("accused", "outbid"), [(1, 2), (5, 6)])
def test_a_suspicion_about_us_is_refuted(accused, outbid):
    me = quiet(hooks=Hooks(node_meta=lambda _limit: b"tags"))
    assert me.hear(suspect("me", accused)) == []
    assert me.gossip() == [alive("me", outbid, HERE, meta=b"tags")]
    assert (me.state("me"), me.node("me").incarnation) == (NodeState.ALIVE, outbid)
    assert me.engine.health_score == 1
    assert me.metrics.gauges["memberlist.health.score"] == 1
    assert me.count("memberlist.msg.suspect") == 0


@pytest.mark.statement("M-139")
def test_a_stale_suspicion_about_us_needs_no_answer():
    me = quiet()
    me.hear(suspect("me", 0))
    assert me.gossip() == []
    assert me.engine.health_score == 0


# -- suspicion runs out -----------------------------------------------------------------------


@pytest.mark.statement("M-146", "M-147")
def test_a_suspect_whose_time_runs_out_is_dead_by_our_word():
    me = quiet()
    me.knows_many(3)
    node = me.knows("x")
    me.hear(suspect("x", 3, by="far"))
    me.table.broadcasts.reset()
    (left,) = events(me.timer("suspicion", b"x"))
    assert isinstance(left, NodeLeft)
    assert left.node.state is NodeState.DEAD
    assert (node.state, node.state_change_ns) == (NodeState.DEAD, 24 * SECOND)
    assert me.gossip() == [dead("x", 3, by="me")]
    assert me.count("memberlist.degraded.timeout") == 1
    assert me.count("memberlist.msg.dead") == 1
    assert me.table.suspicions == {}


@pytest.mark.statement("M-147")
@pytest.mark.parametrize(("others", "accusers"), [(3, "abc"), (1, "a")])
def test_enough_confirmations_or_none_wanted_is_no_degraded_timeout(others, accusers):
    me = quiet()
    me.knows_many(others)
    me.knows("x")
    for accuser in accusers:
        me.hear(suspect("x", by=accuser))
    me.timer("suspicion", b"x")
    assert me.state("x") is NodeState.DEAD
    assert me.count("memberlist.degraded.timeout") == 0


@pytest.mark.statement("M-146")
def test_a_timer_of_an_earlier_suspicion_kills_nobody():
    me = quiet()
    me.knows_many(3)
    me.knows("x")
    me.hear(suspect("x", 1))
    me.now_ns = 20 * SECOND
    me.hear(alive("x", 2))
    me.hear(suspect("x", 2))
    me.now_ns = 24 * SECOND
    assert me.did(me.engine.on_timer(("suspicion", b"x"), me.now_ns)) == []
    assert me.state("x") is NodeState.SUSPECT


@pytest.mark.statement("M-146")
@pytest.mark.parametrize("state", [NodeState.ALIVE, NodeState.DEAD, NodeState.LEFT, None])
def test_a_timer_finds_nothing_to_do_if_the_node_is_no_suspect(state):
    me = quiet()
    if state is not None:
        me.knows("x", state=state)
    assert me.engine.on_timer(("suspicion", b"x"), 99 * SECOND) == []
    assert me.state("x") is state


@pytest.mark.statement("M-153")
def test_a_confirmation_that_comes_late_fires_the_timer_at_once_and_once():
    me = quiet()
    me.knows_many(3)
    me.knows("x")
    me.hear(suspect("x", by="a"))
    me.hear(suspect("x", by="b"))
    me.now_ns = 11 * SECOND
    assert me.hear(suspect("x", by="c")) == [SetTimer(("suspicion", b"x"), 11 * SECOND)]
    assert of(Emit, me.timer("suspicion", b"x")) != []
    assert me.engine.on_timer(("suspicion", b"x"), me.now_ns) == []


# -- dead -------------------------------------------------------------------------------------


@pytest.mark.statement("M-141")
@pytest.mark.parametrize(("by", "state"), [("x", NodeState.LEFT), ("far", NodeState.DEAD), ("", NodeState.DEAD)])
@pytest.mark.parametrize("before", [NodeState.ALIVE, NodeState.SUSPECT])
def test_a_node_leaves_by_its_own_word_and_dies_by_that_of_others(by, state, before):
    me = quiet()
    node = me.knows("x", state=before)
    me.now_ns = SECOND
    claim = dead("x", 4, by=by)
    (left,) = events(me.hear(claim))
    assert isinstance(left, NodeLeft)
    assert left.node.state is state
    assert (node.state, node.incarnation, node.state_change_ns) == (state, 4, SECOND)
    assert me.gossip() == [claim]
    assert me.count("memberlist.msg.dead") == 1


@pytest.mark.statement("M-141")
def test_a_death_ends_the_suspicion():
    me = quiet()
    me.knows_many(3)
    me.knows("x")
    me.hear(suspect("x"))
    assert CancelTimer(("suspicion", b"x")) in me.hear(dead("x"))
    assert me.table.suspicions == {}


@pytest.mark.statement("M-142")
@pytest.mark.parametrize("state", [NodeState.DEAD, NodeState.LEFT])
@pytest.mark.parametrize("by", ["x", "far"])
def test_a_gone_node_does_not_die_again(state, by):
    me = quiet()
    node = me.knows("x", state=state, state_change_ns=-5)
    assert me.hear(dead("x", 1, by=by)) == []
    assert (node.state, node.state_change_ns, node.incarnation) == (state, -5, 1)
    assert me.gossip() == []
    assert me.count("memberlist.msg.dead") == 0


@pytest.mark.statement("M-142")
def test_what_dead_means_for_unknown_nodes_and_old_lives():
    me = quiet()
    node = me.knows("x", incarnation=5)
    assert me.hear(dead("y")) == []
    assert me.hear(dead("x", 4)) == []
    assert node.state is NodeState.ALIVE
    assert me.gossip() == []


@pytest.mark.statement("M-140")
@pytest.mark.parametrize("by", ["me", "far"])
def test_a_death_notice_about_us_is_refuted(by):
    me = quiet()
    assert me.hear(dead("me", 3, by=by)) == []
    assert me.gossip() == [alive("me", 4, HERE)]
    assert me.state("me") is NodeState.ALIVE
    assert me.engine.health_score == 1


@pytest.mark.statement("M-140")
def test_our_own_leave_is_not_refuted_and_tells_when_it_is_spread():
    me = quiet()
    me.knows("x")
    (left,) = events(me.did(me.engine.leave(0, "token")))
    assert isinstance(left, NodeLeft)
    assert left.node.state is NodeState.LEFT
    sent = []
    while claims := me.gossip():
        sent += claims
    assert sent == [dead("me", 1, by="me")] * 4
    assert me.table.broadcasts.finished == ["token"]


# -- refutation -------------------------------------------------------------------------------


@pytest.mark.statement("M-143")
def test_a_refutation_replaces_only_an_earlier_refutation():
    me = quiet()
    me.did(me.engine.update_node(0, "update"))
    me.hear(suspect("me", 2))
    assert [claim.incarnation for claim in me.gossip()] == [3, 2]
    me.hear(suspect("me", 3))
    assert sorted(claim.incarnation for claim in me.gossip()) == [2, 4]
    assert set(me.table.broadcasts._named) == {b"me", b"10.0.0.1"}


@pytest.mark.statement("M-144")
def test_a_refutation_repeats_our_stored_words():
    versions = (2, 4, 3)
    me = quiet(hooks=Hooks(node_meta=lambda _limit: b"tags"), delegate_protocol=versions, protocol_version=3)
    me.hear(dead("me", 9))
    (claim,) = me.gossip()
    assert claim == Alive(10, b"me", HERE.ip, HERE.port, b"tags", bytes((1, 5, 3, 2, 4, 3)))


@pytest.mark.statement("M-145")
@pytest.mark.parametrize(("counter", "accused", "outbid"), [(1, 0xFFFFFFFE, 0xFFFFFFFF), (1, 0xFFFFFFFF, 0)])
def test_incarnations_wrap_at_32_bits(counter, accused, outbid):
    me = quiet()
    me.hear(suspect("me", accused))
    assert me.node("me").incarnation == outbid
    assert [claim.incarnation for claim in me.gossip()] == [outbid]


@pytest.mark.statement("M-145")
def test_a_counter_that_wrapped_still_outbids():
    me = quiet()
    me.table.incarnation = me.node("me").incarnation = 0xFFFFFFFF
    assert me.table.next_incarnation(above=5) == 6
    me.table.incarnation = 0xFFFFFFFF
    assert me.table.next_incarnation() == 0


def test_an_accusation_that_cannot_be_outbid_is_told_loudly(caplog):
    me = quiet()
    with caplog.at_level("ERROR", "serfcompat.memberlist"):
        me.hear(suspect("me", 0xFFFFFFFF))
    assert "cannot outbid" in caplog.text


# -- better than upstream ---------------------------------------------------------------------


@pytest.mark.parametrize("accuse", [suspect, dead])
@pytest.mark.parametrize("state", [NodeState.DEAD, NodeState.LEFT])
def test_a_stale_alive_does_not_resurrect_a_node_that_was_accused_in_a_later_life(accuse, state):
    me = quiet()
    me.knows("x", state=state, incarnation=1)
    me.hear(accuse("x", 10))
    assert events(me.hear(alive("x", 2))) == []
    assert me.state("x") is state
    assert of(NodeJoined, events(me.hear(alive("x", 11)))) != []


def test_a_stale_alive_does_not_free_a_suspect_that_was_accused_in_a_later_life():
    me = quiet()
    me.knows_many(3)
    me.knows("x")
    me.hear(suspect("x", 1, by="a"))
    me.hear(suspect("x", 10, by="a"))
    me.hear(alive("x", 2))
    assert me.state("x") is NodeState.SUSPECT
    me.hear(alive("x", 11))
    assert me.state("x") is NodeState.ALIVE


def test_a_suspect_that_is_accused_in_a_newer_life_is_given_its_time_anew():
    me = quiet()
    me.knows_many(3)
    me.knows("x")
    me.hear(suspect("x", 1, by="a"))
    me.hear(suspect("x", 1, by="b"))
    me.silence()
    me.now_ns = 5 * SECOND
    newer = suspect("x", 2, by="a")
    assert me.hear(newer) == [SetTimer(("suspicion", b"x"), 29 * SECOND)]
    assert (me.node("x").incarnation, me.node("x").state_change_ns) == (2, 5 * SECOND)
    assert me.table.suspicions[b"x"].confirmations == 0
    assert me.gossip() == [newer]


def test_whoever_overslept_gives_a_suspect_one_more_chance():
    me = quiet()
    me.knows_many(3)
    me.knows("x")
    me.hear(suspect("x"))
    me.now_ns = 60 * SECOND  # the process was stopped; the refutation waits in the socket
    assert me.timer("suspicion", b"x") == [SetTimer(("suspicion", b"x"), 60 * SECOND + SECOND // 2)]
    me.hear(alive("x", 2))
    assert me.state("x") is NodeState.ALIVE


def test_the_one_more_chance_is_the_last():
    me = quiet()
    me.knows_many(3)
    me.knows("x")
    me.hear(suspect("x"))
    me.now_ns = 60 * SECOND
    me.timer("suspicion", b"x")
    me.now_ns = 120 * SECOND
    me.timer("suspicion", b"x")
    assert me.state("x") is NodeState.DEAD
