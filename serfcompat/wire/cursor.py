"""Where a decoder stands in some bytes, checked at every step, and how to step over a whole msgpack value.

Stepping over needs no recursion: a value may be nested 1023 deep, which is more than Python's own
stack bears. What is still to come is one number per level.
"""

from __future__ import annotations

import sys
from typing import NamedTuple

from serfcompat.errors import WireError
from serfcompat.wire.types import MAX_NESTING

Buffer = bytes | bytearray | memoryview

NIL = 0xC0
MAX_ITEMS = 1 << 16
"""Items of all containers in one message, unless it asks for more. Go has no bound, and no need of one.

No packet has more of them. A small one that was compressed could, and cost seconds.
"""
_TIME = 0xFF
_TIME_SIZES = (4, 8, 12)


class Head(NamedTuple):
    """What the first byte of a value says about the rest of it."""

    width: int
    "Bytes of the length that follows; 0: it is known already."
    length: int
    "The length, if it is known."
    children: int
    "Values per unit of length: 1 in an array, 2 in a map. 0: the length counts bytes."
    tag: int
    "Bytes between length and data: 1 in an extension, else 0."


def _heads() -> tuple[Head | None, ...]:
    heads: list[Head | None] = [Head(0, 0, 0, 0)] * 256  # small numbers, nil and bool are one byte
    heads[0xC1] = None
    heads[0x80:0xC0] = [
        *(Head(0, length, 2, 0) for length in range(16)),  # map
        *(Head(0, length, 1, 0) for length in range(16)),  # array
        *(Head(0, length, 0, 0) for length in range(32)),  # raw
    ]
    for power, width in enumerate((1, 2, 4)):
        heads[0xC4 + power] = heads[0xD9 + power] = Head(width, 0, 0, 0)  # bin, str
        heads[0xC7 + power] = Head(width, 0, 0, 1)  # ext
    heads[0xCA], heads[0xCB] = Head(0, 4, 0, 0), Head(0, 8, 0, 0)  # float
    for power, size in enumerate((1, 2, 4, 8)):
        heads[0xCC + power] = heads[0xD0 + power] = Head(0, size, 0, 0)  # unsigned, signed
    for power, size in enumerate((1, 2, 4, 8, 16)):
        heads[0xD4 + power] = Head(0, size, 0, 1)  # fixext
    for power, width in enumerate((2, 4)):
        heads[0xDC + power] = Head(width, 0, 1, 0)  # array
        heads[0xDE + power] = Head(width, 0, 2, 0)  # map
    return tuple(heads)


HEADS = _heads()
"By first byte. Only 0xc1 means nothing."


def _walk(buffer: Buffer, position: int, outer: list[int], around: int, most: int) -> int:
    """Go on through a value as far as it is there.

    Args:
        outer: Values still to come, per level. It is empty after the last one.
        around: Containers around the value.
        most: Items that the value may have left.

    Returns:
        Where to go on. May lie beyond the end.

    Raises:
        WireError: `type` for 0xc1 and odd timestamps, `depth`, `range` for too many items.
    """
    end = len(buffer)
    while outer:
        if not outer[-1]:
            outer.pop()
            continue
        if position >= end:
            break
        head = HEADS[buffer[position]]
        if head is None:
            raise WireError("type", "0xc1")
        width, length, children, tag = head
        body = position + 1 + width
        if body + tag > end:
            break
        if width:
            length = int.from_bytes(buffer[position + 1 : body], "big")
        if tag and buffer[body] == _TIME and length not in _TIME_SIZES:
            raise WireError("type", f"a timestamp of {length} bytes")
        outer[-1] -= 1
        if children:
            # ⚠ An empty container counts as well here, unlike one that is decoded into a field.
            if around + len(outer) > MAX_NESTING:
                raise _too_deep()
            length *= children
            most -= min(length, end - body)
            if most < 0:
                raise _too_many()
            outer.append(length)
            position = body
        else:
            position = body + tag + length
    return position


def _too_deep() -> WireError:
    return WireError("depth", f"nested deeper than {MAX_NESTING}")


def _too_many() -> WireError:
    return WireError("range", "too many items")


class Cursor:
    """Reads forward through bytes from outside. Every method raises WireError `truncated` at the end of them."""

    __slots__ = ("_items", "data", "depth", "end", "position")

    def __init__(self, data: Buffer, position: int = 0, items: int = MAX_ITEMS) -> None:
        self.data = data
        self.position = position
        self.end = len(data)
        self.depth = 0
        "Containers around the current position."
        self._items = items
        "Items of containers that may still come."

    def byte(self) -> int:
        position = self.position
        if position >= self.end:
            raise WireError("truncated")
        self.position = position + 1
        return self.data[position]

    def take(self, size: int) -> bytes:
        """The next `size` bytes. Nothing is allocated before they are known to be there."""
        start = self.position
        stop = start + size
        if stop > self.end:
            raise WireError("truncated")
        self.position = stop
        return bytes(self.data[start:stop])

    def unsigned(self, width: int) -> int:
        """A big-endian number of `width` bytes."""
        return int.from_bytes(self.take(width), "big")

    def signed(self, width: int) -> int:
        """A big-endian two's complement number of `width` bytes."""
        return int.from_bytes(self.take(width), "big", signed=True)

    def at_nil(self) -> bool:
        """Whether a nil comes next; if so, step over it."""
        position = self.position
        if position >= self.end:
            raise WireError("truncated")
        if self.data[position] != NIL:
            return False
        self.position = position + 1
        return True

    def enter(self, items: int) -> None:
        """Go into a container. Raises WireError: `depth` past 1023 of them, `range` past the items allowed in all."""
        self.depth += 1
        if self.depth > MAX_NESTING:
            raise _too_deep()
        self._items -= min(items, self.end - self.position)  # what is not there is only truncated
        if self._items < 0:
            raise _too_many()

    def leave(self) -> None:
        self.depth -= 1

    def skip(self) -> None:
        """Step over one value of any kind. Raises WireError `type` for 0xc1 and odd timestamps, `depth`, `range`."""
        outer = [1]
        position = _walk(self.data, self.position, outer, self.depth, self._items)
        if outer or position > self.end:
            raise WireError("truncated")
        self.position = position


class ValueScanner:
    """Finds the end of one msgpack value in a buffer that still grows.

    What was looked at once isn't looked at again, so the cost is linear in the size of the value
    however small the pieces are in which it comes. The size itself is the caller's to bound.
    """

    __slots__ = ("_outer", "_seen")

    def __init__(self) -> None:
        self._seen = 0
        self._outer = [1]

    def feed(self, buffer: Buffer, start: int) -> int | None:
        """Look on in a buffer that holds the value, as far as it has come, from `start` on.

        Returns:
            The offset after the value, with the scanner ready for another one; None as long as bytes are missing.

        Raises:
            WireError: `type` for 0xc1 and odd timestamps, `depth` past 1023 containers. The scanner is of
                no use then.
        """
        # No bound on items: whoever fills the buffer bounds its bytes, and each item has one.
        position = _walk(buffer, start + self._seen, self._outer, 0, sys.maxsize)
        if self._outer or position > len(buffer):
            self._seen = position - start
            return None
        self._seen = 0
        self._outer = [1]
        return position
