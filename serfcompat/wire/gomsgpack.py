"""The dialect of msgpack that go-msgpack speaks (spec memberlist §3.2, §3.4; spec serf §2.2, §2.3).

**Writing.** Text and byte strings are "old raw", never str8 or bin. A signed number over 127 has a
signed form (profile B), an unsigned one the shortest unsigned form. A nil byte string, list or map
is not an empty one.

**Reading.** Go takes far more than it writes: longer forms of everything, text as a list of small
numbers, nil for anything. It also refuses what a msgpack library takes: a negative number where it
wants an unsigned one, a bool for a number, a number for text.

A `Kind` is one Go type: how its values are written, and how they are read step by step from a
`Cursor`, exactly as Go does it. gostruct.py makes messages of them, and says what `plain`, `bits`
and `adopt` are for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from struct import Struct as Layout
from types import NoneType
from typing import Any

from serfcompat.errors import WireError
from serfcompat.wire.cursor import Cursor

NIL = b"\xc0"
_FLOAT32, _FLOAT64 = Layout(">f"), Layout(">d")
_RAW_WIDTHS = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}
"Bytes of the length of bin and str, by first byte."


class Doubt(ValueError):  # the C extension's own complaints are ValueErrors as well
    """What the C extension read may not be what Go reads."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How values of one Go type are written and read."""

    zero: Any
    "The value of a field that is missing or nil."
    write: Callable[[Any], bytes]
    "Value → bytes. Raises ValueError if a number does not fit."
    read: Callable[[Cursor, Any], Any]
    """(cursor, value so far) → value. Raises WireError.

    The value so far matters where Go decodes over it: in maps, structs and lists. Never called at
    a nil; whoever calls takes that for `zero`.
    """
    plain: frozenset[type]
    "What the C extension makes of a value when all is well."
    bits: int = 0
    "Of a number: how many bits it may have, without the sign."
    adopt: Callable[[Any], Any] | None = None
    "Of a container: what the C extension made of it → value. Raises Doubt."
    has_maps: bool = False
    omit_empty: bool = False
    "Of a field: not written when it is zero (Go's `omitempty`)."


def omitempty(kind: Kind) -> Kind:
    """The same, but left out of a message when empty."""
    return replace(kind, omit_empty=True)


# -- numbers, bool ---------------------------------------------------------------------------------

_BYTE = [bytes((value,)) for value in range(256)]


def _unsigned(bits: int) -> Kind:
    def write(value: int) -> bytes:
        if 0 <= value < 128:
            return _BYTE[value]
        if value >> bits:
            raise ValueError(f"{value} is not an unsigned number of {bits} bits")
        if value < 1 << 8:
            return b"\xcc" + _BYTE[value]
        if value < 1 << 16:
            return b"\xcd" + value.to_bytes(2, "big")
        if value < 1 << 32:
            return b"\xce" + value.to_bytes(4, "big")
        return b"\xcf" + value.to_bytes(8, "big")

    def read(cursor: Cursor, _: int) -> int:
        value = _number(cursor)
        if value >> bits:  # also of a negative number this isn't 0
            raise WireError("range", f"{value} is not an unsigned number of {bits} bits")
        return value

    return Kind(0, write, read, frozenset({int}), bits)


def _number(cursor: Cursor) -> int:
    lead = cursor.byte()
    if lead <= 0x7F:
        return lead
    if lead >= 0xE0:
        return lead - 256
    if 0xCC <= lead <= 0xCF:
        return cursor.unsigned(1 << lead - 0xCC)
    if 0xD0 <= lead <= 0xD3:
        return cursor.signed(1 << lead - 0xD0)
    raise unlike(lead, "a number")


def unlike(lead: int, wanted: str) -> WireError:
    return WireError("type", f"0x{lead:02x} does not begin {wanted}")


def _write_int(value: int) -> bytes:
    if -32 <= value < 128:
        return _BYTE[value & 0xFF]
    if -1 << 7 <= value < 0:  # ⚠ a positive number takes two bytes at least
        return b"\xd0" + value.to_bytes(1, "big", signed=True)
    if -1 << 15 <= value < 1 << 15:
        return b"\xd1" + value.to_bytes(2, "big", signed=True)
    if -1 << 31 <= value < 1 << 31:
        return b"\xd2" + value.to_bytes(4, "big", signed=True)
    if -1 << 63 <= value < 1 << 63:
        return b"\xd3" + value.to_bytes(8, "big", signed=True)
    raise ValueError(f"{value} is not a signed number of 64 bits")


def _read_int(cursor: Cursor, _: int) -> int:
    value = _number(cursor)
    return value - (1 << 64) if value >> 63 > 0 else value  # ⚠ as Go: 2**64 - 1 is -1


def _write_bool(value: bool) -> bytes:
    return b"\xc3" if value else b"\xc2"


def _read_bool(cursor: Cursor, _: bool) -> bool:
    lead = cursor.byte()
    if lead in (0xC2, 0):
        return False
    if lead in (0xC3, 1):
        return True
    raise unlike(lead, "a bool")


def _write_float(value: float) -> bytes:
    return b"\xcb" + _FLOAT64.pack(value)


def _read_float(cursor: Cursor, _: float) -> float:
    lead = cursor.byte()
    value: float
    if lead == 0xCB:
        (value,) = _FLOAT64.unpack(cursor.take(8))
    elif lead == 0xCA:
        (value,) = _FLOAT32.unpack(cursor.take(4))
    else:
        cursor.position -= 1
        value = float(_read_int(cursor, 0))
    return value


U8, U16, U32, U64 = map(_unsigned, (8, 16, 32, 64))
INT = Kind(0, _write_int, _read_int, frozenset({int}), 63)
"A signed number of 64 bits."
BOOL = Kind(False, _write_bool, _read_bool, frozenset({bool}))
FLOAT = Kind(0.0, _write_float, _read_float, frozenset({float}))


# -- text and byte strings -------------------------------------------------------------------------


def write_text(value: bytes) -> bytes:
    size = len(value)
    if size < 32:
        return _BYTE[0xA0 + size] + value
    if size < 1 << 16:
        return b"\xda" + size.to_bytes(2, "big") + value
    return b"\xdb" + size.to_bytes(4, "big") + value


def _read_text(cursor: Cursor, _: bytes) -> bytes:
    lead = cursor.byte()
    if 0xA0 <= lead <= 0xBF:
        return cursor.take(lead & 31)
    if width := _RAW_WIDTHS.get(lead):
        return cursor.take(cursor.unsigned(width))
    length = array_length(cursor, lead)
    if length is None:
        raise unlike(lead, "text")
    return _octets(cursor, length)


def read_key(cursor: Cursor) -> bytes:
    return b"" if cursor.at_nil() else _read_text(cursor, b"")


def _octets(cursor: Cursor, length: int) -> bytes:
    """Bytes given one by one, as small numbers; a nil among them is a 0."""
    if not length:
        return b""
    cursor.enter(length)
    octets = bytearray()
    for _ in range(length):
        octets.append(0 if cursor.at_nil() else U8.read(cursor, 0))
    cursor.leave()
    return bytes(octets)


def _write_bytes(value: bytes | None) -> bytes:
    return NIL if value is None else write_text(value)


def _read_bytes(cursor: Cursor, _: bytes | None) -> bytes:
    length = map_length(cursor, cursor.byte())
    if length is not None:  # ⚠ as Go: key, value, key, value
        return _octets(cursor, 2 * length)
    cursor.position -= 1
    return _read_text(cursor, b"")


TEXT = Kind(b"", write_text, _read_text, frozenset({bytes}))
"A Go string: any bytes, never nil."
BYTES = Kind(None, _write_bytes, _read_bytes, frozenset({bytes, NoneType}))
"A Go byte slice: None if nil."


# -- containers ------------------------------------------------------------------------------------


def _write_length(length: int, fix: int, longer: int) -> bytes:
    if length < 16:
        return _BYTE[fix + length]
    if length < 1 << 16:
        return _BYTE[longer] + length.to_bytes(2, "big")
    return _BYTE[longer + 1] + length.to_bytes(4, "big")


def array_length(cursor: Cursor, lead: int) -> int | None:
    """The length, if `lead` begins an array."""
    if 0x90 <= lead <= 0x9F:
        return lead & 15
    if lead == 0xDC:
        return cursor.unsigned(2)
    return cursor.unsigned(4) if lead == 0xDD else None


def map_length(cursor: Cursor, lead: int) -> int | None:
    """The length, if `lead` begins a map."""
    if 0x80 <= lead <= 0x8F:
        return lead & 15
    if lead == 0xDE:
        return cursor.unsigned(2)
    return cursor.unsigned(4) if lead == 0xDF else None


def _doubt_items(items: Any, kind: Kind) -> None:
    """Raise Doubt unless all items are plain values of a kind."""
    if not kind.plain.issuperset(map(type, items)):
        raise Doubt
    if kind.bits:
        for item in items:
            if item >> kind.bits:
                raise Doubt


def list_of(item: Kind) -> Kind:
    """A Go slice: a list, or None if nil."""

    def write(value: list[Any] | None) -> bytes:
        if value is None:
            return NIL
        return _write_length(len(value), 0x90, 0xDC) + b"".join(map(item.write, value))

    def read(cursor: Cursor, old: list[Any] | None) -> list[Any]:
        lead = cursor.byte()
        length = array_length(cursor, lead)
        if length is None:
            pairs = map_length(cursor, lead)
            if pairs is None:
                raise unlike(lead, "a list")
            length = 2 * pairs  # ⚠ as Go: key, value, key, value
        if not length:
            return []
        cursor.enter(length)
        items: list[Any] = []
        for index in range(length):
            before = old[index] if old and index < len(old) else item.zero
            items.append(item.zero if cursor.at_nil() else item.read(cursor, before))
        cursor.leave()
        return items

    def adopt(found: list[Any] | None) -> list[Any] | None:
        if not found:
            return found
        _doubt_items(found, item)
        return found if item.adopt is None else list(map(item.adopt, found))

    return Kind(None, write, read, frozenset({list, NoneType}), adopt=adopt, has_maps=item.has_maps)


def map_of(value: Kind) -> Kind:
    """A Go map from strings to scalars: a dict, or None if nil."""

    def write(entries: Mapping[bytes, Any] | None) -> bytes:
        if entries is None:
            return NIL
        parts = [write_text(key) + value.write(entry) for key, entry in entries.items()]
        return _write_length(len(parts), 0x80, 0xDE) + b"".join(parts)

    def read(cursor: Cursor, old: dict[bytes, Any] | None) -> dict[bytes, Any]:
        entries = {} if old is None else old
        read_entries(cursor, value, entries)
        return entries

    def adopt(found: dict[bytes, Any] | None) -> dict[bytes, Any] | None:
        if found:  # its keys are byte strings, or the extension would have refused it
            _doubt_items(found.values(), value)
        return found

    return Kind(None, write, read, frozenset({dict, NoneType}), adopt=adopt, has_maps=True)


def read_entries(cursor: Cursor, value: Kind, entries: dict[bytes, Any]) -> None:
    """Read a Go map into `entries`, which keeps what came before an error. Raises WireError."""
    lead = cursor.byte()
    # ⚠ As Go, which doesn't ask here whether it is a map: any byte with the high bit set gives a length.
    if lead == 0xDE:
        length = cursor.unsigned(2)
    elif lead == 0xDF:
        length = cursor.unsigned(4)
    elif lead == 0:
        length = cursor.unsigned(1)
    elif lead & 0x80:
        length = lead & 0x7F
    else:
        raise unlike(lead, "a map")
    if not length:
        return
    cursor.enter(2 * length)
    for _ in range(length):
        key = read_key(cursor)
        entries[key] = value.zero if cursor.at_nil() else value.read(cursor, value.zero)
    cursor.leave()
