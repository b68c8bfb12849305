"""The message-pack dialect of the RPC protocol (spec agent §4.2): strict on the way out, liberal on the way in.

Out: new-spec strings and binaries, map keys in byte order. In: whatever Go accepts, and no more memory
than the bytes that came. Text keeps bytes that are not UTF-8 (surrogateescape), as Go does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgpack

from serfcompat.errors import WireError

MAX_REQUEST = 128 * 1024
"Bytes of one object a server reads. Go has no limit; the largest useful request, a 9216-byte event, is far below."
MAX_REPLY = 64 * 1024 * 1024
"Bytes of one object a client reads: members of a cluster of 100,000."
MAX_DEPTH = 16
"Nesting a server reads; the deepest request has 3 levels, the rest is room for keys it doesn't know."

_packer = msgpack.Packer(use_bin_type=True, unicode_errors="surrogateescape")


pack: Callable[[object], bytes] = _packer.pack
"""The bytes of one object. The caller gives maps in the order of their keys."""


def sorted_map(value: dict[str, Any]) -> dict[str, Any]:
    """A copy in the order of its keys' bytes, as Go writes maps with its canonical option off or on alike."""
    return dict(sorted(value.items(), key=_key_bytes))


def _key_bytes(item: tuple[str, Any]) -> bytes:
    return item[0].encode("utf-8", "surrogateescape")


def unpack(data: bytes) -> Any:
    """The object that `data` holds, arrays as tuples. Raises WireError."""
    try:
        return msgpack.unpackb(
            data, raw=False, use_list=False, strict_map_key=False, unicode_errors="surrogateescape", ext_hook=_extension
        )
    except Exception as error:  # the unpacker's own errors share no base class
        raise WireError("malformed", str(error)) from None


def _extension(code: int, data: bytes) -> None:
    """Extensions occur only in fields that nobody knows."""


class Objects:
    """A server's end of a stream of objects: takes bytes as they come, gives whole objects.

    The bounds are looked at before anything is decoded, so that 5 bytes which announce four
    milliard items cost 5 bytes.
    """

    def __init__(self, limit: int = MAX_REQUEST) -> None:
        self.limit = limit
        "Bytes of one object; may be changed while reading."
        self._buffer = bytearray()
        self._scanned = 0
        self._open: list[int] = [1]
        """Items still missing at each level of the object being scanned, outermost first."""

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def next(self) -> bytes | None:
        """The next whole object's bytes, or None if more must be fed. Raises WireError."""
        if self._scanned == len(self._buffer) or not self._scan():
            if len(self._buffer) > self.limit:
                raise WireError("too_large", f"an object of more than {self.limit} bytes")
            return None
        end = self._scanned
        if end > self.limit:
            raise WireError("too_large", f"an object of {end} bytes, {self.limit} are allowed")
        data = bytes(self._buffer[:end])
        del self._buffer[:end]
        self._scanned = 0
        self._open = [1]
        return data

    def _scan(self) -> bool:
        """Go on to the end of the object, or as far as there are bytes. True at the end."""
        buffer, position, outer = self._buffer, self._scanned, self._open
        size = len(buffer)
        missing = outer.pop()
        try:
            while True:
                while not missing:
                    if not outer:
                        return True
                    missing = outer.pop()
                if position >= size:
                    return False
                width, items, length_bytes = _TOKENS[buffer[position]]
                start = position + 1 + length_bytes
                if start > size:
                    return False
                if length_bytes:
                    length = int.from_bytes(buffer[position + 1 : start], "big")
                    if items:
                        items *= length
                    else:
                        width += length
                end = start + width
                if end > size:
                    if end > self.limit:
                        raise WireError("too_large", f"an object of {end} bytes, {self.limit} are allowed")
                    return False
                position = end
                missing -= 1
                if items:
                    if items > self.limit:
                        raise WireError("too_large", f"{items} items announced")
                    if len(outer) >= MAX_DEPTH:
                        raise WireError("too_deep", f"more than {MAX_DEPTH} levels")
                    outer.append(missing)
                    missing = items
        finally:
            self._scanned = position
            outer.append(missing)


def _token(first: int) -> tuple[int, int, int]:
    """(bytes of value, items that follow [per unit of length], bytes of the length field) for a first byte."""
    if first <= 0x7F or first >= 0xE0 or first in (0xC0, 0xC1, 0xC2, 0xC3):  # 0xc1 is refused when decoded
        return 0, 0, 0
    if first <= 0x8F:
        return 0, 2 * (first & 0x0F), 0
    if first <= 0x9F:
        return 0, first & 0x0F, 0
    if first <= 0xBF:
        return first & 0x1F, 0, 0
    if first <= 0xC6:  # bin 8, 16, 32
        return 0, 0, 1 << (first - 0xC4)
    if first <= 0xC9:  # ext 8, 16, 32: the type byte comes after the length
        return 1, 0, 1 << (first - 0xC7)
    if first in (0xCA, 0xCB):
        return 4 << (first - 0xCA), 0, 0
    if first <= 0xD3:  # integers of 1, 2, 4, 8 bytes, unsigned then signed
        return 1 << ((first - 0xCC) & 3), 0, 0
    if first <= 0xD8:  # fixext 1, 2, 4, 8, 16
        return 1 + (1 << (first - 0xD4)), 0, 0
    if first <= 0xDB:  # str 8, 16, 32
        return 0, 0, 1 << (first - 0xD9)
    return 0, 1 if first <= 0xDD else 2, 2 << (first & 1)


_TOKENS = [_token(first) for first in range(256)]

Coerce = Callable[[Any], Any]
"""From what the peer sent to the field's type; raises WireError where Go's decoder does."""


def text(value: Any) -> str:
    if type(value) is str:
        return value
    if type(value) is bytes:  # upstream's newest codec takes binaries for strings as well
        return value.decode("utf-8", "surrogateescape")
    if value is None:
        return ""
    raise WireError("type", f"a string was expected, not {type(value).__name__}")


def binary(value: Any) -> bytes | None:
    if value is None or type(value) is bytes:
        return value
    if type(value) is str:
        return value.encode("utf-8", "surrogateescape")
    if isinstance(value, (tuple, list)):
        return bytes(uint8(item) for item in value)
    raise WireError("type", f"bytes were expected, not {type(value).__name__}")


def boolean(value: Any) -> bool:
    if value is None or type(value) is bool or (type(value) is int and value in (0, 1)):
        return bool(value)
    raise WireError("type", f"a boolean was expected, not {value!r:.40}")


def _integer(low: int, high: int) -> Callable[[Any], int]:
    def integer(value: Any) -> int:
        if value is None:
            return 0
        if type(value) is not int:
            raise WireError("type", f"an integer was expected, not {type(value).__name__}")
        if not low <= value <= high:
            raise WireError("range", f"{value} is not in {low}..{high}")
        return value

    return integer


uint8 = _integer(0, 2**8 - 1)
uint16 = _integer(0, 2**16 - 1)
uint64 = _integer(0, 2**64 - 1)
int32 = _integer(-(2**31), 2**31 - 1)
int64 = _integer(-(2**63), 2**63 - 1)


def number(value: Any) -> float:
    if value is None:
        return 0.0
    if type(value) is float or type(value) is int:
        return float(value)
    raise WireError("type", f"a number was expected, not {type(value).__name__}")


def list_of(coerce: Coerce) -> Coerce:
    def convert(value: Any) -> tuple[Any, ...]:
        if value is None:
            return ()
        if not isinstance(value, (tuple, list)):
            raise WireError("type", f"a list was expected, not {type(value).__name__}")
        return tuple(coerce(item) for item in value)

    return convert


ONLY_TEXT = {str}


def map_of(coerce: Coerce) -> Coerce:
    def convert(value: Any) -> dict[str, Any]:
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise WireError("type", f"a map was expected, not {type(value).__name__}")
        if coerce is text and {*map(type, value), *map(type, value.values())} == ONLY_TEXT:
            return value  # nothing to convert
        return {text(key): coerce(item) for key, item in value.items()}

    return convert


class Layout:
    """How a Go struct travels: a map of its exported names in byte order, or an array in order of declaration."""

    def __init__(self, **fields: tuple[str, Coerce]) -> None:
        self.declared = tuple(fields.values())
        "(attribute, coerce) in order of declaration."
        self._named = fields
        # Written as source, as dataclasses write theirs: a loop over the fields would cost thrice as much.
        pairs = ", ".join(f"{name!r}: value.{fields[name][0]}" for name in sorted(fields))
        self.encode: Callable[[Any], dict[str, Any]] = eval(f"lambda value: {{{pairs}}}")
        "The map for a dataclass with this layout."

    def decode(self, data: Any, **defaults: Any) -> dict[str, Any]:
        """The attributes that `data` gives. Missing ones keep their defaults, unknown ones are skipped."""
        found = defaults
        if isinstance(data, dict):
            for name, value in data.items():
                if field := self._named.get(name if type(name) is str else _name(name)):
                    found[field[0]] = field[1](value)
            return found
        if data is None:
            return {attribute: coerce(None) for attribute, coerce in self.declared}
        if not isinstance(data, (tuple, list)):
            raise WireError("type", f"a map was expected, not {type(data).__name__}")
        for (attribute, coerce), value in zip(self.declared, data, strict=False):
            found[attribute] = coerce(value)
        return found


def _name(name: Any) -> str:
    if type(name) is bytes:
        return name.decode("utf-8", "surrogateescape")
    raise WireError("type", f"a field's name was expected, not {type(name).__name__}")
