"""The engine as a whole, alone: what it builds, restores and refuses."""

import logging

import pytest

from serfcompat.errors import StateError, UsageError
from serfcompat.serf.effects import AppendSnapshot, ReplaceSnapshot, SyncSnapshot
from serfcompat.serf.queries import QueryParams
from serfcompat.serf.snapshot import Snapshot
from serfcompat.serf.state import SerfState
from serfcompat.swim.effects import SetTimer
from serfcompat.wire.serf_messages import JoinIntent

from .nodes import SECOND, Config, Node, read_push_pull

LOG = logging.getLogger("serfcompat.serf")


@pytest.mark.statement("S-001")
def test_a_default_node_advertises_its_versions():
    assert Node().start().core.swim.local_node().vsn == bytes((1, 5, 2, 2, 5, 4))
    assert Node(protocol_version=5).start().core.swim.local_node().vsn == bytes((1, 5, 2, 2, 5, 5))


@pytest.mark.statement("S-003")
def test_what_serf_needs_of_memberlist_is_set_whatever_was_given():
    below = Config().memberlist.replace(name="other", protocol_version=5, delegate_protocol=(9, 9, 9))
    node = Node("me", memberlist=below)
    assert node.engine.config.name == "me"
    assert node.engine.config.protocol_version == 2
    assert node.engine.config.delegate_protocol == (2, 5, 4)
    assert node.core.swim.table.hooks.broadcasts is not None


@pytest.mark.statement("S-004")
def test_pings_carry_coordinates_only_if_enabled():
    assert Node().core.swim.table.hooks.ack_payload is not None
    assert Node(disable_coordinates=True).core.swim.table.hooks.ack_payload is None


@pytest.mark.statement("S-046", "S-201")
def test_a_fresh_node_in_numbers():
    node = Node().start()
    assert node.engine.stats() == {
        "members": "1",
        "failed": "0",
        "left": "0",
        "health_score": "0",
        "member_time": "1",
        "event_time": "1",
        "query_time": "1",
        "intent_queue": "0",
        "event_queue": "0",
        "query_queue": "0",
        "encrypted": "false",
        "coordinate_resets": "0",
    }
    assert "coordinate_resets" not in Node(disable_coordinates=True).engine.stats()
    assert Node(secret_key=b"k" * 16).engine.stats()["encrypted"] == "true"


@pytest.mark.statement("S-056")
def test_clocks_go_on_after_the_stored_ones():
    stored = Snapshot.replay(b"clock: 5\nevent-clock: 9\n", log=LOG)
    core = Node(restored=stored).core
    assert (core.clock.time, core.event_clock.time, core.query_clock.time) == (6, 10, 1)
    assert (core.event_min_time, core.query_min_time) == (10, 1)


@pytest.mark.statement("S-002")
def test_a_configuration_that_cannot_work_makes_no_engine():
    with pytest.raises(UsageError, match=r"^Protocol version '1' too low\. Must be in range: \[2, 5\]$"):
        Node(protocol_version=1)


def test_memberlist_logs_where_it_was_told_to_or_where_serf_does():
    ours, theirs = logging.getLogger("ours"), logging.getLogger("theirs")
    assert Node(logger=ours).core.swim.log is ours
    below = Config().memberlist.replace(logger=theirs)
    assert Node(logger=ours, memberlist=below).core.swim.log is theirs


def test_queries_below_the_stored_clock_are_history():
    stored = Snapshot.replay(b"query-clock: 7\n", log=LOG)
    core = Node(restored=stored).core
    assert (core.query_clock.time, core.query_min_time) == (8, 8)


def test_timers_count_from_the_start():
    node = Node()
    node.now_ns = 100 * SECOND
    node.start()
    assert SetTimer(("serf-reap",), 115 * SECOND) in node.effects


def test_start_sets_the_timers_that_are_not_disabled():
    keys = {effect.key for effect in Node(reconnect_interval=0.0).start().of(SetTimer)}
    assert {("serf-reap",), ("serf-queues",)} < keys
    assert not {("serf-reconnect",), ("serf-snapshot",)} & keys


def test_a_snapshot_follows_the_clock_until_the_end():
    node = Node(restored=Snapshot.replay(b"", log=LOG)).start()
    assert node.of(AppendSnapshot) == [AppendSnapshot(b"alive: me 10.0.0.1:7946\n", True)]
    node.hear(JoinIntent(7, b"x"))
    assert SetTimer(("serf-snapshot",), 500_000_000) in node.timer("serf-snapshot")
    assert node.of(AppendSnapshot)[-1].data == b"clock: 7\n"
    node.hear(JoinIntent(8, b"x"))
    assert node.engine.shutdown(0)[-2:] == [AppendSnapshot(b"clock: 8\n", False), SyncSnapshot(close=True)]


def test_after_the_end_the_clock_is_not_followed_any_more():
    node = Node(restored=Snapshot.replay(b"", log=LOG)).start()
    node.engine.shutdown(0)
    node.hear(JoinIntent(7, b"x"))
    node.forget()
    node.timer("serf-snapshot")
    assert not node.of(AppendSnapshot)


def test_snapshot_failures_are_mended(caplog):
    caplog.set_level(logging.INFO)
    node = Node(restored=Snapshot.replay(b"", log=LOG))
    [replace] = node.engine.on_snapshot_failed(AppendSnapshot(b"x", True), "disk full", 0)
    assert isinstance(replace, ReplaceSnapshot)
    node.engine.on_snapshot_recovered()
    assert caplog.messages[-1] == "serf: Finished compaction, successfully recovered from error state"


def test_gathered_events_are_told_in_time_or_at_the_end():
    node = Node(coalesce_period=3.0, quiescent_period=1.0)
    node.joins("b")
    assert node.told() == []
    node.timer("serf-coalesce", "member", "quiet")
    assert node.told() == ["member-join b"]
    node.joins("c")
    node.did(node.engine.shutdown(0))
    assert node.told() == ["member-join b", "member-join c"]


def test_messages_over_streams_are_heard_as_well():
    node = Node()
    node.did(node.engine.on_user_message(JoinIntent(4, b"x").encode(), 0))
    assert node.gossip() == [JoinIntent(4, b"x").encode()]


def test_what_concerns_the_level_below_is_passed_down(monkeypatch):
    node = Node()
    node.engine.drop("label_mismatch", node.address)
    assert node.metrics.counters["serfcompat.drop.label_mismatch"] == 1
    asked = []
    monkeypatch.setattr(node.core.swim, "on_send_failed", lambda *args, **rest: asked.append((args, rest)) or [])
    node.engine.on_send_failed(7, 5, remote=False)
    assert asked == [((7, 5), {"remote": False})]


def test_room_is_made_for_the_right_query_only():
    node = Node().start()
    query = node.engine.query("q", None, QueryParams(request_ack=True), 0)
    running = node.core.running.get(query.key[0])
    before = running.acks.room, running.responses.room
    other = (query.key[0], query.key[1] + 1)
    node.engine.query_taken(other, acks=1, responses=1)
    assert (running.acks.room, running.responses.room) == before
    assert node.engine.close_query(other, 0) == []
    node.engine.query_taken(query.key, acks=2, responses=3)
    assert (running.acks.room, running.responses.room) == (before[0] + 2, before[1] + 3)
    plain = node.engine.query("q", None, QueryParams(), 0)
    node.engine.query_taken(plain.key, acks=1)  # nobody asked for acks: nothing happens


def test_tags_stay_as_they_are_if_there_is_nobody_to_wear_them():
    node = Node(tags={"a": "b"})
    with pytest.raises(StateError):
        node.engine.set_tags({"c": "d"}, "t", 0)
    assert node.core.tags == {"a": "b"}
    assert node.effects == []


@pytest.mark.statement("S-109")
def test_only_the_join_that_ignores_the_past_ignores_it():
    node = Node().start()
    node.engine.begin_join(True)
    node.did(node.engine.joined(1, True, 0))
    peer = Node("b").start()
    peer.did(peer.engine.user_event("deploy", None, False, 0))
    node.did(node.engine.merge_remote_state(read_push_pull(peer.engine.local_state(True)), True, 0))
    assert "user-event: deploy" in node.told()


@pytest.mark.statement("S-101")
def test_a_shutdown_without_a_leave_is_warned_of_once(caplog):
    node = Node().start()
    node.engine.shutdown(0)
    assert node.engine.state is SerfState.SHUTDOWN
    assert node.engine.shutdown(0) == []
    assert caplog.messages == ["serf: Shutdown without a Leave"]


@pytest.mark.statement("S-091")
def test_who_leaves_does_not_join():
    node = Node().start()
    node.did(node.engine.begin_leave("t", 0))
    with pytest.raises(StateError, match=r"^Serf can't Join after Leave or Shutdown$"):
        node.engine.begin_join(False)


def test_a_join_that_reached_nobody_says_nothing():
    node = Node().start()
    node.gossip()
    node.engine.begin_join(False)
    assert node.engine.joined(0, False, 0) == []
    assert node.gossip() == []
    node.engine.begin_join(False)
    node.did(node.engine.joined(1, False, 0))
    assert node.gossip() == [JoinIntent(1, b"me").encode()]
    assert node.core.clock.time == 2


def test_whoever_is_not_a_member_has_no_member_of_its_own():  # defect D-3
    with pytest.raises(StateError):
        Node().engine.local_member()


@pytest.mark.statement("S-197")
def test_without_coordinates_there_are_none():
    engine = Node(disable_coordinates=True).start().engine
    with pytest.raises(UsageError, match=r"^Coordinates are disabled$"):
        engine.coordinate()
    assert engine.cached_coordinate("me") is None


def test_a_strange_timer_is_a_bug():
    with pytest.raises(AssertionError):
        Node().engine.on_timer(("serf-nonsense", 1), 0)
