"""What an agent answers: the bodies behind the headers of replies (spec agent §4.6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, ClassVar, Self

from serfcompat.rpc import codec
from serfcompat.rpc.codec import ONLY_TEXT, Layout, binary, boolean, int64, list_of, map_of, text, uint8, uint16
from serfcompat.serf.member import Member, MemberStatus
from serfcompat.wire.address import ip_bytes, ip_text
from serfcompat.wire.frozen import quick_maker


@dataclass(frozen=True, slots=True)
class Body:
    """A request's, a reply's or a record's body. Fields stand in Go's order of declaration."""

    LAYOUT: ClassVar[Layout] = Layout()

    def encode(self) -> bytes:
        return codec.pack(self.LAYOUT.encode(self))

    @classmethod
    def decode(cls, data: Any) -> Self:
        return cls(**cls.LAYOUT.decode(data))


@dataclass(frozen=True, slots=True)
class JoinReply(Body):
    """How many addresses answered."""

    LAYOUT: ClassVar = Layout(Num=("num", int64))

    num: int = 0


@dataclass(frozen=True, slots=True)
class KeyReply(Body):
    """What the cluster answered to a key command; meaningful on failure too (spec agent §4.6.15)."""

    LAYOUT: ClassVar = Layout(
        Messages=("messages", map_of(text)),
        Keys=("keys", lambda value: None if value is None else map_of(int64)(value)),
        NumNodes=("num_nodes", int64),
        NumErr=("num_err", int64),
        NumResp=("num_resp", int64),
    )

    messages: Mapping[str, str] = field(default_factory=dict)
    "Node name to what it complained about, or remarked."
    keys: Mapping[str, int] | None = None
    "Key in base64 to the number of nodes that have it; None unless keys were listed."
    num_nodes: int = 0
    num_err: int = 0
    num_resp: int = 0


@dataclass(frozen=True, slots=True)
class Coordinate(Body):
    """A network coordinate; all values in seconds."""

    LAYOUT: ClassVar = Layout(
        Vec=("vec", lambda value: None if value is None else list_of(codec.number)(value)),
        Error=("error", codec.number),
        Adjustment=("adjustment", codec.number),
        Height=("height", codec.number),
    )

    vec: Sequence[float] | None = None
    error: float = 0.0
    adjustment: float = 0.0
    height: float = 0.0


@dataclass(frozen=True, slots=True)
class CoordinateReply(Body):
    """A node's coordinate, if the agent knows one. An unknown node has a coordinate of zeros."""

    LAYOUT: ClassVar = Layout(Coord=("coord", Coordinate.decode), Ok=("ok", boolean))

    coord: Coordinate = field(default_factory=Coordinate)
    ok: bool = False

    def encode(self) -> bytes:
        return codec.pack({"Coord": Coordinate.LAYOUT.encode(self.coord), "Ok": self.ok})


_MEMBER = Layout(
    Name=("name", text),
    Addr=("addr_bytes", binary),
    Port=("port", uint16),
    Tags=("tags", map_of(text)),
    Status=("status", text),
    ProtocolMin=("protocol_min", uint8),
    ProtocolMax=("protocol_max", uint8),
    ProtocolCur=("protocol_cur", uint8),
    DelegateMin=("delegate_min", uint8),
    DelegateMax=("delegate_max", uint8),
    DelegateCur=("delegate_cur", uint8),
)
_STATUS = {str(status): status for status in MemberStatus}
_make_member = quick_maker(Member)
_member_values = itemgetter(
    *("Name", "Addr", "Port", "Tags", "Status", "ProtocolMin", "ProtocolMax", "ProtocolCur"),
    *("DelegateMin", "DelegateMax", "DelegateCur"),
)
_EMPTY_MEMBER = {attribute: coerce(None) for attribute, coerce in _MEMBER.declared}


def member_fields(member: Member) -> dict[str, Any]:
    """The map of 11 keys that stands for a member (spec agent §4.6.6)."""
    return {
        "Addr": member.addr_bytes or (ip_bytes(member.addr) if member.addr else b""),
        "DelegateCur": member.delegate_cur,
        "DelegateMax": member.delegate_max,
        "DelegateMin": member.delegate_min,
        "Name": member.name,
        "Port": member.port,
        "ProtocolCur": member.protocol_cur,
        "ProtocolMax": member.protocol_max,
        "ProtocolMin": member.protocol_min,
        "Status": str(member.status),
        "Tags": member.tags if type(member.tags) is dict else dict(member.tags),
    }


def member_of(data: Any) -> Member:
    """The member in a reply or record. A status that isn't known becomes `none`."""
    try:
        name, addr, port, tags, status, *versions = _member_values(data)
        plain = type(name) is str and type(addr) is bytes and type(port) is int and type(tags) is dict
        text_only = not tags or {*map(type, tags), *map(type, tags.values())} == ONLY_TEXT
        if plain and text_only and 0 <= port < 65536 and bytes(versions):
            # As Go sends it, which is always; what follows would give the same, at ten times the cost.
            state = _STATUS.get(status, MemberStatus.NONE)
            return _make_member(name, ip_text(addr), port, tags, state, *versions, addr)
    except (LookupError, TypeError, ValueError):
        pass
    found = _MEMBER.decode(data, **_EMPTY_MEMBER)
    found["addr_bytes"] = found["addr_bytes"] or b""
    found["status"] = _STATUS.get(found["status"], MemberStatus.NONE)
    return Member(addr=ip_text(found["addr_bytes"]), **found)


@dataclass(frozen=True, slots=True)
class MembersReply(Body):
    """Members in no particular order.

    They are asked for much more often than they change: the newest reply is remembered, in both directions.
    """

    LAYOUT: ClassVar = Layout(Members=("members", list_of(member_of)))

    members: Sequence[Member] = ()

    @classmethod
    def decode(cls, data: Any) -> Self:
        global _decoded
        if type(data) is dict and type(listed := data.get("Members")) is list:  # as Go sends it, which is always
            known, members = _decoded
            if listed != known:
                members = tuple(map(member_of, listed))
                if len(members) <= _MOST_REMEMBERED:
                    _decoded = listed, members
            return cls(members)
        return cls(**cls.LAYOUT.decode(data))

    def encode(self) -> bytes:
        global _encoded
        members, encoded = _encoded
        if self.members != members:  # quick if the members are the same objects
            encoded = codec.pack({"Members": [member_fields(member) for member in self.members]})
            if len(self.members) <= _MOST_REMEMBERED:
                _encoded = list(self.members), encoded
        return encoded


_MOST_REMEMBERED = 4096
_decoded: tuple[list[Any], tuple[Member, ...]] = [], ()
_encoded: tuple[Sequence[Member], bytes] = [], codec.pack({"Members": []})


@dataclass(frozen=True, slots=True)
class StatsReply(Body):
    """Section to name to value, all text (spec agent §4.6.11)."""

    sections: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def encode(self) -> bytes:
        return codec.pack({name: dict(section) for name, section in self.sections.items()})

    @classmethod
    def decode(cls, data: Any) -> Self:
        try:
            "".join(data)
            for section in data.values():
                "".join(section)
                "".join(section.values())
        except (AttributeError, TypeError):
            return cls(_SECTIONS(data))
        return cls(data)  # as Go sends it, which is always: nothing but text


_SECTIONS = map_of(map_of(text))
