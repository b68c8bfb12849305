"""Messages as Go structs: dataclasses whose fields have kinds (spec memberlist §3.2, §3.4; spec serf §2.3).

**Writing.** A struct is a map of all its fields, with the keys in byte order.

**Reading.** Go takes a map in any order with fields missing, unknown or repeated, and an array of
the fields in declaration order. It refuses an empty key, and containers nested deeper than 1023.
`Struct.read` does all that, step by step.

Steps are too slow for each packet. So `Struct.decode` first asks the msgpack C extension, which
reads a whole body at once but can't be told what to take. Its answer counts only if nothing is in
doubt, that is, if all this holds:

* it is one map with nothing after it, and no key occurs twice, here or further in: a dict would not
  show it;
* all keys are known, and each value has exactly the type of its field: `True` is no number, an
  extension is no byte string;
* each number fits.

Then Go reads the same, and in every other case the steps decide. Tests hold the two together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import partial
from itertools import product
from types import NoneType
from typing import Any, ClassVar, Self, TypeVar

import msgpack

from serfcompat.errors import WireError
from serfcompat.wire.cursor import MAX_ITEMS, Buffer, Cursor
from serfcompat.wire.frozen import quick_maker
from serfcompat.wire.gomsgpack import NIL, Doubt, Kind, array_length, map_length, read_key, unlike, write_text

# ⚠ The C extension allocates a list when it sees a length, before the items, on up to 1024 levels. So
# lists are to be short, and maps too; longer ones are left to the steps. Where they can't be that short,
# no body is tried with more bytes that could begin a long one than a sound body has by chance.
_SHORT = 256
_NOT_SHORT = 4096
_LONG_LEADS = bytes((0xDC, 0xDD, 0xDE, 0xDF))


def _is_suspicious(body: bytes) -> bool:
    return len(body) - len(body.translate(None, _LONG_LEADS)) > 16 + len(body) // 64


_MAX_ITEMS_IN_MAPS = 1 << 20
"Of a message with maps, which have an entry per node of the cluster. Only streams carry large ones."


def _options(max_list: int, max_map: int) -> dict[str, Any]:
    """To the C extension: byte strings stay bytes, only they are keys, no extensions, and containers up to a size."""
    return {
        "raw": True,
        "strict_map_key": True,
        "max_ext_len": 0,
        "max_array_len": max_list,
        "max_map_len": max_map,
    }


def _dict_of_different(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Doubt
    return found


class Struct:
    """The fields of a message, and everything between its values and its bytes."""

    def __init__(self, cls: type[Any], kinds: Mapping[str, Kind]) -> None:
        self.keys = tuple(key.encode() for key in kinds)
        "Go's names of the fields, in declaration order."
        self._kinds = tuple(kinds.values())
        self._names = tuple(field.name for field in fields(cls))
        self._make = quick_maker(cls)
        named = list(zip(self.keys, self._names, self._kinds, strict=True))
        # To write:
        self._wire_order = [
            (name, write_text(key), kind.write, kind.omit_empty)
            for key, name, kind in sorted(named, key=lambda field: field[0])
        ]
        lead = b"" if cls.TYPE is None else bytes((cls.TYPE,))
        self._starts = [lead + bytes((0x80 + count,)) for count in range(len(named) + 1)]
        # To read by steps:
        self._zeros = [kind.zero for kind in self._kinds]
        self._by_key = {key: (index, kind) for index, (key, _, kind) in enumerate(named)}
        # To have the C extension read:
        self._zeros_by_key = dict(zip(self.keys, self._zeros, strict=True))
        self._shapes = frozenset(product(*(kind.plain for kind in self._kinds)))
        self._numbers = [(index, kind.bits) for index, kind in enumerate(self._kinds) if kind.bits]
        self._containers = [(index, kind.adopt) for index, kind in enumerate(self._kinds) if kind.adopt]
        self.has_maps = any(kind.has_maps for kind in self._kinds)
        self._max_items = _MAX_ITEMS_IN_MAPS if self.has_maps else MAX_ITEMS
        if self.has_maps:
            options = _options(_NOT_SHORT, _NOT_SHORT) | {"object_pairs_hook": _dict_of_different}
        else:
            options = _options(_SHORT if self._containers else 0, len(named))
        self._unpack = partial(msgpack.unpackb, **options)
        self._unpacker = partial(msgpack.Unpacker, **options)

    def zero(self) -> Any:
        """A message with all fields zero."""
        return self._make(*self._zeros)

    def encode(self, message: Any) -> bytes:
        """The bytes of a message, the type byte included if it has one. Raises ValueError if a number does not fit."""
        parts = [b""]
        for name, key, write, omit_empty in self._wire_order:
            value = getattr(message, name)
            if value or not omit_empty:
                parts.append(key)
                parts.append(write(value))
        parts[0] = self._starts[len(parts) // 2]
        return b"".join(parts)

    def decode(self, body: bytes) -> Any:
        """The message in a body. What comes after it is ignored. Raises WireError."""
        if not self.has_maps or not _is_suspicious(body):
            try:
                found = self._unpack(body)
                if body[0] == 0x80 + len(found):  # or a key occurs twice
                    return self.adopt(found)
            except (ValueError, TypeError):  # broken, in doubt, or not even a map
                pass
        return self.read(Cursor(body, 0, self._max_items), None)

    def decode_from(self, buffer: Buffer, offset: int) -> tuple[Any, int]:
        """A message at an offset, and the offset after it. Raises WireError."""
        cursor = Cursor(buffer, offset, self._max_items)
        return self.read(cursor, None), cursor.position

    def decode_many(self, buffer: Buffer, offset: int, count: int, longest: int) -> tuple[list[Any], int]:
        """As many messages, one after the other, as are complete; but at most `count`.

        Returns:
            The messages, and the offset where they end.

        Raises:
            WireError: One of them is broken, or has more than `longest` bytes. One that is cut off at the end is not.
        """
        messages: list[Any] = []
        if not count or offset == len(buffer):
            return messages, offset
        unpacker = self._unpacker(max_buffer_size=len(buffer) + 1)
        with memoryview(buffer) as whole, whole[offset:] as rest:
            unpacker.feed(rest)
        end = offset
        try:
            while len(messages) < count:
                found = unpacker.unpack()
                if buffer[end] != 0x80 + len(found):
                    break
                after = offset + unpacker.tell()
                if after - end > longest:
                    break
                messages.append(self.adopt(found))
                end = after
        except (ValueError, TypeError, msgpack.OutOfData):
            pass
        # Once in doubt, the steps do the rest: starting the extension anew costs a copy of all that.
        try:
            while len(messages) < count:
                message, after = self.decode_from(buffer, end)
                if after - end > longest:
                    raise WireError("too_long", f"a message of more than {longest} bytes")
                messages.append(message)
                end = after
        except WireError as error:
            if error.reason != "truncated":
                raise
        return messages, end

    def adopt(self, found: dict[Any, Any]) -> Any:
        """The message in a map that the C extension read, known to have no key twice. Raises Doubt."""
        values = tuple((self._zeros_by_key | found).values())  # in declaration order; unknown keys make it longer
        if tuple(map(type, values)) not in self._shapes:
            raise Doubt
        for index, bits in self._numbers:
            if values[index] >> bits:  # a negative number gives -1
                raise Doubt
        if self._containers:
            adopted = list(values)
            for index, adopt in self._containers:
                adopted[index] = adopt(values[index])
            return self._make(*adopted)
        return self._make(*values)

    def read(self, cursor: Cursor, old: Any) -> Any:
        """The message that comes next, step by step. Raises WireError.

        Args:
            old: What an earlier field of the same name gave. Go decodes over it.
        """
        values = list(self._zeros) if old is None else [getattr(old, name) for name in self._names]
        if not cursor.at_nil():
            lead = cursor.byte()
            if (length := map_length(cursor, lead)) is not None:
                self._read_map(cursor, length, values)
            elif (length := array_length(cursor, lead)) is not None:
                self._read_array(cursor, length, values)
            else:
                raise unlike(lead, "a struct")
        return self._make(*values)

    def _read_map(self, cursor: Cursor, length: int, values: list[Any]) -> None:
        if not length:
            return
        cursor.enter(2 * length)
        for _ in range(length):
            key = read_key(cursor)
            if not key:
                raise WireError("empty_key")
            if key in self._by_key:
                index, kind = self._by_key[key]
                values[index] = kind.zero if cursor.at_nil() else kind.read(cursor, values[index])
            else:
                cursor.skip()
        cursor.leave()

    def _read_array(self, cursor: Cursor, length: int, values: list[Any]) -> None:
        if not length:
            return
        cursor.enter(length)
        for index in range(length):
            if index < len(values):
                kind = self._kinds[index]
                values[index] = kind.zero if cursor.at_nil() else kind.read(cursor, values[index])
            else:
                cursor.skip()
        cursor.leave()


class Message:
    """A frozen, slotted dataclass with `@go_struct`, whose fields are those of a Go struct, in the same order."""

    __slots__ = ()

    TYPE: ClassVar[int | None] = None
    "The first byte, if it has one."
    FORM: ClassVar[Struct]

    def encode(self) -> bytes:
        """The whole message, type byte included."""
        return self.FORM.encode(self)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """From a body without type byte. What comes after it is ignored. Raises WireError."""
        message: Self = cls.FORM.decode(body)
        return message

    @classmethod
    def decode_from(cls, buffer: Buffer, offset: int) -> tuple[Self, int]:
        """From the middle of a buffer, and the offset after it. Raises WireError."""
        return cls.FORM.decode_from(buffer, offset)

    @classmethod
    def decode_many(cls, buffer: Buffer, offset: int, count: int, longest: int) -> tuple[list[Self], int]:
        """Several, one after the other: as many as are complete, at most `count`, and the offset after them.

        Raises WireError if one of them is broken or longer than `longest`, but not if the last one is cut off.
        """
        return cls.FORM.decode_many(buffer, offset, count, longest)


M = TypeVar("M", bound=Message)


def go_struct(**kinds: Kind) -> Callable[[type[M]], type[M]]:
    """Tell a message the names and kinds of its Go struct's fields, in declaration order."""

    def bind(cls: type[M]) -> type[M]:
        cls.FORM = Struct(cls, kinds)
        return cls

    return bind


def nested(cls: type[Message]) -> Kind:
    """A struct in a struct."""
    form = cls.FORM
    return Kind(form.zero(), form.encode, form.read, frozenset({dict}), adopt=form.adopt, has_maps=True)


def pointer(kind: Kind) -> Kind:
    """A Go pointer to a struct: None if nil."""

    def write(value: Any) -> bytes:
        return NIL if value is None else kind.write(value)

    def read(cursor: Cursor, old: Any) -> Any:
        return kind.read(cursor, kind.zero if old is None else old)

    def adopt(found: Any) -> Any:
        return None if found is None or kind.adopt is None else kind.adopt(found)

    return Kind(None, write, read, kind.plain | {NoneType}, adopt=adopt, has_maps=kind.has_maps)
