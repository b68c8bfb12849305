"""Whole nodes, and what they make of bytes that the wire layer passes on unread."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator

from serfcompat.errors import MergeRefused, WireError
from serfcompat.serf.config import Config
from serfcompat.serf.coordinates import Coordinates
from serfcompat.serf.engine import SerfEngine
from serfcompat.serf.filters import all_match
from serfcompat.serf.queries import QueryParams
from serfcompat.serf.re2 import search
from serfcompat.serf.re2_parser import RE2Error
from serfcompat.serf.snapshot import Snapshot
from serfcompat.swim.metrics import NullMetrics
from serfcompat.wire.address import Address
from serfcompat.wire.messages import Ack, Alive, Dead, IndirectPing, Nack, Ping, PushPullNode, Suspect
from serfcompat.wire.packet import compound
from serfcompat.wire.serf_messages import (
    BufferedEvent,
    ConflictResponse,
    CoordinatePayload,
    EventSlot,
    JoinIntent,
    KeyRequest,
    KeyResponse,
    LeaveIntent,
    MemberRecord,
    NodeFilter,
    QueryMessage,
    QueryResponse,
    Relay,
    RelayAddress,
    SerfPushPull,
    TagFilter,
    UserEventMessage,
    encode_tags,
)
from serfcompat.wire.stream import StreamReader, push_pull_message
from serfcompat.wire.types import MessageType
from tests.fuzz import corpus
from tests.fuzz.target import Target

SECOND = 1_000_000_000
VSN = bytes((1, 5, 2, 2, 5, 4))
ME, PEER, OTHER = (Address(bytes((10, 0, 0, n)), 7946) for n in (1, 2, 3))
EXPRESSIONS = [
    *(
        b"web",
        b"^web-[0-9]+$",
        b"(?i)EU|us",
        b"a{2,5}",
        b"[[:alpha:]]+",
        b"\\pL\\d\\W",
        b"(?P<x>a)|b",
        b"",
        b"(((a)*)*)*",
    ),
    *(b"[^a-z\\]]", b"\\bfoo\\b", b"(?:x?){20}x{20}", b"\\Qa.b\\E", b"\\x{10FFFF}", b"(?s).*", b"a**", b"(a|b)*?c"),
]


def node_targets() -> Iterator[Target]:
    yield Target("node, packet", _node_gets_packet, [*_packets(), *map(_user_packet, _serf_messages())], weight=4)
    yield Target("node, push/pull", _node_gets_push_pull, list(_push_pulls()), weight=2)
    yield Target("coordinate in an ack", _ack_with_coordinate, _coordinates(), weight=2)
    yield Target("query filter", _filters, [*_filter_messages()], weight=2)
    yield Target("expression", _expression, EXPRESSIONS, weight=1)
    yield Target("snapshot", _snapshot, [SNAPSHOT, *SNAPSHOT.splitlines(keepends=True)], weight=1)


class _Discard(logging.Handler):
    """Puts log lines together, which can fail, and keeps none."""

    def emit(self, record: logging.LogRecord) -> None:
        record.getMessage()


LOG = logging.getLogger("tests.fuzz")
LOG.setLevel(1)
LOG.propagate = False
LOG.addHandler(_Discard())


# -- nodes -----------------------------------------------------------------------------------------


def _node() -> SerfEngine:
    """A node that knows two others and has a query running."""
    engine = SerfEngine(
        Config.lan(node_name="me", tags={"role": "web", "dc": "eu"}, logger=LOG, protocol_version=5),
        advertise=ME,
        dice=random.Random(1),
        nonce=lambda: b"twelve bytes",
    )
    engine.start(SECOND)
    for name, address in ((b"b", PEER), (b"c", OTHER)):
        engine.on_packet(Alive(1, name, address.ip, address.port, b"", VSN).encode(), address, SECOND)
    engine.query("uptime", b"?", QueryParams(request_ack=True), SECOND)
    return engine


def _check(engine: SerfEngine) -> None:
    """A node that heard anything is still one that can speak."""
    engine.members()
    chunks = [engine.local_state(False)]
    reader = StreamReader(lambda _: chunks.pop() if chunks else b"", engine.layers)
    reader.read_type()
    state = reader.read_push_pull()
    assert b"me" in [node.name for node in state.nodes], "the node forgot itself"
    SerfPushPull.decode((state.user_state or b"")[1:])


def _node_gets_packet(datagram: bytes) -> None:
    engine = _node()
    engine.on_packet(datagram, PEER, 2 * SECOND)
    engine.on_timer(("gossip",), 3 * SECOND)
    engine.on_timer(("probe",), 4 * SECOND)
    _check(engine)


def _node_gets_push_pull(message: bytes) -> None:
    engine = _node()
    chunks = [message]
    reader = StreamReader(lambda _: chunks.pop() if chunks else b"", engine.layers)
    try:
        if reader.read_type() != MessageType.PUSH_PULL:
            raise WireError("invalid_type")
    except EOFError:
        raise WireError("eof") from None
    state = reader.read_push_pull()
    try:
        engine.merge_remote_state(state, state.join, 2 * SECOND)
    except MergeRefused:
        _check(engine)
        raise WireError("refused") from None
    engine.on_timer(("gossip",), 3 * SECOND)
    _check(engine)


def _user_packet(message: bytes) -> bytes:
    return bytes((MessageType.USER,)) + message


def _packets() -> Iterator[bytes]:
    """Messages that mean something to the node, alone and together."""
    tags = encode_tags({b"role": b"db", b"dc": b"us"})
    coordinate = CoordinatePayload([0.01] * 8, 0.5, 0.0, 0.001).encode()
    claims = [
        *(Alive(n, name, PEER.ip, 7946, tags, VSN).encode() for n, name in ((2, b"b"), (1, b"d"), (9, b"me"))),
        Alive(3, b"b", OTHER.ip, 7946, None, None).encode(),
        *(Suspect(n, name, b"c").encode() for n, name in ((1, b"b"), (1, b"me"), (0, b"x"))),
        *(Dead(n, name, by).encode() for n, name, by in ((1, b"b", b"c"), (1, b"b", b"b"), (4, b"me", b"me"))),
        Ping(7, b"me", PEER.ip, 7946, b"b").encode(),
        IndirectPing(8, OTHER.ip, 7946, b"c", True, PEER.ip, 7946, b"b").encode(),
        *(Ack(n, coordinate).encode() for n in (1, 2)),
        Nack(1).encode(),
    ]
    yield from claims
    yield compound(claims)
    yield compound([*claims, *map(_user_packet, _serf_messages())])


def _serf_messages() -> Iterator[bytes]:
    member = MemberRecord(b"me", PEER.ip, 7946, {b"role": b"web"}, 1, 1, 5, 2, 2, 5, 4)
    yield from (LeaveIntent(9, b"b").encode(), LeaveIntent(9, b"me", True).encode(), JoinIntent(9, b"c").encode())
    yield UserEventMessage(9, b"deploy", b"v2", True).encode()
    internal = [(b"_serf_ping", None), (b"_serf_conflict", b"me"), (b"_serf_list-keys", KeyRequest(None).encode())]
    internal += [
        (b"_serf_" + name, KeyRequest(bytes(16)).encode()) for name in (b"install-key", b"use-key", b"remove-key")
    ]
    for number, (name, payload) in enumerate([(b"load", b"?"), *internal]):
        filters = [NodeFilter([b"me"]).encode(), TagFilter(b"role", b"^w").encode()]
        yield QueryMessage(9, number, PEER.ip, 7946, b"b", filters, number & 1, 1, SECOND, name, payload).encode()
    answers = [b"yes", ConflictResponse(member).encode(), KeyResponse(True, b"", [b"AAAA"], b"AAAA").encode(), None]
    for payload in answers:
        answer = QueryResponse(1, 1, b"b", payload is None, payload).encode()
        yield answer
        yield Relay(RelayAddress(OTHER.ip, 7946), b"c", answer).encode()
    yield from corpus.messages("serf")[::20]


def _push_pulls() -> Iterator[bytes]:
    nodes = [
        PushPullNode(b"d%d" % state, bytes((10, 0, 1, state)), 7946, encode_tags({b"role": b"db"}), 1, state, VSN)
        for state in range(5)
    ]
    nodes += [PushPullNode(name, PEER.ip, 7946, None, 2, 0, VSN) for name in (b"me", b"b")]
    events = [None, EventSlot(5, [BufferedEvent(b"deploy", b"v1"), BufferedEvent(b"deploy", None)])]
    state = SerfPushPull(9, {b"d0": 5, b"b": 7, b"me": 8}, [b"d3", b"me"], 6, events, 4).encode()
    yield push_pull_message(True, nodes, state)
    yield push_pull_message(False, nodes[:2], state)
    yield push_pull_message(False, [], None)
    for body in corpus.bodies()["serf pushPull"][::5]:
        yield push_pull_message(True, nodes[:1], bytes((SerfPushPull.TYPE,)) + body)


# -- parts -----------------------------------------------------------------------------------------


def _coordinates() -> list[bytes]:
    ours = [CoordinatePayload([0.01 * n] * 8, 0.5, 0.001, 0.002).encode() for n in range(-20, 20)]
    return ours + [ours[0][:1] + body for body in corpus.bodies()["serf coordinate"]]


def _ack_with_coordinate(payload: bytes) -> None:
    coordinates = Coordinates(b"me", random.Random(1), NullMetrics(), LOG)
    coordinates.on_ping(b"b", 20_000_000, payload)
    assert coordinates.own.is_valid(), "a place that is none"
    if coordinates.cached(b"b") is None:
        raise WireError("rejected")


def _filter_messages() -> Iterator[bytes]:
    bodies = corpus.bodies()
    yield from (b"\x00" + body for body in bodies["serf filterNode"])
    yield from (b"\x01" + body for body in bodies["serf filterTag"])
    yield from (TagFilter(b"role", expression).encode() for expression in EXPRESSIONS)


def _filters(data: bytes) -> None:
    if not all_match([data, data], b"me", {"role": "web-17"}, LOG):
        raise WireError("no match")


def _expression(expression: bytes) -> None:
    try:
        search(expression, b"web-17.example")
    except RE2Error:
        raise WireError("expression") from None


SNAPSHOT = b"""alive: b 10.0.0.2:7946
not-alive: c
clock: 18
event-clock: 4
query-clock: 7
coordinate: {"x":1}
# comment
leave
alive: with spaces [2001:db8::1]:7946
"""


def _snapshot(data: bytes) -> None:
    snapshot = Snapshot.replay(data, rejoin_after_leave=True, log=LOG)
    assert max(snapshot.clock, snapshot.event_clock, snapshot.query_clock) < 1 << 64, "a time that can't be sent"
