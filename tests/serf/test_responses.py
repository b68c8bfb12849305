"""Answers to queries, sent, relayed and received."""

import pytest

from serfcompat.errors import DeadlineExceeded, PayloadTooLarge, StateError, UsageError
from serfcompat.serf.effects import CloseQuery, DeliverAck, DeliverResponse
from serfcompat.serf.events import QueryEvent
from serfcompat.serf.queries import QueryParams
from serfcompat.serf.responses import _relays
from serfcompat.swim.effects import SendPacket
from serfcompat.wire.address import Address
from serfcompat.wire.serf_messages import LeaveIntent, QueryMessage, QueryResponse, Relay, RelayAddress
from serfcompat.wire.types import QueryFlag

from .nodes import SECOND, VERSIONS, Node

ASKER = Address(b"\x0a\x00\x00\x02", 7946)
PREFIX = "failed to respond to key query: "


def asked(ltime=3, id=5, *, source=ASKER, relay=0, deadline_ns=SECOND):
    return QueryEvent(ltime, id, "q", None, source, "asker", deadline_ns, relay)


def asking(capacity=None, **params):
    """A node with a running query, and its key."""
    node = Node().start()
    if capacity is not None:
        node.core.swim.alive_count = lambda: capacity
    started = node.engine.query("q", None, QueryParams(**params), 0)
    node.forget()
    return node, started


def response(started, from_, payload=b"x", flags=0):
    return QueryResponse(*started.key, from_, flags, payload)


# -- sending -----------------------------------------------------------------------------------


def test_a_response_goes_to_the_asker():
    node = Node()
    node.did(node.engine.respond(asked(), b"up", 0))
    assert node.sent() == [(QueryResponse(3, 5, b"me", 0, b"up").encode(), ASKER)]


@pytest.mark.statement("S-132")
def test_a_response_over_the_limit_is_refused():
    node = Node()
    room = 1024 - len(QueryResponse(3, 5, b"me", 0, b"x" * 900).encode()) + 900
    node.engine.respond(asked(id=1), b"x" * room, 0)
    with pytest.raises(PayloadTooLarge) as caught:
        node.engine.respond(asked(id=2), b"x" * (room + 1), 0)
    assert str(caught.value) == PREFIX + "response exceeds limit of 1024 bytes"


@pytest.mark.statement("S-133")
def test_a_query_is_answered_once_and_in_time():
    node = Node()
    node.engine.respond(asked(), None, SECOND)
    with pytest.raises(StateError) as twice:
        node.engine.respond(asked(), None, SECOND + 1)  # this one comes before "past the deadline"
    assert str(twice.value) == PREFIX + "response already sent"
    with pytest.raises(DeadlineExceeded) as late:
        node.engine.respond(asked(id=6), None, SECOND + 1)
    assert str(late.value) == PREFIX + "response is past the deadline"


def test_without_an_address_a_query_cannot_be_answered_but_stays_open():
    node = Node()
    for _ in range(2):
        with pytest.raises(UsageError, match=PREFIX + r"lookup \?0a0b: no such host"):
            node.engine.respond(asked(source=Address(b"\x0a\x0b", 7946)), None, 0)


def test_names_may_be_required():
    nameless = QueryEvent(3, 6, "q", None, ASKER, "", SECOND)
    assert Node().engine.respond(nameless, None, 0)  # from Serf before 0.9.0
    node = Node(require_node_names=True)
    assert node.engine.respond(asked(), None, 0)
    with pytest.raises(UsageError) as caught:
        node.engine.respond(nameless, None, 0)
    assert str(caught.value) == (
        PREFIX + "memberlist: node names are required by configuration but one was not provided"
    )


# -- relaying ----------------------------------------------------------------------------------


def with_members(*names, **fields):
    node = Node()
    node.joins("me", addr=b"\x0a\x00\x00\x01")
    for number, name in enumerate(names):
        node.joins(name, addr=bytes((10, 0, 0, 50 + number)), **fields)
    node.forget()
    return node


@pytest.mark.statement("S-128")
@pytest.mark.parametrize(("factor", "copies"), [(0, 0), (1, 1), (2, 2), (3, 0)])
def test_relays_need_one_member_more_than_copies(factor, copies):
    node = with_members("b", "c")
    node.did(node.engine.respond(asked(relay=factor), b"up", 0))
    assert len(node.of(SendPacket)) == 1 + copies


def test_a_relayed_copy_wraps_the_response_whole():
    node = with_members("b")
    node.did(node.engine.respond(asked(relay=1), b"up", 0))
    (direct, _), (copy, to) = node.sent()
    assert to == Address(bytes((10, 0, 0, 50)), 7946)
    assert copy == Relay(RelayAddress(ASKER.ip, ASKER.port, b""), b"asker", direct).encode()


def response_of(node, payload):
    return QueryResponse(3, 5, node.core.me, 0, payload).encode()


def test_acks_are_relayed_as_well():
    node = with_members("b")
    node.hear(QueryMessage(1, 9, ASKER.ip, ASKER.port, b"asker", None, QueryFlag.ACK, 1, SECOND, b"q", None))
    (direct, to), (copy, via) = node.sent()
    assert (to, via) == (ASKER, Address(bytes((10, 0, 0, 50)), 7946))
    assert Relay.decode(copy[1:]).inner == direct


@pytest.mark.statement("S-129")
def test_relays_are_alive_distinct_others_that_speak_protocol_five():
    node = with_members("b", "c", "d")
    node.joins("old", vsn=bytes((1, 4, 2, 2, 5, 4)))
    node.hear(LeaveIntent(1, b"d"))
    members = list(node.core.members.by_name.values())
    seen = set()
    for _ in range(200):
        chosen = [m.name for m in _relays(node.core, members, 4)]
        assert len(set(chosen)) == len(chosen)
        seen.update(chosen)
    assert seen == {b"b", b"c"}
    assert VERSIONS[1] == 5


def test_a_response_may_fit_alone_and_not_in_a_relay():
    node = with_members("b")
    room = 1024 - len(Relay(RelayAddress(ASKER.ip, ASKER.port, b""), b"asker", response_of(node, b"x" * 900)).encode())
    assert len(node.engine.respond(asked(id=1, relay=1), b"x" * (900 + room), 0)) == 2
    query = asked(relay=1)
    with pytest.raises(PayloadTooLarge) as caught:
        node.engine.respond(query, b"x" * (901 + room), 0)
    assert str(caught.value) == PREFIX + "relayed response exceeds limit of 1024 bytes"
    assert len(node.core.out) == 1  # the direct copy was sent
    node.engine.respond(query, b"short", 0)  # it may be answered again


@pytest.mark.statement("S-131")
def test_a_relay_forwards_what_is_inside_unread():
    node = Node()
    node.hear(Relay(RelayAddress(ASKER.ip, 40000, b"eth0"), b"asker", b"\xfewhatever").encode())
    assert node.sent() == [(b"\xfewhatever", Address(ASKER.ip, 40000))]
    assert node.gossip() == []


@pytest.mark.parametrize(
    ("ip", "port"), [(b"", 1), (b"\1\2\3", 1), (b"\1\2\3\4", 0), (b"\1\2\3\4", -1), (b"\1\2\3\4", 65536)]
)
def test_a_relay_to_nowhere_is_only_logged(ip, port, caplog):
    node = Node()
    node.hear(Relay(RelayAddress(ip, port, b""), b"asker", b"\x05\x80"))
    assert node.effects == []
    assert caplog.messages[0].startswith("serf: Error forwarding message to ")


# -- receiving ---------------------------------------------------------------------------------


def test_acks_and_responses_are_delivered():
    node, started = asking(request_ack=True)
    node.hear(response(started, b"b", None, QueryFlag.ACK))
    assert node.effects == [DeliverAck(started.key, "b")]
    node.forget()
    node.hear(response(started, b"b"))
    assert node.effects == [DeliverResponse(started.key, "b", b"x")]
    assert node.metrics.counters["serf.query_acks"] == node.metrics.counters["serf.query_responses"] == 1


@pytest.mark.statement("S-134")
def test_a_reply_to_no_query(caplog):  # R1
    node = Node()
    node.hear(QueryResponse(7, 9, b"b", 0, None))
    assert caplog.messages == ["serf: reply for non-running query (LTime: 7, ID: 9) From: b"]


@pytest.mark.statement("S-135")
def test_a_reply_to_another_query_of_the_time(caplog):  # R2
    node, started = asking()
    ltime, id = started.key
    node.hear(QueryResponse(ltime, id + 1, b"b", 0, None))
    assert caplog.messages == [f"serf: query reply ID mismatch (Local: {id}, Response: {id + 1})"]
    assert node.effects == []


def test_late_replies_are_dropped_silently_and_then_unknown(caplog):  # R3
    node, started = asking()
    node.now_ns = started.deadline_ns + 1
    node.hear(response(started, b"b"))
    assert node.effects == []
    assert not caplog.records
    node.timer("serf-query", started.key[0])
    assert node.effects == [CloseQuery(started.key)]
    node.hear(response(started, b"b"))
    assert "non-running" in caplog.text


def test_a_query_closed_by_hand_drops_silently_until_its_time(caplog):
    node, started = asking()
    node.did(node.engine.close_query(started.key, 0))
    node.hear(response(started, b"b"))
    node.timer("serf-query", started.key[0])
    assert node.effects == [CloseQuery(started.key)]
    assert not caplog.records


@pytest.mark.statement("S-136")
def test_duplicates_are_counted_by_kind_and_not_delivered():  # R4, R6
    node, started = asking(request_ack=True, capacity=5)
    for flags in (QueryFlag.ACK, 0):
        for _ in range(3):
            node.hear(response(started, b"b", flags=flags))
    assert len(node.effects) == 2
    assert node.metrics.counters["serf.query_duplicate_acks"] == 2
    assert node.metrics.counters["serf.query_duplicate_responses"] == 2


@pytest.mark.statement("S-137")
def test_what_finds_no_room_is_dropped_and_may_come_again(caplog):
    node, started = asking(capacity=2)
    assert started.capacity == 2
    for name in (b"a", b"b", b"c"):
        node.hear(response(started, name))
    assert [effect.from_ for effect in node.effects] == ["a", "b"]
    assert caplog.messages == ["serf: Failed to deliver query response, dropping"]
    node.engine.query_taken(started.key, responses=1)
    node.hear(response(started, b"c"))
    assert [effect.from_ for effect in node.effects] == ["a", "b", "c"]


def test_an_ack_that_nobody_asked_for_is_dropped(caplog):
    node, started = asking()
    node.hear(response(started, b"b", None, QueryFlag.ACK))
    assert node.effects == []
    assert caplog.messages == ["serf: Failed to deliver query response, dropping"]


def test_forged_names_cannot_fill_the_memory():
    node, started = asking(capacity=1)
    for number in range(3000):
        node.hear(response(started, b"%d" % number))
        node.engine.query_taken(started.key, responses=1)
    assert len(node.effects) == 4 + 1024


@pytest.mark.statement("S-130")
def test_the_second_copy_of_an_answer_is_a_duplicate_whichever_way_it_came():
    node, started = asking()
    copy = response(started, b"b").encode()
    node.hear(copy)
    node.hear(copy)
    assert len(node.effects) == 1
    assert node.metrics.counters["serf.query_duplicate_responses"] == 1
