"""What memberlist reports."""

import logging

import pytest

from serfcompat.serf.member import MemberStatus
from serfcompat.swim.events import NodeState
from serfcompat.wire.serf_messages import JoinIntent, LeaveIntent

from .nodes import SECOND, Node

ALIVE, LEAVING, LEFT, FAILED = MemberStatus.ALIVE, MemberStatus.LEAVING, MemberStatus.LEFT, MemberStatus.FAILED


def test_a_new_member_is_alive_and_announced(caplog):
    caplog.set_level(logging.INFO)
    node = Node()
    node.joins("b")
    assert node.status("b") is ALIVE
    assert node.ltime("b") == 0
    assert node.told() == ["member-join b"]
    assert caplog.messages == ["serf: EventMemberJoin: b 10.0.0.9"]
    assert node.metrics.counters["serf.member.join"] == 1


@pytest.mark.statement("S-060")
def test_a_buffered_join_intent_dates_the_new_member():
    node = Node()
    node.hear(JoinIntent(5, b"b"))
    node.joins("b")
    assert (node.status("b"), node.ltime("b")) == (ALIVE, 5)


@pytest.mark.statement("S-061", "S-062")
def test_a_buffered_leave_intent_makes_the_new_member_leaving_again_and_again():
    node = Node()
    node.hear(LeaveIntent(6, b"b"))
    node.joins("b")
    assert (node.status("b"), node.ltime("b")) == (LEAVING, 6)
    assert node.told() == ["member-join b"]
    node.core.members.remove(node.core.members.by_name[b"b"])
    node.joins("b")
    assert (node.status("b"), node.ltime("b")) == (LEAVING, 6)


@pytest.mark.statement("S-076")
def test_a_leaving_member_has_left_and_an_alive_one_failed(caplog):
    caplog.set_level(logging.INFO)
    node = Node()
    node.joins("a")
    node.joins("b")
    node.hear(LeaveIntent(1, b"a"))
    node.forget()
    node.now_ns = 5
    node.leaves("a", state=NodeState.DEAD)  # memberlist's own word doesn't count
    node.leaves("b", state=NodeState.LEFT)
    assert (node.status("a"), node.status("b")) == (LEFT, FAILED)
    assert node.told() == ["member-leave a", "member-failed b"]
    assert [m.name for m in node.core.members.left] == [b"a"]
    assert [m.name for m in node.core.members.failed] == [b"b"]
    assert node.core.members.by_name[b"b"].leave_ns == 5
    assert caplog.messages[-2:] == ["serf: EventMemberLeave: a 10.0.0.9", "serf: EventMemberFailed: b 10.0.0.9"]
    assert node.metrics.counters["serf.member.left"] == node.metrics.counters["serf.member.failed"] == 1


@pytest.mark.statement("S-077")
def test_leaving_twice_is_a_bad_state(caplog):
    node = Node()
    node.joins("b")
    node.leaves("b")
    node.forget()
    node.leaves("b")
    assert node.effects == []
    assert caplog.messages == ["serf: Bad state when leave: 4"]
    node.hear(LeaveIntent(1, b"b"))
    node.leaves("b")
    assert caplog.messages[1:] == ["serf: Bad state when leave: 3"]


@pytest.mark.statement("S-078")
def test_unknown_members_neither_leave_nor_change():
    node = Node()
    assert node.leaves("b") == node.updates("b") == []
    assert not node.metrics.counters
    assert not len(node.core.members)


@pytest.mark.statement("S-079")
def test_a_member_that_comes_back_keeps_its_time_and_leaves_both_lists():
    node = Node()
    for name in ("failed", "left"):
        node.joins(name)
        node.hear(JoinIntent(3, name.encode()))
    node.hear(LeaveIntent(4, b"left"))
    node.leaves("failed")
    node.leaves("left")
    for name, ltime in (("failed", 3), ("left", 4)):
        node.joins(name, addr=b"\x0a\x00\x00\x08", port=1, meta=b"\xff\x81\xa1k\xa1v")
        entry = node.core.members.by_name[name.encode()]
        assert (entry.status, entry.status_ltime, entry.leave_ns) == (ALIVE, ltime, None)
        assert (entry.view().address, dict(entry.tags)) == ("10.0.0.8:1", {"k": "v"})
    assert node.core.members.failed == node.core.members.left == []


@pytest.mark.statement("S-080")
@pytest.mark.parametrize(
    ("intent", "away_ns", "flaps"),
    [(False, 60 * SECOND - 1, 1), (False, 60 * SECOND, 0), (True, 1, 0)],
    ids=["failed", "failed long", "left"],
)
def test_a_quick_return_after_a_failure_is_a_flap(intent, away_ns, flaps):
    node = Node()
    node.now_ns = 100 * SECOND
    node.joins("b")
    if intent:
        node.hear(LeaveIntent(1, b"b"))
    node.leaves("b")
    node.now_ns += away_ns
    node.joins("b")
    assert node.metrics.counters.get("serf.member.flap", 0) == flaps


def test_an_update_changes_all_but_the_status(caplog):
    caplog.set_level(logging.INFO)
    node = Node()
    node.joins("b")
    node.hear(LeaveIntent(1, b"b"))
    node.forget()
    node.updates("b", meta=b"\xff\x81\xa1k\xa1v", vsn=bytes((1, 5, 3, 2, 5, 5)))
    assert node.told() == ["member-update b"]
    [event] = node.events()
    [member] = event.members
    assert (dict(member.tags), member.protocol_cur, member.delegate_cur) == ({"k": "v"}, 3, 5)
    assert node.status("b") is LEAVING
    assert caplog.messages[-1] == "serf: EventMemberUpdate: b"
    assert node.metrics.counters["serf.member.update"] == 1


@pytest.mark.statement("S-011")
def test_a_truncated_tag_map_keeps_what_came_before(caplog):
    node = Node()
    node.joins("b", meta=b"\xff\x82\xa1a\xa11\xa1b")
    assert dict(node.core.members.by_name[b"b"].tags) == {"a": "1"}
    [record] = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert record.getMessage().startswith("serf: Failed to decode tags: ")


def test_names_that_are_not_utf8_go_through_unharmed():
    node = Node()
    node.joins("n\udcff")
    assert list(node.core.members.by_name) == [b"n\xff"]
    assert node.told() == ["member-join n\udcff"]
