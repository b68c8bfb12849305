"""Makes hostile bytes out of good ones. The same dice give the same bytes."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

MAX_SIZE = 65_507
"Bytes of the largest input, which is also the largest datagram."

_EDGES = [
    # numbers at the ends of their ranges, in several widths
    *map(bytes.fromhex, ("00", "01", "7f", "80", "ff", "7fff", "8000", "ffff", "7fffffff", "80000000", "ffffffff")),
    *map(bytes.fromhex, ("7fffffffffffffff", "8000000000000000", "ffffffffffffffff")),
    # msgpack values: nil, bool, the byte never used, floats that are no numbers, integers
    *map(bytes.fromhex, ("c0", "c1", "c2", "c3", "cb7ff8000000000000", "cb7ff0000000000000", "cbfff0000000000000")),
    *map(bytes.fromhex, ("ca7fc00000", "ccff", "cdffff", "ceffffffff", "cfffffffffffffffff", "d080", "d18000")),
    *map(bytes.fromhex, ("d280000000", "d38000000000000000")),
    # containers and strings that announce more than there is
    *map(bytes.fromhex, ("8f", "9f", "bf", "d9ff", "daffff", "dbffffffff", "c4ff", "c5ffff", "c6ffffffff", "dcffff")),
    *map(bytes.fromhex, ("ddffffffff", "deffff", "dfffffffff", "dd7fffffff", "df00100000", "c7ff00", "c9ffffffff00")),
    # extensions, empty and repeated keys
    *map(bytes.fromhex, ("d40000", "a0", "a1ff", "81a0c0", "82a141c0a141c0")),
    # message types and headers of layers
    *map(bytes.fromhex, ("07ff", "0903", "0a00000010", "0a01400000", "0a01400001", "0c00000000", "0100")),
    *map(bytes.fromhex, ("f401ff", "f400", "f4ff")),
]
_NESTS = (b"\x91", b"\x81\xa0", b"\xdc\x00\x01", b"\x81\x91", b"\x07\x01")


class Mutator:
    """Changes inputs a little, or beyond recognition."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._changes: Sequence[Callable[[bytearray, Sequence[bytes]], None]] = (
            *(self._flip_bit, self._set_byte, self._edge) * 3,
            *(self._insert_edge, self._insert_noise, self._cut, self._end_early, self._repeat, self._splice),
            *(self._swap, self._nest),
        )

    def input(self, corpus: Sequence[bytes]) -> bytes:
        """One input for a target whose good inputs are `corpus`."""
        dice = self._dice
        choice = dice.random()
        if choice < 0.05:
            return dice.randbytes(int(2 ** (dice.random() * 10)) - 1)
        data = bytearray(dice.choice(corpus))
        if choice > 0.98:
            return bytes(data)
        for _ in range(1 if choice < 0.5 else int(2 ** (dice.random() * 3.5))):
            dice.choice(self._changes)(data, corpus)
        return bytes(data[:MAX_SIZE])

    def _place(self, data: bytearray) -> int:
        """A position, more often near the beginning, where the structure is."""
        where = self._dice.random()
        return int(where * where * (len(data) + 1))

    def _flip_bit(self, data: bytearray, _: Sequence[bytes]) -> None:
        if data:
            data[self._place(data) % len(data)] ^= 1 << self._dice.randrange(8)

    def _set_byte(self, data: bytearray, _: Sequence[bytes]) -> None:
        if data:
            data[self._place(data) % len(data)] = self._dice.randrange(256)

    def _edge(self, data: bytearray, _: Sequence[bytes]) -> None:
        at, edge = self._place(data), self._dice.choice(_EDGES)
        data[at : at + len(edge)] = edge

    def _insert_edge(self, data: bytearray, _: Sequence[bytes]) -> None:
        at = self._place(data)
        data[at:at] = self._dice.choice(_EDGES)

    def _insert_noise(self, data: bytearray, _: Sequence[bytes]) -> None:
        at = self._place(data)
        data[at:at] = self._dice.randbytes(1 + self._dice.randrange(8))

    def _cut(self, data: bytearray, _: Sequence[bytes]) -> None:
        at = self._place(data)
        del data[at : at + 1 + self._dice.randrange(16)]

    def _end_early(self, data: bytearray, _: Sequence[bytes]) -> None:
        del data[self._dice.randrange(len(data) + 1) :]

    def _repeat(self, data: bytearray, _: Sequence[bytes]) -> None:
        at = self._place(data)
        piece = data[at : at + 1 + self._dice.randrange(64)]
        data[at:at] = piece * (1 + self._dice.randrange(8))
        del data[MAX_SIZE:]

    def _splice(self, data: bytearray, corpus: Sequence[bytes]) -> None:
        other = self._dice.choice(corpus)
        data[self._place(data) :] = other[self._dice.randrange(len(other) + 1) :]

    def _swap(self, data: bytearray, _: Sequence[bytes]) -> None:
        first, second = sorted((self._place(data), self._place(data)))
        data[first:second], data[second:] = data[second:], data[first:second]

    def _nest(self, data: bytearray, _: Sequence[bytes]) -> None:
        at = self._place(data)
        data[at:at] = self._dice.choice(_NESTS) * int(2 ** (self._dice.random() * 11))
