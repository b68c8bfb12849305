"""Forgetting members that are gone for long."""

import logging

import pytest

from serfcompat.serf.reaper import on_reap_tick
from serfcompat.wire.serf_messages import JoinIntent, LeaveIntent

from .nodes import SECOND, Node

DAY = 24 * 3600 * SECOND


def gone(*, failed=(), left=(), **config):
    """Members that failed or left at time 0."""
    node = Node(**config)
    for name in (*failed, *left):
        node.joins(name)
    for name in left:
        node.hear(LeaveIntent(2, name.encode()))
    for name in (*failed, *left):
        node.leaves(name)
    node.forget()
    return node


def reap(node, now_ns):
    on_reap_tick(node.core, now_ns)
    node.settle()
    return node.told()


@pytest.mark.statement("S-095")
def test_failed_and_left_members_are_forgotten_after_their_time(caplog):
    caplog.set_level(logging.INFO)
    node = gone(failed=["f"], left=["l"], reconnect_timeout=10.0, tombstone_timeout=20.0)
    assert reap(node, 10 * SECOND) == []
    assert reap(node, 10 * SECOND + 1) == ["member-reap f"]
    assert reap(node, 20 * SECOND) == ["member-reap f"]
    assert reap(node, 20 * SECOND + 1) == ["member-reap f", "member-reap l"]
    assert caplog.messages[-1] == "serf: EventMemberReap: l"
    assert [str(e.members[0].status) for e in node.events()] == ["failed", "left"]
    assert not len(node.core.members)
    assert node.core.members.failed == node.core.members.left == []


@pytest.mark.statement("S-096")
def test_the_time_of_a_force_left_member_counts_from_its_failure():
    node = gone(failed=["f"], tombstone_timeout=20.0)
    node.now_ns = 15 * SECOND
    node.hear(LeaveIntent(5, b"f"))
    node.forget()
    assert reap(node, 20 * SECOND + 1) == ["member-reap f"]


@pytest.mark.statement("S-097")
def test_the_application_may_set_the_time_of_each_member():
    asked = []

    def override(member, timeout):
        asked.append((member.name, timeout))
        return {"f": float("inf"), "l": 1.0}[member.name]

    node = gone(failed=["f"], left=["l"], reconnect_timeout_override=override, reconnect_timeout=5.0)
    assert reap(node, 2 * DAY) == ["member-reap l"]
    assert asked == [("f", 5.0), ("l", 86400.0)]


@pytest.mark.statement("S-098")
def test_a_forgotten_member_takes_its_coordinate_along():
    node = gone(failed=["f"])
    forgotten = []
    node.core.coordinates.forget = forgotten.append
    assert reap(node, DAY + 1) == ["member-reap f"]
    assert forgotten == [b"f"]


def test_age_counts_from_when_the_member_went():
    node = Node(reconnect_timeout=10.0)
    node.now_ns = 100 * SECOND
    node.joins("f")
    node.leaves("f")
    node.forget()
    assert reap(node, 110 * SECOND) == []
    assert reap(node, 110 * SECOND + 1) == ["member-reap f"]


def test_all_that_are_due_are_forgotten_in_one_go():
    node = gone(failed=["a", "b", "c", "d"])
    assert sorted(reap(node, DAY + 1)) == [f"member-reap {name}" for name in "abcd"]


@pytest.mark.statement("S-063")
def test_buffered_intents_vanish_with_time():
    node = Node()
    node.hear(JoinIntent(5, b"x"))
    reap(node, 300 * SECOND)
    assert len(node.core.intents) == 1
    reap(node, 300 * SECOND + 1)
    assert len(node.core.intents) == 0


def test_the_loop_goes_on():
    node = Node(reap_interval=2.0).start()
    node.now_ns = 2 * SECOND
    assert [(e.key, e.at_ns) for e in node.timer("serf-reap")] == [(("serf-reap",), 4 * SECOND)]


def test_an_override_that_fails_is_logged_and_the_default_holds(caplog):
    def fails(member, default):
        raise RuntimeError("the application's fault")

    node = Node(reconnect_timeout=10.0, reconnect_timeout_override=fails).start()
    node.joins("a")
    node.leaves("a")
    node.now_ns = 9 * SECOND
    node.timer("serf-reap")
    assert node.core.members.get(b"a") is not None
    node.now_ns = 11 * SECOND
    node.timer("serf-reap")
    assert node.core.members.get(b"a") is None
    assert "the application's fault" in caplog.text
