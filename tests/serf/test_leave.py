"""Leaving, and declaring others gone."""

import logging

import pytest

from serfcompat.errors import StateError
from serfcompat.serf.effects import AppendSnapshot, SyncSnapshot, TimedOut
from serfcompat.serf.member import MemberStatus
from serfcompat.serf.snapshot import Snapshot
from serfcompat.serf.state import SerfState
from serfcompat.swim.effects import CancelTimer, Finished, SetTimer
from serfcompat.wire.serf_messages import LeaveIntent

from .nodes import SECOND, Cluster, Node


def fire(node, *keys):
    """Fire the newest timer of each kind, at its time."""
    for kind in keys:
        timer = [effect for effect in node.of(SetTimer) if effect.key[0] == kind][-1]
        node.now_ns = timer.at_ns
        node.timer(*timer.key)


@pytest.mark.statement("S-088", "S-090")
def test_alone_there_is_nobody_to_tell_but_the_delay_remains():
    node = Node().start()
    node.gossip()
    node.forget()
    node.did(node.engine.begin_leave("t", 0))
    assert node.gossip() == []
    assert node.engine.state is SerfState.LEAVING
    assert node.told() == ["member-leave me"]
    assert Finished("t") not in node.effects
    fire(node, "serf-left")
    assert node.now_ns == 1 * SECOND
    assert node.engine.state is SerfState.LEFT
    assert node.effects[-1] == Finished("t")


@pytest.mark.statement("S-087")
def test_a_second_leave_is_fine_when_done_and_an_error_before():
    node = Node().start()
    node.did(node.engine.begin_leave("t", 0))
    with pytest.raises(StateError, match=r"^Leave already in progress$"):
        node.engine.begin_leave("u", 0)
    fire(node, "serf-left")
    assert node.engine.begin_leave("u", 0) == [Finished("u")]
    node.engine.shutdown(0)
    with pytest.raises(StateError, match=r"^Leave called after Shutdown$"):
        node.engine.begin_leave("v", 0)


@pytest.mark.statement("S-089")
def test_when_nobody_listens_a_leave_ends_all_the_same(caplog):
    cluster = Cluster("a", "b")
    cluster.run(2)
    node = cluster["a"]
    node.core.queues.broadcasts = lambda *args: []  # nothing of Serf's ever rides on a packet
    node.core.swim.table.broadcasts.get = lambda *args: []
    start_ns = cluster.now_ns
    cluster.step("a", lambda: node.engine.begin_leave("t", cluster.now_ns))
    cluster.until(lambda: cluster.finished("a", "t"), within=20)
    assert node.engine.state is SerfState.LEFT
    assert cluster.now_ns - start_ns == 11 * SECOND
    assert [m for m in caplog.messages if "timeout" in m] == [
        "serf: timeout while waiting for graceful leave",
        "serf: timeout waiting for leave broadcast: timeout waiting for leave broadcast",
    ]


def test_a_leave_is_dated_before_the_increment():
    node = Node().start()
    node.joins("b")
    node.gossip()
    node.did(node.engine.begin_leave("t", 0))
    assert node.gossip() == [LeaveIntent(1, b"me").encode()]
    assert node.core.clock.time == 2
    assert node.status("me") is MemberStatus.LEAVING


def test_a_shutdown_during_a_leave_wins():
    node = Node().start()
    node.did(node.engine.begin_leave("t", 0))
    node.engine.shutdown(0)
    fire(node, "serf-left")
    assert node.engine.state is SerfState.SHUTDOWN
    assert node.effects[-1] == Finished("t")


def test_a_shutdown_before_memberlists_own_leave_ends_it():
    node = Node().start()
    node.joins("b")
    node.did(node.engine.begin_leave("t", 0))
    node.engine.shutdown(0)
    fire(node, "serf-wait")
    assert node.effects[-1] == Finished("t")
    assert "member-leave me" not in node.told()


def test_who_is_not_in_memberlists_table_leaves_all_the_same(caplog):
    node = Node()  # never started
    node.did(node.engine.begin_leave("t", 0))
    fire(node, "serf-left")
    assert node.engine.state is SerfState.LEFT
    assert node.effects[-1] == Finished("t")
    assert caplog.messages[0].startswith("serf: timeout waiting for leave broadcast: ")


@pytest.mark.statement("S-182")
def test_the_snapshot_hears_of_a_leave_before_anybody_else():
    node = Node(restored=Snapshot.replay(b"", log=logging.getLogger("serfcompat.serf"))).start()
    node.forget()
    node.did(node.engine.begin_leave("t", 0))
    assert node.effects[:2] == [AppendSnapshot(b"leave\n", False), SyncSnapshot(close=False)]
    assert not [effect for effect in node.effects[2:] if isinstance(effect, AppendSnapshot)]


@pytest.mark.statement("S-094")
def test_a_force_leave_that_is_not_sent_often_enough_times_out():
    node = Node().start()
    node.joins("b")
    node.joins("c")
    node.did(node.engine.force_leave("c", False, "t", 0))
    fire(node, "serf-wait")
    assert node.now_ns == 5 * SECOND
    assert node.effects[-1] == TimedOut("t", "timed out broadcasting node removal")


@pytest.mark.statement("S-092")
def test_a_force_leave_needs_no_known_member():
    cluster = Cluster("a", "b")
    cluster.run(2)
    node = cluster["a"]
    cluster.step("a", lambda: node.engine.force_leave("ghost", False, "t", cluster.now_ns))
    cluster.until(lambda: cluster.finished("a", "t"))
    cluster.run(1)
    assert len(cluster["b"].core.intents) == 1


def test_each_force_leave_is_waited_for_on_its_own():
    node = Node().start()
    node.joins("b")
    node.did(node.engine.force_leave("ghost", False, "t", 0))
    while node.gossip():
        pass
    node.did(node.engine.force_leave("spirit", False, "u", 0))
    node.did(node.engine.force_leave("phantom", False, "v", 0))
    assert node.of(Finished) == [Finished("t")]
    assert node.of(CancelTimer) == [CancelTimer(node.of(SetTimer)[-3].key)]
    while node.gossip():
        pass
    assert {effect.token for effect in node.of(Finished)} == {"t", "u", "v"}


def test_a_force_leave_with_nobody_to_tell_is_done_at_once():
    node = Node().start()
    assert Finished("t") in node.did(node.engine.force_leave("ghost", False, "t", 0))


@pytest.mark.statement("S-045")
def test_a_pruned_leave_releases_who_waits():
    node = Node(max_queue_depth=0).start()
    node.joins("b")
    node.did(node.engine.force_leave("ghost", False, "t", 0))
    assert Finished("t") not in node.effects
    node.timer("serf-queues")
    assert Finished("t") in node.effects
    assert not node.of(TimedOut)


def test_a_broadcast_timeout_of_nothing_ends_serfs_waits_at_once():
    node = Node(broadcast_timeout=0.0).start()
    node.joins("b")
    node.did(node.engine.force_leave("ghost", False, "t", 0))
    fire(node, "serf-wait")
    assert node.now_ns == 0
    assert node.of(TimedOut)


@pytest.mark.parametrize(("timeout", "timers"), [(0.0, 0), (5.0, 1)])
def test_but_memberlists_waits_have_no_end_then(timeout, timers):
    cluster = Cluster("a", "b", broadcast_timeout=timeout)
    node = cluster["a"]
    node.forget()
    cluster.step("a", lambda: node.engine.set_tags({"x": "y"}, "t", cluster.now_ns))
    assert len([e for e in node.of(SetTimer) if e.key[0] == "serf-wait"]) == timers
