"""Hypothesis strategies for messages, and for bodies near to what peers send."""

from __future__ import annotations

import struct
from dataclasses import fields, is_dataclass
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

import msgpack
from hypothesis import strategies as st

from serfcompat.wire import messages, serf_messages
from serfcompat.wire.gostruct import Message

MESSAGES: list[type[Message]] = [
    *(messages.Ping, messages.IndirectPing, messages.Ack, messages.Nack, messages.ErrorReply, messages.Suspect),
    *(messages.Alive, messages.Dead, messages.PushPullHeader, messages.PushPullNode, messages.UserMsgHeader),
    *(messages.Compress, serf_messages.LeaveIntent, serf_messages.JoinIntent, serf_messages.SerfPushPull),
    *(serf_messages.UserEventMessage, serf_messages.QueryMessage, serf_messages.QueryResponse),
    *(serf_messages.MemberRecord, serf_messages.KeyRequest, serf_messages.KeyResponse, serf_messages.RelayHeader),
    *(serf_messages.TagFilter, serf_messages.CoordinatePayload),
]
"Every message that is a Go struct, except those that only occur in others."

WIDTHS = {
    **dict.fromkeys(("seq_no", "incarnation", "id", "flags"), 32),
    **dict.fromkeys(("ltime", "event_ltime", "query_ltime"), 64),
    **dict.fromkeys(("port", "source_port"), 16),
    **dict.fromkeys(("algo", "relay_factor"), 8),
    **{f"{owner}_{which}": 8 for owner in ("protocol", "delegate") for which in ("min", "max", "cur")},
}
"Bits of the unsigned fields; all other numbers are signed with 64 bits."


def unsigned(bits: int) -> st.SearchStrategy[int]:
    edges = [edge for power in (7, 8, 16, 32, 64) for edge in ((1 << power) - 1, 1 << power) if edge < 1 << bits]
    return st.sampled_from([0, 1, *edges]) | st.integers(0, (1 << bits) - 1)


SIGNED = st.sampled_from(
    [
        edge
        for power in (5, 7, 8, 15, 16, 31, 32)
        for edge in (1 << power, (1 << power) - 1, -1 << power, (-1 << power) - 1)
    ]
    + [0, (1 << 63) - 1, -1 << 63]
) | st.integers(-1 << 63, (1 << 63) - 1)
BYTES = st.binary(max_size=6) | st.sampled_from([31, 32, 255, 256]).map(bytes)


def message(cls: type) -> st.SearchStrategy[Any]:
    """Any value of a message, up to full widths."""
    hints = get_type_hints(cls)
    return st.builds(cls, *(_field(cls, field.name, hints[field.name]) for field in fields(cls)))


def _field(cls: type, name: str, hint: Any) -> st.SearchStrategy[Any]:
    if hint is int:
        signed = cls is serf_messages.RelayAddress or name not in WIDTHS
        return SIGNED if signed else unsigned(WIDTHS[name])
    return _value(hint)


def _value(hint: Any) -> st.SearchStrategy[Any]:
    if NoneType in get_args(hint):
        (inner,) = (part for part in get_args(hint) if part is not NoneType)
        return st.none() | _value(inner)
    if get_origin(hint) is list:
        return st.lists(_value(get_args(hint)[0]), max_size=20)
    if get_origin(hint) is dict:
        return st.dictionaries(BYTES, _value(get_args(hint)[1]), max_size=20)
    if is_dataclass(hint):
        return message(hint)  # type: ignore[arg-type]
    scalars: dict[type, st.SearchStrategy[Any]] = {
        bytes: BYTES,
        bool: st.booleans(),
        int: unsigned(64),
        float: st.floats(),
    }
    return scalars[hint]


any_message = st.sampled_from(MESSAGES).flatmap(message)


def exact(value: Any) -> Any:
    """For comparing: floats by their bits, and with the type of everything."""
    if isinstance(value, float):
        return struct.pack(">d", value)
    if is_dataclass(value):
        return type(value), [exact(getattr(value, field.name)) for field in fields(value)]
    if isinstance(value, list):
        return [exact(item) for item in value]
    if isinstance(value, dict):
        return {key: exact(item) for key, item in value.items()}
    return type(value), value


SCALARS = st.one_of(
    *(st.none(), st.booleans(), SIGNED, unsigned(64), st.floats(width=32), st.binary(max_size=40)),
    st.builds(msgpack.ExtType, st.integers(0, 127), st.binary(max_size=4)),
    st.builds(msgpack.Timestamp, st.integers(0, 2**40), st.integers(0, 999_999_999)),
)
JUNK = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(BYTES, inner, max_size=3))


def inner(hint: Any) -> Any:
    """The dataclass in a type annotation, if there is one."""
    if is_dataclass(hint):
        return hint
    return next(filter(None, map(inner, get_args(hint))), None)


@st.composite
def odd_bodies(draw: st.DrawFn) -> tuple[type[Message], bytes]:
    """A message and a body for it: fields repeated, missing, unknown, of another kind or form, in any order, or cut."""
    cls = draw(st.sampled_from(MESSAGES))
    return cls, draw(odd_body(cls))


@st.composite
def odd_body(draw: st.DrawFn, cls: type[Message]) -> bytes:
    keys = [*cls.FORM.keys, b"Unknown", b"", b"node"]
    entries = [
        packed(key, draw(st.booleans())) + packed(value, draw(st.booleans()))
        for key, value in draw(
            st.lists(st.tuples(st.sampled_from(keys) | SCALARS, JUNK), max_size=draw(st.integers(0, 2)))
        )
    ]
    hints = get_type_hints(cls)
    sound = draw(message(cls))
    for key, field in zip(cls.FORM.keys, fields(cls), strict=True):  # type: ignore[arg-type]
        for _ in range(draw(st.sampled_from([0, 1, 1, 1, 1, 1, 1, 2]))):
            value = getattr(sound, field.name)
            if nested := inner(hints[field.name]):
                parts = draw(st.lists(odd_body(nested) | st.just(b"\xc0"), max_size=3))
                several = bytes((0x90 + len(parts),)) + b"".join(parts)
                body = several if is_list(hints[field.name]) else b"".join(parts[:1])
            elif isinstance(value, dict):
                pairs = draw(st.lists(st.tuples(st.sampled_from([b"k", b"l", None, 5]), JUNK), max_size=3))
                pairs += draw(st.permutations([*value.items(), *list(value.items())[:2]]))[:12]
                body = bytes((0x80 + len(pairs),)) + b"".join(packed(part, True) for pair in pairs for part in pair)
            else:
                body = packed(value, draw(st.booleans()))
            entries.append(packed(key, False) + body)
    entries = draw(st.permutations(entries)) if draw(st.booleans()) else entries
    count = len(entries) + draw(st.sampled_from([0] * 8 + [1]))
    match draw(st.sampled_from(["fix"] * 5 + ["16", "32", "array"])):
        case "array":
            return bytes((0x90 + min(15, 2 * count),)) + b"".join(entries)
        case "fix" if count < 16:
            return bytes((0x80 + count,)) + b"".join(entries)
        case "32":
            return b"\xdf" + struct.pack(">I", count) + b"".join(entries)
    return b"\xde" + struct.pack(">H", count) + b"".join(entries)


def is_list(hint: Any) -> bool:
    return list in (get_origin(hint), *map(get_origin, get_args(hint)))


def packed(value: Any, binary: bool) -> bytes:
    data: bytes = msgpack.packb(value, use_bin_type=binary)
    return data
