"""Join and leave intents, rule by rule."""

import logging

import pytest

from serfcompat.serf.effects import Finished, TimedOut
from serfcompat.serf.intents import on_join_intent, on_leave_intent
from serfcompat.serf.lamport import LTIME_MAX
from serfcompat.serf.member import MemberStatus
from serfcompat.swim.effects import SetTimer
from serfcompat.wire.serf_messages import JoinIntent, LeaveIntent

from .nodes import SECOND, Node, news

ALIVE, LEAVING, LEFT, FAILED = MemberStatus.ALIVE, MemberStatus.LEAVING, MemberStatus.LEFT, MemberStatus.FAILED


def join(node, ltime, name="b"):
    return news(lambda verdict: on_join_intent(node.core, JoinIntent(ltime, name.encode()), node.now_ns, verdict))


def leave(node, ltime, name="b", prune=False):
    intent = LeaveIntent(ltime, name.encode(), prune)
    return news(lambda verdict: on_leave_intent(node.core, intent, node.now_ns, verdict))


def knowing(status, name="b"):
    """A node that knows `name` in a status, its last intent from time 2."""
    node = Node()
    node.joins(name)
    if status in (LEAVING, LEFT):
        leave(node, 2, name)
    else:
        join(node, 2, name)
    if status in (LEFT, FAILED):
        node.leaves(name)
    assert node.status(name) is status
    node.forget()
    return node


@pytest.mark.statement("S-055")
def test_every_intent_is_witnessed_even_if_ignored():
    node = knowing(ALIVE)
    join(node, 50)
    assert node.core.clock.time == 51
    assert not join(node, 51, "b") or node.core.clock.time == 52
    node.core.members.by_name[b"b"].status_ltime = 100
    assert not join(node, 90)
    assert node.core.clock.time == 91
    assert not leave(node, 95)
    assert node.core.clock.time == 96


@pytest.mark.statement("S-057")
def test_a_join_intent_for_a_stranger_is_news_once():  # J1
    node = Node()
    assert join(node, 4)
    assert not join(node, 4)


@pytest.mark.statement("S-058")
def test_a_leave_intent_for_a_stranger_is_news_once():  # L1
    node = Node()
    assert leave(node, 4)
    assert not leave(node, 4)


@pytest.mark.statement("S-085")
def test_a_prune_of_a_stranger_only_buffers_a_leave():
    node = Node()
    assert leave(node, 4, prune=True)
    node.joins("b")
    assert node.status("b") is LEAVING
    assert not node.of(SetTimer)


@pytest.mark.statement("S-064")
@pytest.mark.parametrize("status", [ALIVE, LEAVING, LEFT, FAILED])
def test_an_intent_of_the_same_time_is_ignored(status):  # J2, L2
    node = knowing(status)
    assert not join(node, 2)
    assert not leave(node, 2)
    assert (node.status("b"), node.ltime("b")) == (status, 2)


@pytest.mark.statement("S-065", "S-081")
def test_a_newer_join_brings_a_leaving_member_back_without_a_word():  # J3
    node = knowing(LEAVING)
    counters = dict(node.metrics.counters)
    assert join(node, 3)
    assert (node.status("b"), node.ltime("b")) == (ALIVE, 3)
    assert node.effects == []
    assert node.metrics.counters == counters


@pytest.mark.statement("S-066")
@pytest.mark.parametrize("status", [ALIVE, LEFT, FAILED])
def test_a_newer_join_never_revives_the_dead(status):  # J3
    node = knowing(status)
    assert join(node, 3)
    assert (node.status("b"), node.ltime("b")) == (status, 3)


@pytest.mark.statement("S-067", "S-081")
def test_a_newer_leave_makes_an_alive_member_leaving_without_a_word():  # L4
    node = knowing(ALIVE)
    counters = dict(node.metrics.counters)
    assert leave(node, 3)
    assert (node.status("b"), node.ltime("b")) == (LEAVING, 3)
    assert node.effects == []
    assert node.metrics.counters == counters


@pytest.mark.statement("S-068")
def test_a_newer_leave_makes_a_failed_member_left_since_it_failed(caplog):  # L5
    caplog.set_level(logging.INFO)
    node = Node()
    node.joins("b")
    node.now_ns = 77
    node.leaves("b")
    node.now_ns = 99
    node.forget()
    counters = dict(node.metrics.counters)
    assert leave(node, 3)
    node.settle()
    entry = node.core.members.by_name[b"b"]
    assert (entry.status, entry.status_ltime, entry.leave_ns) == (LEFT, 3, 77)
    assert node.core.members.failed == []
    assert node.core.members.left == [entry]
    assert node.told() == ["member-leave b"]
    assert caplog.messages[-1] == "serf: EventMemberLeave (forced): b 10.0.0.9"
    assert node.metrics.counters == counters


@pytest.mark.statement("S-069", "S-070")
@pytest.mark.parametrize("status", [LEAVING, LEFT])
def test_a_newer_leave_of_one_who_leaves_is_news_once(status):  # L6
    node = knowing(status)
    assert leave(node, 3)
    assert (node.status("b"), node.ltime("b")) == (status, 3)
    assert not leave(node, 3)
    assert node.effects == []


@pytest.mark.statement("S-071")
def test_a_leave_about_us_is_refuted_by_a_later_join(caplog):  # L3
    caplog.set_level(logging.DEBUG)
    node = Node().start()
    node.gossip()
    assert not leave(node, 40, "me")
    assert node.status("me") is ALIVE
    [refutation] = node.gossip()
    assert refutation == JoinIntent(44, b"me").encode()  # 41 would do, were not others dating the leave later
    assert node.ltime("me") == 44
    assert node.core.clock.time == 45
    assert "serf: Refuting an older leave intent" in caplog.messages


@pytest.mark.statement("S-072")
def test_a_leave_about_us_is_accepted_while_leaving():
    node = Node().start()
    node.did(node.engine.begin_leave("t", 0))
    assert leave(node, 40, "me")
    assert node.ltime("me") == 40


def test_a_leave_of_a_member_without_a_status_is_no_news():  # L7
    node = knowing(ALIVE)
    node.core.members.become(node.core.members.by_name[b"b"], MemberStatus.NONE)
    assert not leave(node, 3)
    assert node.ltime("b") == 3


@pytest.mark.parametrize("handle", [join, leave])
def test_the_last_lamport_time_is_not_believed(handle):  # defect D-6
    node = knowing(ALIVE)
    clock = node.core.clock.time
    assert not handle(node, LTIME_MAX)
    assert (node.ltime("b"), node.core.clock.time) == (2, clock)
    assert not handle(node, LTIME_MAX, "stranger")


@pytest.mark.statement("S-082")
def test_pruning_a_failed_member_tells_that_it_left_and_was_reaped(caplog):
    caplog.set_level(logging.INFO)
    node = knowing(FAILED)
    assert leave(node, 3, prune=True)
    node.settle()
    assert node.told() == ["member-leave b", "member-reap b"]
    assert node.status("b") is None
    assert node.core.members.failed == node.core.members.left == []
    assert caplog.messages[-1] == "serf: EventMemberReap (forced): b 10.0.0.9"


@pytest.mark.statement("S-083")
def test_pruning_a_left_member_reaps_it_at_once():
    node = knowing(LEFT)
    assert leave(node, 3, prune=True)
    node.settle()
    assert node.told() == ["member-reap b"]
    assert node.core.members.left == []


@pytest.mark.statement("S-084", "S-086")
@pytest.mark.parametrize("status", [ALIVE, LEAVING])
def test_pruning_a_leaving_member_waits_and_holds_up_nobody_else(status):
    node = knowing(status)
    node.hear(LeaveIntent(3, b"b", prune=True))
    assert SetTimer(("serf-prune", b"b"), 6 * SECOND) in node.effects
    assert node.gossip() == []
    node.updates("b", meta=b"\xff\x81\xa1k\xa1v")  # what comes for it while it waits is put off
    node.leaves("b")
    node.joins("c")  # everybody else is served
    assert node.told() == ["member-join c"]
    assert node.status("b") is LEAVING
    node.hear(LeaveIntent(9, b"c"))
    assert node.status("c") is LEAVING
    assert node.gossip() == [LeaveIntent(9, b"c").encode()]
    node.forget()
    node.now_ns = 6 * SECOND
    node.timer("serf-prune", b"b")
    assert node.told() == ["member-reap b"]
    assert node.status("b") is None
    assert LeaveIntent(3, b"b", prune=True).encode() in node.gossip()


def test_what_comes_for_a_member_during_its_prune_is_applied_after_it():
    node = knowing(LEAVING)
    node.hear(LeaveIntent(3, b"b", prune=True))
    node.hear(JoinIntent(7, b"b"))
    assert node.core.clock.time == 8  # witnessed at once
    assert node.ltime("b") == 3
    node.joins("b")
    node.updates("b", meta=b"\xff\x81\xa1k\xa1v")
    node.leaves("b")
    node.forget()
    node.timer("serf-prune", b"b")
    assert node.told() == ["member-reap b", "member-join b", "member-update b", "member-failed b"]
    assert (node.status("b"), node.ltime("b")) == (FAILED, 7)


def test_another_leave_during_a_prune_meets_a_stranger_after_it():
    node = knowing(LEAVING)
    node.hear(LeaveIntent(3, b"b", prune=True))
    node.hear(LeaveIntent(7, b"b"))
    assert node.ltime("b") == 3
    node.timer("serf-prune", b"b")
    assert sorted(node.gossip()) == [LeaveIntent(3, b"b", prune=True).encode(), LeaveIntent(7, b"b").encode()]
    assert len(node.core.intents) == 1


def test_a_force_leave_during_a_prune_waits_for_it():
    node = knowing(LEAVING)
    node.joins("c")
    node.hear(LeaveIntent(3, b"b", prune=True))
    node.did(node.engine.force_leave("b", False, "t", 0))
    assert node.gossip() == []
    node.timer("serf-prune", b"b")
    assert len(node.gossip()) == 2


def test_a_flood_during_a_prune_is_bounded_and_keeps_nobody_waiting():
    node = knowing(LEAVING)
    node.hear(LeaveIntent(3, b"b", prune=True))
    for ltime in range(10, 2000):
        node.hear(JoinIntent(ltime, b"b"))
    [deferred] = node.core.pruning.values()
    assert len(deferred.actions) == deferred.LIMIT
    assert not join(node, 3000)
    assert not leave(node, 3000)
    node.did(node.engine.force_leave("b", False, "t", 0))
    assert Finished("t") in node.effects


def test_a_force_leave_with_prune_is_broadcast_after_the_wait():
    node = Node().start()
    node.joins("b")
    node.joins("c")
    node.gossip()
    node.did(node.engine.force_leave("b", True, "t", 0))
    assert node.gossip() == []
    assert not node.of(Finished)
    node.now_ns = 6 * SECOND
    node.timer("serf-prune", b"b")
    assert node.gossip() == [LeaveIntent(1, b"b", prune=True).encode()]
    while node.gossip():
        pass
    assert node.of(Finished) == [Finished("t")]
    assert not node.of(TimedOut)
