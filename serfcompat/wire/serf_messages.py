"""The messages of Serf, and what it puts into memberlist's metadata and acks (spec serf §1.4, §2.4, §2.5, §10.8).

Fields are in Go's declaration order, which is also the order of a body given as an array.
How each is written and read, and what else is accepted, is the business of gomsgpack.py and gostruct.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Self

from serfcompat.errors import WireError
from serfcompat.wire.cursor import Cursor
from serfcompat.wire.gomsgpack import (
    BOOL,
    BYTES,
    FLOAT,
    INT,
    TEXT,
    U8,
    U16,
    U32,
    U64,
    list_of,
    map_of,
    read_entries,
)
from serfcompat.wire.gostruct import Message, go_struct, nested, pointer
from serfcompat.wire.types import PING_VERSION, TAG_MAGIC, FilterType, SerfMessageType


@go_struct(LTime=U64, Node=TEXT, Prune=BOOL)
@dataclass(frozen=True, slots=True)
class LeaveIntent(Message):
    """A node is about to leave, or somebody forces it out of the member list."""

    TYPE: ClassVar = SerfMessageType.LEAVE

    ltime: int
    "Member clock."
    node: bytes
    prune: bool = False
    "Forget the node altogether, not only that it failed (since 0.8.4)."


@go_struct(LTime=U64, Node=TEXT)
@dataclass(frozen=True, slots=True)
class JoinIntent(Message):
    """A node joined, or refutes an older leave."""

    TYPE: ClassVar = SerfMessageType.JOIN

    ltime: int
    "Member clock."
    node: bytes


@go_struct(Name=TEXT, Payload=BYTES)
@dataclass(frozen=True, slots=True)
class BufferedEvent(Message):
    """A user event in the ring of a push/pull."""

    name: bytes
    payload: bytes | None


@go_struct(LTime=U64, Events=list_of(nested(BufferedEvent)))
@dataclass(frozen=True, slots=True)
class EventSlot(Message):
    """All events of one event time."""

    ltime: int
    events: list[BufferedEvent] | None


@go_struct(
    LTime=U64,
    StatusLTimes=map_of(U64),
    LeftMembers=list_of(TEXT),
    EventLTime=U64,
    Events=list_of(pointer(nested(EventSlot))),
    QueryLTime=U64,
)
@dataclass(frozen=True, slots=True)
class SerfPushPull(Message):
    """A node's whole Serf state: the user state of memberlist's push/pull (spec serf §2.7)."""

    TYPE: ClassVar = SerfMessageType.PUSH_PULL

    ltime: int
    "Member clock."
    status_ltimes: dict[bytes, int] | None
    "Name of every known member, in any status, to the time of its last intent."
    left_members: list[bytes] | None
    event_ltime: int
    events: list[EventSlot | None] | None
    "The whole event ring; an unused slot is None."
    query_ltime: int


@go_struct(LTime=U64, Name=TEXT, Payload=BYTES, CC=BOOL)
@dataclass(frozen=True, slots=True)
class UserEventMessage(Message):
    """Something that an application tells all nodes."""

    TYPE: ClassVar = SerfMessageType.USER_EVENT

    ltime: int
    "Event clock."
    name: bytes
    payload: bytes | None
    cc: bool
    "May be coalesced: only the last of several with this name matters."


@go_struct(
    LTime=U64,
    ID=U32,
    Addr=BYTES,
    Port=U16,
    SourceNode=TEXT,
    Filters=list_of(BYTES),
    Flags=U32,
    RelayFactor=U8,
    Timeout=INT,
    Name=TEXT,
    Payload=BYTES,
)
@dataclass(frozen=True, slots=True)
class QueryMessage(Message):
    """A question to all nodes, or to those that pass its filters."""

    TYPE: ClassVar = SerfMessageType.QUERY

    ltime: int
    "Query clock."
    id: int
    "Random; with `ltime` it tells one query from another."
    addr: bytes | None
    "Where responses go, 4 or 16 bytes."
    port: int
    source_node: bytes
    "Name of the node that asks (since 0.9.0, before: empty)."
    filters: list[bytes] | None
    "Encoded `NodeFilter` and `TagFilter`."
    flags: int
    "`QueryFlag` bits; unknown ones may be set."
    relay_factor: int
    "Over how many other nodes each response goes as well (since 0.8.1)."
    timeout_ns: int
    "Nanoseconds from the receipt of the query; signed."
    name: bytes
    payload: bytes | None


@go_struct(LTime=U64, ID=U32, From=TEXT, Flags=U32, Payload=BYTES)
@dataclass(frozen=True, slots=True)
class QueryResponse(Message):
    """An answer to a query, or with flag ACK the mere acknowledgement of it."""

    TYPE: ClassVar = SerfMessageType.QUERY_RESPONSE

    ltime: int
    id: int
    from_: bytes
    "Name of the node that answers."
    flags: int
    payload: bytes | None


@go_struct(
    Name=TEXT,
    Addr=BYTES,
    Port=U16,
    Tags=map_of(TEXT),
    Status=INT,
    ProtocolMin=U8,
    ProtocolMax=U8,
    ProtocolCur=U8,
    DelegateMin=U8,
    DelegateMax=U8,
    DelegateCur=U8,
)
@dataclass(frozen=True, slots=True)
class MemberRecord(Message):
    """A member as another node sees it; the body of a conflict response."""

    TYPE: ClassVar = SerfMessageType.CONFLICT_RESPONSE

    name: bytes
    addr: bytes | None
    port: int
    tags: dict[bytes, bytes] | None
    status: int
    "0 none, 1 alive, 2 leaving, 3 left, 4 failed."
    protocol_min: int
    protocol_max: int
    protocol_cur: int
    delegate_min: int
    delegate_max: int
    delegate_cur: int


_NIL = b"\xc0"


@dataclass(frozen=True, slots=True)
class ConflictResponse:
    """The answer to `_serf_conflict`: who a node thinks has the name (spec serf §6.10)."""

    TYPE: ClassVar = SerfMessageType.CONFLICT_RESPONSE

    member: MemberRecord | None
    "None: the responder does not know the name; the whole body is a nil then."

    def encode(self) -> bytes:
        return bytes((self.TYPE,)) + _NIL if self.member is None else self.member.encode()

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Raises WireError."""
        return cls(None if body[:1] == _NIL else MemberRecord.decode(body))


@go_struct(Key=BYTES)
@dataclass(frozen=True, slots=True)
class KeyRequest(Message):
    """The payload of the queries that change encryption keys."""

    TYPE: ClassVar = SerfMessageType.KEY_REQUEST

    key: bytes | None
    "The key itself, not base64. Empty to list keys."


@go_struct(Result=BOOL, Message=TEXT, Keys=list_of(TEXT), PrimaryKey=TEXT)
@dataclass(frozen=True, slots=True)
class KeyResponse(Message):
    """What came of a key request on one node."""

    TYPE: ClassVar = SerfMessageType.KEY_RESPONSE

    result: bool
    message: bytes
    "Why not, or a warning."
    keys: list[bytes] | None
    "Base64."
    primary_key: bytes
    "Base64 (since 0.9.4)."


@go_struct(IP=BYTES, Port=INT, Zone=TEXT)
@dataclass(frozen=True, slots=True)
class RelayAddress(Message):
    """Go's UDP address."""

    ip: bytes | None
    "4 or 16 bytes."
    port: int
    "⚠ Signed and unchecked."
    zone: bytes = b""
    "IPv6 scope; empty in practice."


@go_struct(DestAddr=nested(RelayAddress), DestName=TEXT)
@dataclass(frozen=True, slots=True)
class RelayHeader(Message):
    """Where a relayed message is bound for."""

    TYPE: ClassVar = SerfMessageType.RELAY

    addr: RelayAddress
    dest_name: bytes
    "Name of the node there (since 0.9.0, before: empty)."


@dataclass(frozen=True, slots=True)
class Relay:
    """Pass `inner` on for me: a header, then a complete Serf message to the end (spec serf §2.5)."""

    TYPE: ClassVar = SerfMessageType.RELAY

    addr: RelayAddress
    dest_name: bytes
    inner: bytes
    "Type byte and body, forwarded as they are."

    def encode(self) -> bytes:
        return RelayHeader(self.addr, self.dest_name).encode() + self.inner

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Raises WireError if the header is broken. The inner message isn't looked at."""
        header, end = RelayHeader.decode_from(body, 0)
        return cls(header.addr, header.dest_name, body[end:])


_NAMES = list_of(TEXT)


@dataclass(frozen=True, slots=True)
class NodeFilter:
    """A query filter: only the nodes with these names answer. ⚠ Its body is a list, not a struct."""

    TYPE: ClassVar = FilterType.NODE

    nodes: list[bytes] | None

    def encode(self) -> bytes:
        return bytes((self.TYPE,)) + _NAMES.write(self.nodes)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Raises WireError."""
        cursor = Cursor(body)
        return cls(None if cursor.at_nil() else _NAMES.read(cursor, None))


@go_struct(Tag=TEXT, Expr=TEXT)
@dataclass(frozen=True, slots=True)
class TagFilter(Message):
    """A query filter: only nodes with a tag that matches answer."""

    TYPE: ClassVar = FilterType.TAG

    tag: bytes
    "Name of the tag."
    expr: bytes
    "A regular expression in RE2's syntax, not anchored."


@go_struct(Vec=list_of(FLOAT), Error=FLOAT, Adjustment=FLOAT, Height=FLOAT)
@dataclass(frozen=True, slots=True)
class CoordinatePayload(Message):
    """A network coordinate, the payload of an ack; all in seconds but `error` (spec serf §10.8)."""

    TYPE: ClassVar = PING_VERSION

    vec: list[float] | None
    error: float
    "Without unit; 1.5 is as bad as it gets."
    adjustment: float
    height: float


_TAGS = map_of(TEXT)
_ROLE = b"role"
_TAGS_SINCE_PROTOCOL = 3


class TagsResult(NamedTuple):
    """What some node metadata says."""

    tags: dict[bytes, bytes] | None
    "What could be read, up to the first fault. None: a nil map."
    error: WireError | None
    "The fault."


def encode_tags(tags: Mapping[bytes, bytes] | None, protocol: int = 5) -> bytes:
    """Tags as node metadata (spec serf §1.4). Protocol 2 has room for `role` only. None is a nil map."""
    if protocol < _TAGS_SINCE_PROTOCOL:
        return (tags or {}).get(_ROLE, b"")
    return bytes((TAG_MAGIC,)) + _TAGS.write(tags)


def decode_tags(meta: bytes) -> TagsResult:
    """Node metadata as tags, as far as they can be read (spec serf §1.4).

    ⚠ Anything without the magic byte is a bare role, nothing at all included: {"role": ""}.
    """
    if not meta or meta[0] != TAG_MAGIC:
        return TagsResult({_ROLE: meta}, None)
    tags: dict[bytes, bytes] = {}
    cursor = Cursor(meta, 1)
    try:
        if cursor.at_nil():
            return TagsResult(None, None)
        read_entries(cursor, TEXT, tags)
    except WireError as error:
        return TagsResult(tags, error)
    return TagsResult(tags, None)
