"""The snapshot file: what it says, and what is written to it."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serfcompat.serf.effects import AppendSnapshot, ReplaceSnapshot, SyncSnapshot
from serfcompat.serf.events import EventType, MemberEvent, QueryEvent, UserEvent
from serfcompat.serf.lamport import LTIME_MAX
from serfcompat.serf.member import Member, MemberStatus
from serfcompat.serf.snapshot import Snapshot
from serfcompat.serf.text import text
from serfcompat.wire.address import Address, ip_bytes, ip_text

LOG = logging.getLogger("serfcompat.serf")
SECOND = 1_000_000_000

FULL_SESSION = b"""\
alive: alpha 127.0.0.1:21001
alive: beta 127.0.0.1:21002
clock: 1
alive: gamma x 127.0.0.1:21003
clock: 2
event-clock: 1
event-clock: 2
query-clock: 1
not-alive: gamma x
not-alive: gamma x
clock: 3
clock: 4
not-alive: beta
leave
clock: 5
"""
"Written by the agent 0.9.4 (spec serf, appendix B.1)."

HOSTILE = (
    b"alive: foo 127.0.0.1:5000\nalive: bar x y [::1]:6000\nalive: noaddr\nclock: 10\nclock: -5\n"
    b"clock: 99999999999999999999\nclock: 7\r\nclock: 9\nevent-clock: abc\nevent-clock: 3\nquery-clock: +4\n"
    b'query-clock: 4\ncoordinate: {"x":1}\n# comment\n\nalive:nospace\nnot-alive: nosuch\nbogus\nalive: tr'
)
"Read by the HEAD library (appendix B.3)."


def replay(data, **options):
    return Snapshot.replay(data, log=LOG, **options)


def clocks(snapshot):
    return (snapshot.clock, snapshot.event_clock, snapshot.query_clock)


def member(name, address="127.0.0.1:5000", type=EventType.MEMBER_JOIN):
    host, _, port = address.rpartition(":")
    addr = ip_bytes(host.strip("[]")) if host else b""
    view = Member(
        name, ip_text(addr), int(port), {}, MemberStatus.ALIVE, 1, 5, 2, 2, 5, 4, addr_bytes=addr
    )  # fmt: skip
    return MemberEvent(type, (view,))


def query(ltime):
    return QueryEvent(ltime, 1, "_serf_ping", None, Address(b"", 0), "", 0)


def written(effects):
    return b"".join(effect.data for effect in effects if isinstance(effect, AppendSnapshot))


@pytest.mark.statement("S-171", "S-175")
def test_a_real_file_replays_to_the_state_it_ended_in():
    left = replay(FULL_SESSION)
    assert left.alive == {}
    assert clocks(left) == (5, 0, 0)
    again = replay(FULL_SESSION, rejoin_after_leave=True)
    assert again.alive == {b"alpha": b"127.0.0.1:21001"}
    assert clocks(again) == (5, 2, 1)


@pytest.mark.statement("S-171", "S-173", "S-174", "S-176")
def test_a_hostile_file_replays_with_warnings_only(caplog):
    snapshot = replay(HOSTILE)
    assert snapshot.alive == {b"foo": b"127.0.0.1:5000", b"bar x y": b"[::1]:6000"}
    assert clocks(snapshot) == (9, 3, 4)
    assert snapshot.torn
    assert snapshot.size == len(HOSTILE)
    assert caplog.messages == [
        "serf: Failed to parse address: alive: noaddr",
        'serf: Failed to convert clock time: strconv.ParseUint: parsing "-5": invalid syntax',
        'serf: Failed to convert clock time: strconv.ParseUint: parsing "99999999999999999999": value out of range',
        'serf: Failed to convert clock time: strconv.ParseUint: parsing "7\\r": invalid syntax',
        'serf: Failed to convert event clock time: strconv.ParseUint: parsing "abc": invalid syntax',
        'serf: Failed to convert query clock time: strconv.ParseUint: parsing "+4": invalid syntax',
        "serf: Unrecognized snapshot line: ",
        "serf: Unrecognized snapshot line: alive:nospace",
        "serf: Unrecognized snapshot line: bogus",
    ]


def test_ignoring_a_leave_says_so(caplog):
    caplog.set_level(logging.INFO)
    replay(b"leave\n", rejoin_after_leave=True)
    assert caplog.messages == ["serf: Ignoring previous leave in snapshot"]


def test_the_record_of_a_session_continues_the_file_as_upstream_did():  # appendix B.3, but for the torn line
    snapshot = replay(HOSTILE)
    lines = written(
        [
            *snapshot.record(UserEvent(5, "e", None, False), 21, 0),
            *snapshot.record(query(9), 21, 0),
            *snapshot.record(member("foo", type=EventType.MEMBER_UPDATE), 21, 0),
            *snapshot.record(member("foo", type=EventType.MEMBER_REAP), 21, 0),
            *snapshot.record(member("foo", type=EventType.MEMBER_FAILED), 21, 0),
            *snapshot.record(member("v6", "[fe80::1]:77"), 21, 0),
            *snapshot.record(member("m4", "[::ffff:10.0.0.1]:78"), 21, 0),
            *snapshot.record(member("none", ":79"), 21, 0),
        ]
    )
    assert lines == (
        b"\n"  # upstream glues the next record to the fragment
        b"event-clock: 5\nquery-clock: 9\nclock: 20\nnot-alive: foo\n"
        b"alive: v6 [fe80::1]:77\nalive: m4 10.0.0.1:78\nalive: none :79\n"
    )
    again = replay(HOSTILE + lines)
    assert again.alive == {
        b"bar x y": b"[::1]:6000",
        b"v6": b"[fe80::1]:77",
        b"m4": b"10.0.0.1:78",
        b"none": b":79",
    }
    assert clocks(again) == (20, 5, 9)


@pytest.mark.statement("S-172")
def test_names_with_spaces_come_back():
    snapshot = replay(b"")
    lines = written(snapshot.record(member("gamma  x ", "127.0.0.1:1"), 1, 0))
    assert replay(lines).alive == {b"gamma  x ": b"127.0.0.1:1"}


@pytest.mark.property
@given(st.binary(max_size=20))
def test_any_name_either_comes_back_or_is_not_written(name):
    snapshot = replay(b"")
    lines = written(snapshot.record(member(text(name), "127.0.0.1:1"), 1, 0))
    assert replay(lines).alive == ({} if b"\n" in name else {name: b"127.0.0.1:1"})


@pytest.mark.property
@given(st.binary(max_size=60))
def test_no_file_is_too_broken_to_replay(data):
    replay(data + b"\nclock: " + data)


@pytest.mark.statement("S-177")
def test_failed_then_left_is_written_twice():
    snapshot = replay(b"")
    lines = written(
        [
            *snapshot.record(member("x", type=EventType.MEMBER_FAILED), 1, 0),
            *snapshot.record(member("x", type=EventType.MEMBER_LEAVE), 1, 0),
        ]
    )
    assert lines == b"not-alive: x\nnot-alive: x\n"


@pytest.mark.statement("S-178")
@pytest.mark.parametrize("type", [EventType.MEMBER_UPDATE, EventType.MEMBER_REAP])
def test_updates_and_reaps_only_check_the_clock(type):
    snapshot = replay(b"")
    assert written(snapshot.record(member("x", type=type), 8, 0)) == b"clock: 7\n"
    assert written(snapshot.record(member("x", type=type), 8, 0)) == b""


def test_events_and_queries_are_recorded_only_if_newer():
    snapshot = replay(b"event-clock: 5\nquery-clock: 5\n")
    for ltime, expected in ((5, b""), (6, b"-clock: 6\n"), (6, b"")):
        assert written(snapshot.record(UserEvent(ltime, "e", None, False), 1, 0)) == (expected and b"event" + expected)
        assert written(snapshot.record(query(ltime), 1, 0)) == (expected and b"query" + expected)


@pytest.mark.statement("S-179", "S-182")
def test_a_leave_is_synced_and_ends_the_record_but_for_the_clock():
    snapshot = replay(b"alive: x 127.0.0.1:1\n")
    effects = snapshot.leave(0)
    assert effects == [AppendSnapshot(b"leave\n", True), SyncSnapshot(close=False)]
    assert snapshot.alive == {}
    assert snapshot.record(member("y"), 9, 0) == []
    assert snapshot.record(UserEvent(9, "e", None, False), 9, 0) == []
    assert written(snapshot.check_clock(9, 0)) == b"clock: 8\n"
    assert written(snapshot.close(10, 0)) == b"clock: 9\n"
    assert snapshot.close(10, 0)[-1] == SyncSnapshot(close=True)


def test_a_leave_keeps_the_nodes_if_they_shall_be_rejoined():
    snapshot = replay(b"alive: x 127.0.0.1:1\n", rejoin_after_leave=True)
    snapshot.leave(0)
    assert snapshot.alive == {b"x": b"127.0.0.1:1"}


def test_a_clock_that_stands_at_nothing_writes_nothing():  # defect D-10
    assert replay(b"").check_clock(0, 0) == []


@pytest.mark.statement("S-180")
def test_the_first_append_is_flushed_and_later_ones_every_half_second():
    snapshot = replay(b"")
    flushes = []
    for ltime, now_ns in enumerate((0, 500_000_000, 500_000_001, 900_000_000, 1_000_000_001, 1_000_000_002), 1):
        [effect] = snapshot.record(UserEvent(ltime, "e", None, False), 0, now_ns)
        flushes.append(effect.flush)
    assert flushes == [True, False, True, False, False, True]


@pytest.mark.statement("S-181")
def test_compaction_rewrites_nodes_and_three_clocks_when_the_file_is_too_large():
    snapshot = replay(b"#" * (131072 - 16) + b"\n")
    [append] = snapshot.record(UserEvent(7, "e", None, False), 0, 0)
    assert snapshot.size == 131072
    assert isinstance(append, AppendSnapshot)
    _, replace = snapshot.record(member("x"), 0, 0)
    assert replace == ReplaceSnapshot(b"alive: x 127.0.0.1:5000\nclock: 0\nevent-clock: 7\nquery-clock: 0\n", False)
    assert snapshot.size == len(replace.data)


@pytest.mark.statement("S-181")
def test_large_clusters_get_a_larger_file():
    nodes = b"".join(b"alive: node%d 127.0.0.1:1\n" % number for number in range(600))
    padding = b"#" * (600 * 256 - len(nodes) - 1) + b"\n"
    snapshot = replay(nodes + padding)
    assert snapshot.size == 600 * 256
    assert isinstance(snapshot.check_clock(9, 0)[-1], ReplaceSnapshot)
    snapshot = replay(nodes + padding[20:])
    assert not isinstance(snapshot.check_clock(9, 0)[-1], ReplaceSnapshot)


def test_a_leave_line_that_crosses_the_threshold_is_lost_as_upstream():  # appendix B.4
    snapshot = replay(b"", min_compact_size=60)
    file = bytearray()

    def perform(effects):
        for effect in effects:
            match effect:
                case AppendSnapshot(data):
                    file.extend(data)
                case ReplaceSnapshot(data):
                    file[:] = data

    for ltime in range(1, 6):
        perform(snapshot.record(UserEvent(ltime, "e", None, False), 1, 0))
    assert file == b"clock: 0\nevent-clock: 5\nquery-clock: 0\n"
    perform(snapshot.record(UserEvent(6, "e", None, False), 1, 0))
    perform(snapshot.record(member("foo"), 21, 0))
    perform(snapshot.leave(0))
    perform(snapshot.close(22, 0))
    assert file == b"clock: 20\nevent-clock: 6\nquery-clock: 0\nclock: 21\n"
    again = replay(bytes(file))
    assert (again.alive, clocks(again)) == ({}, (21, 6, 0))


def test_a_failed_write_is_mended_by_a_new_file_at_most_every_half_minute(caplog):
    caplog.set_level(logging.INFO)
    snapshot = replay(b"alive: x 127.0.0.1:1\n")
    append = AppendSnapshot(b"clock: 1\n", True)
    [replace] = snapshot.on_failed(append, "no space left on device", 0)
    assert replace == ReplaceSnapshot(b"alive: x 127.0.0.1:1\nclock: 0\nevent-clock: 0\nquery-clock: 0\n", True)
    assert snapshot.on_failed(replace, "still none", 1) == []
    assert snapshot.on_failed(append, "again", 30 * SECOND) == []
    assert snapshot.on_failed(append, "again", 30 * SECOND + 1) != []
    snapshot.on_recovered()
    assert caplog.messages == [
        "serf: Failed to update snapshot: no space left on device",
        "serf: Attempting compaction to recover from error...",
        "serf: Compaction failed, will reattempt after 30s: still none",
        "serf: Failed to update snapshot: again",
        "serf: Failed to update snapshot: again",
        "serf: Attempting compaction to recover from error...",
        "serf: Finished compaction, successfully recovered from error state",
    ]


def test_a_new_file_is_whole_and_flushed():
    snapshot = replay(b"alive: x 127.0.0.1:1\nalive: to")
    append = AppendSnapshot(b"", True)
    [replace] = snapshot.on_failed(append, "why", 10 * SECOND)
    assert replace.data.endswith(b"\n")
    assert snapshot.check_clock(9, 10 * SECOND + 1) == [AppendSnapshot(b"clock: 8\n", False)]


@pytest.mark.parametrize("type", [EventType.MEMBER_LEAVE, EventType.MEMBER_FAILED])
def test_who_is_gone_is_not_in_a_new_file(type):
    snapshot = replay(b"alive: x 127.0.0.1:1\nalive: y 127.0.0.1:2\n")
    snapshot.record(member("x", type=type), 1, 0)
    [replace] = snapshot.on_failed(AppendSnapshot(b"", True), "why", 0)
    assert replace.data.startswith(b"alive: y 127.0.0.1:2\n#former: x 127.0.0.1:1\nclock: 0\n")  # a comment


@pytest.mark.parametrize("type", [EventType.MEMBER_JOIN, EventType.MEMBER_FAILED])
def test_a_name_that_would_break_the_lines_is_not_recorded(type):  # defect D-11
    snapshot = replay(b"")
    assert snapshot.record(member("a\nleave", type=type), 1, 0) == []
    assert snapshot.alive == {}


def test_a_failed_sync_is_logged(caplog):
    snapshot = replay(b"")
    assert snapshot.on_failed(SyncSnapshot(close=False), "why", 0) == []
    assert snapshot.on_failed(SyncSnapshot(close=True), "why", 0) == []
    assert caplog.messages == ["serf: failed to sync leave to snapshot: why", "serf: failed to sync snapshot: why"]


def test_the_largest_clock_is_read_and_one_more_is_not():
    assert replay(b"clock: %d\n" % LTIME_MAX).clock == LTIME_MAX
    assert replay(b"clock: %d\n" % (LTIME_MAX + 1)).clock == 0
    assert replay(b"clock: " + b"0" * 5000 + b"7\n").clock == 7
