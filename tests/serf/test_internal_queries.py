"""Serf's own queries."""

import logging

import pytest

from serfcompat.serf.effects import AppendSnapshot
from serfcompat.serf.snapshot import Snapshot
from serfcompat.wire.serf_messages import ConflictResponse, QueryMessage, QueryResponse
from serfcompat.wire.types import QueryFlag

from .nodes import Node

LOG = logging.getLogger("serfcompat.serf")


def internal(name, payload=None, flags=0, ltime=1):
    return QueryMessage(
        ltime, 9, b"\x0a\x00\x00\x02", 7946, b"b", None, flags, 0, 1_000_000_000, b"_serf_" + name, payload
    )


def answer(node):
    [(message, _)] = node.sent()
    return QueryResponse.decode(message[1:])


@pytest.mark.statement("S-140")
def test_internal_queries_reach_the_snapshot_but_not_the_application():
    node = Node(restored=Snapshot.replay(b"", log=LOG))
    node.hear(internal(b"ping"))
    assert node.events() == []
    assert AppendSnapshot(b"query-clock: 1\n", True) in node.effects
    assert node.metrics.counters["serf.queries._serf_ping"] == 1
    assert len(node.core.queues.queries) == 1


def test_a_ping_is_acked_and_nothing_more():
    node = Node()
    node.hear(internal(b"ping", flags=QueryFlag.ACK))
    assert answer(node).flags == QueryFlag.ACK


@pytest.mark.statement("S-141")
def test_unknown_internal_queries_are_warned_of(caplog):
    node = Node()
    node.hear(internal(b"dance"))
    assert caplog.messages == ["serf: Unhandled internal query 'dance'"]
    assert node.effects == []


@pytest.mark.statement("S-148")
def test_claimants_are_silent_about_their_name():
    node = Node()
    node.hear(internal(b"conflict", b"me"))
    assert node.effects == []


def test_others_tell_whom_they_know(caplog):
    caplog.set_level(logging.DEBUG)
    node = Node("n2")
    node.joins("dup", addr=b"\x0a\x00\x00\x09", vsn=bytes((1, 5, 2, 2, 5, 5)))
    node.forget()
    node.hear(internal(b"conflict", b"dup"))
    member = ConflictResponse.decode(answer(node).payload[1:]).member
    assert (member.name, member.addr, member.port, member.status) == (b"dup", b"\x0a\x00\x00\x09", 7946, 1)
    assert "serf: Got conflict resolution query for 'dup'" in caplog.messages


def test_the_reply_about_a_known_member_is_upstreams():
    node = Node("n2")
    node.joins("dup", addr=b"\x0a\x00\x00\x09", vsn=bytes((1, 5, 2, 2, 5, 5)), meta=b"\xff\x80")
    payload = ConflictResponse(node.core.members.by_name[b"dup"].record()).encode()
    assert QueryResponse(3, 77, b"n2", 0, payload).encode().hex() == (
        "0585a5466c61677300a446726f6da26e32a249444da54c54696d6503a75061796c6f6164da0079068ba441646472a40a000009ab44656c"
        "656761746543757205ab44656c65676174654d617805ab44656c65676174654d696e02a44e616d65a3647570a4506f7274cd1f0aab5072"
        "6f746f636f6c43757202ab50726f746f636f6c4d617805ab50726f746f636f6c4d696e01a653746174757301a45461677380"
    )


def test_a_stranger_is_reported_as_nobody():
    node = Node()
    node.hear(internal(b"conflict", b"ghost"))
    assert answer(node).payload == b"\x06\xc0"
