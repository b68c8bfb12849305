"""From messages to rules, and what is passed on."""

import logging

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serfcompat.swim.events import RemoteStateReceived
from serfcompat.wire.serf_messages import (
    JoinIntent,
    LeaveIntent,
    QueryMessage,
    QueryResponse,
    Relay,
    RelayAddress,
    UserEventMessage,
)

from .nodes import HERE, Node

QUERY = QueryMessage(1, 9, b"\x0a\x00\x00\x02", 7946, b"b", None, 0, 0, 1_000_000_000, b"q", None)


@pytest.mark.statement("S-036")
def test_an_empty_message_is_ignored_uncounted(caplog):
    node = Node()
    assert node.hear(b"") == []
    assert not caplog.records
    assert not node.metrics.samples


def test_the_size_of_a_message_is_sampled_with_its_type_byte():
    node = Node()
    node.hear(JoinIntent(1, b"node-a"))
    assert node.metrics.samples["serf.msgs.received"] == [21]


@pytest.mark.statement("S-037")
@pytest.mark.parametrize("type", [2, 6, 7, 8, 10, 255])
def test_types_that_do_not_come_by_gossip_are_unknown(type, caplog):
    node = Node()
    node.hear(bytes((type, 0x80)))
    assert caplog.messages == [f"serf: Received message of unknown type: {type}"]


@pytest.mark.statement("S-031")
@pytest.mark.parametrize(
    ("message", "what"),
    [
        ("0083a54c54696d65ffa44e6f6465a162a55072756e65c2", "leave message"),
        ("0182a54c54696d65cb3ff0000000000000a44e6f6465a162", "join message"),
        ("0384a24343c3a54c54696d65ffa44e616d65a164a75061796c6f6164c0", "user event message"),
        ("0481a54c54696d65ff", "query message"),
        ("0581a54c54696d65ff", "query response message"),
        ("0981a844657374", "relay header"),
        ("00", "leave message"),
    ],
)
def test_undecodable_messages_are_dropped_with_an_error(message, what, caplog):
    node = Node()
    assert node.hear(bytes.fromhex(message)) == []
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage().startswith(f"serf: Error decoding {what}: ")
    assert node.gossip() == []
    assert (node.core.clock.time, node.core.event_clock.time, node.core.query_clock.time) == (1, 1, 1)


@pytest.mark.statement("S-039")
def test_each_kind_is_passed_on_by_its_own_queue():
    node = Node()
    for message in (LeaveIntent(1, b"x"), JoinIntent(1, b"y"), UserEventMessage(1, b"e", None, False), QUERY):
        node.hear(message)
    queues = node.core.queues
    assert (len(queues.intents), len(queues.events), len(queues.queries)) == (2, 1, 1)


@pytest.mark.statement("S-038")
def test_what_is_passed_on_is_what_came_byte_for_byte():
    node = Node()
    # Keys in another order, an unknown one, a longer integer than needed, and bytes after the end.
    odd = bytes.fromhex("0183a44e6f6465a178a54c54696d65cd0005a3466f6fc0") + b"rest"
    node.hear(odd)
    assert node.gossip() == [odd]


def test_receipts_are_logged_at_debug(caplog):
    caplog.set_level(logging.DEBUG, "serfcompat.serf")
    node = Node()
    node.hear(LeaveIntent(1, b"x"))
    node.hear(JoinIntent(1, b"y"))
    node.hear(UserEventMessage(1, b"deploy", None, False))
    node.hear(QUERY)
    node.hear(QueryResponse(1, 1, b"b", 0, None))
    node.hear(Relay(RelayAddress(HERE.ip, HERE.port, b""), b"me", b"\x05\x80"))
    assert [r.getMessage() for r in caplog.records if r.levelno == logging.DEBUG] == [
        "serf: messageLeaveType: x",
        "serf: messageJoinType: y",
        "serf: messageUserEventType: deploy",
        "serf: messageQueryType: q",
        "serf: messageQueryResponseType: b",
        "serf: Relaying response to addr: 10.0.0.1:7946",
    ]


@pytest.mark.property
@given(st.integers(0, 10), st.binary(max_size=80))
def test_no_bytes_can_break_a_node(type, body):
    node = Node()
    node.hear(bytes((type,)) + body)
    node.swim(RemoteStateReceived(bytes((2,)) + body, True))


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.binary(max_size=6), st.lists(st.binary(max_size=3))
)
KEYS = [
    b"LTime", b"Node", b"Prune", b"Name", b"Payload", b"CC", b"ID", b"From", b"Flags", b"Addr", b"Port", b"Filters",
    b"RelayFactor", b"SourceNode", b"Timeout", b"StatusLTimes", b"LeftMembers", b"Events", b"EventLTime", b"DestAddr",
]  # fmt: skip


@pytest.mark.property
@given(st.integers(0, 10), st.dictionaries(st.sampled_from(KEYS), VALUES))
def test_no_fields_can_break_a_node(type, fields):
    node = Node().start()
    body = msgpack.packb(fields, use_bin_type=False)
    node.hear(bytes((type,)) + body)
    node.swim(RemoteStateReceived(bytes((2,)) + body, True))
    node.engine.local_state(False)
