"""LZW exactly as Go's compress/lzw writes it: LSB first, 8-bit literals (spec memberlist §4).

Codes 0-255 are bytes, 256 clears the table, 257 ends the data, 258-4095 are strings
seen since the last clear. A code is 9 bits wide at first and 12 at most.

Every packet passes through here, so plain Python is helped by three observations:

* **Bits move in bulk.** The width of a code depends only on how many codes came since the
  last clear (`_RUNS`), never on their values. So up to 256 codes at a time lie in 16-bit
  lanes of one big integer, and eight mask-and-shift steps close the gaps between all lanes
  at once, or open them: between neighbours, then between pairs, pairs of pairs and so on.
* **The encoder's table is its output.** A pair is stored exactly when its prefix is emitted,
  and a dict keeps its order: the keys, each `prefix << 8 | byte`, list the emitted codes.
  The loop has nothing else to note down.
* **The decoder's table holds `str`** (Latin-1), because `a + b[0]` is much cheaper there than
  with `bytes`. Control codes are empty strings in it, so they, invalid codes and the one code
  that may be used before it is stored all raise `IndexError`, off the fast path.

Cost is linear in input plus output whatever the input: a table entry is only made by copying
what was just output, and codes unpacked in vain before a clear are fewer than those used.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterator, Sequence
from operator import length_hint

from serfcompat.errors import WireError

_CLEAR, _END, _FIRST, _LAST = 256, 257, 258, 4095
_LANES = 256
"How many codes are packed or unpacked at a time."

_RUNS = ((9, 0, 255), (10, 255, 767), (11, 767, 1791), (12, 1791, 3839))
"""(width in bits, first, past the last): how wide the n-th code after a clear is.

The encoder's clear is the one numbered 3838. A decoder that meets none goes on at 12 bits.
"""


def _steps(width: int) -> list[tuple[int, int, int]]:
    """How 16-bit lanes close up to `width`: per level the gap in bits, and masks of the lower and upper neighbours."""
    steps = []
    for level in range(_LANES.bit_length() - 1):
        stride = 32 << level
        repeat = ((1 << 16 * _LANES) - 1) // ((1 << stride) - 1)
        lower = ((1 << (width << level)) - 1) * repeat
        steps.append((16 - width << level, lower, lower << (width << level)))
    return steps


_STEPS = {width: _steps(width) for width, _, _ in _RUNS}
_PIECES = [
    (width, start, min(start + _LANES, stop)) for width, first, stop in _RUNS for start in range(first, stop, _LANES)
]
"`_RUNS` cut to what fits in the lanes."

# In the encoder a code is always shifted by 8, to make room for the byte that follows it.
_LITERALS = [code << 8 for code in range(256)]
_NEW_CODES = [code << 8 for code in range(_FIRST, _LAST + 1)]

_ROOTS = [*map(chr, range(256)), "", ""]
_discard = deque[str](maxlen=0).append


def compress(data: bytes) -> bytes:
    """The very bytes that Go's encoder gives for `data`, of any length. Never fails."""
    writer = _BitWriter()
    writer.put(_CLEAR, 9)
    rest = iter(data)
    prefix = _LITERALS[next(rest)] if data else None
    width = 9
    while prefix is not None:
        codes, prefix = _codes_until_clear(prefix, rest)
        if full := len(codes) == len(_NEW_CODES):  # 4095 is due: clear instead, even when nothing follows
            codes.append(_CLEAR << 8)
        writer.put_all(codes)
        width = 9 if full else _width_of(len(codes))
    writer.put(_END, width)
    return writer.finish()


def _codes_until_clear(prefix: int, rest: Iterator[int]) -> tuple[list[int], int | None]:
    """The shifted codes from one clear to the next, and the prefix that comes after it; None at the end of input."""
    table: dict[int, int] = {}
    known = table.get
    for new in _NEW_CODES:
        for byte in rest:
            if found := known(pair := prefix + byte):
                prefix = found
            else:
                break
        else:
            return [*table, prefix], None
        table[pair] = new
        prefix = _LITERALS[byte]
    return [*table], prefix


def _width_of(number: int) -> int:
    """Bits of the code that is the `number`-th (from 0) since the last clear."""
    return next((width for width, _, stop in _RUNS if number < stop), 12)


class _BitWriter:
    """Puts codes of 9 to 12 bits one after the other, lowest bit first."""

    __slots__ = ("_bits", "_held", "_out")

    def __init__(self) -> None:
        self._out: list[bytes] = []
        self._held = 0
        "What fills no byte yet."
        self._bits = 0
        "Length of `_held`."

    def put(self, code: int, width: int) -> None:
        self._held |= code << self._bits
        self._bits += width

    def put_all(self, shifted: Sequence[int]) -> None:
        """The codes since a clear, each shifted by 8 as they are in the table."""
        for width, start, stop in _PIECES:
            piece = shifted[start:stop]
            if not piece:
                break
            wide = struct.pack(f"<{len(piece)}I", *piece)
            codes = bytearray(2 * len(piece))
            codes[::2], codes[1::2] = wide[1::4], wide[2::4]  # shifts them back
            lanes = int.from_bytes(codes, "little")
            for gap, lower, upper in _STEPS[width]:
                lanes = lanes & lower | lanes >> gap & upper
            self.put(lanes, width * len(piece))
        whole = self._bits >> 3
        self._out.append((self._held & (1 << 8 * whole) - 1).to_bytes(whole, "little"))
        self._held >>= 8 * whole
        self._bits &= 7

    def finish(self) -> bytes:
        """Everything, with zero bits up to the next whole byte."""
        self._out.append(self._held.to_bytes((self._bits + 7) >> 3, "little"))
        return b"".join(self._out)


def decompress(data: bytes, limit: int) -> bytes:
    """What `data` stands for. Bytes after the end code are ignored.

    Raises:
        WireError: `truncated` (no end code), `invalid_code` (one that isn't known yet) or
            `decompress_limit` (more than `limit` bytes, which are not put together then).
    """
    out: list[bytes] = []
    size = position = 0
    table, last = _ROOTS.copy(), ""
    while True:
        number = len(table) - _END if last else 0  # of the next code since the last clear
        width, _, stop = next((run for run in _RUNS if number < run[2]), (12, 0, number + _LANES))
        codes = _unpack(data, position, width, min(stop - number, _LANES))
        if not codes:
            raise WireError("truncated", "no end code in LZW data")
        position += width * len(codes)
        rest = iter(codes)
        parts: list[str] = []
        last, control = _expand(rest, table, last, parts)
        while control == _CLEAR:
            del table[_FIRST:]
            if width > 9:
                position -= width * length_hint(rest)  # were read at the wrong width
                rest = iter(())
            last, control = _expand(rest, table, "", parts)
        size += sum(map(len, parts))
        if size > limit:
            raise WireError("decompress_limit", f"more than {limit} bytes")
        out.append("".join(parts).encode("latin-1"))
        if control == _END:
            return out[0] if len(out) == 1 else b"".join(out)


def _unpack(data: bytes, position: int, width: int, most: int) -> tuple[int, ...]:
    """Up to `most` codes from bit `position` on; fewer if the input ends, down to none."""
    count = min(most, (8 * len(data) - position) // width)
    start, shift = divmod(position, 8)
    end = start + (shift + count * width + 7) // 8
    lanes = int.from_bytes(data[start:end], "little") >> shift & (1 << count * width) - 1
    for gap, lower, upper in reversed(_STEPS[width]):
        lanes = lanes & lower | (lanes & upper) << gap
    return struct.unpack(f"<{count}H", lanes.to_bytes(2 * count, "little"))


def _expand(codes: Iterator[int], table: list[str], last: str, parts: list[str]) -> tuple[str, int | None]:
    """Append the strings of `codes` to `parts` up to a control code, and complete `table`.

    Returns:
        The last string ("" if none came since a clear), and the control code, None if the codes ran out.
    """
    store = table.append if len(table) <= _LAST else _discard  # a full table stays as it is until a clear
    if not last:  # the first code after a clear completes no pair
        first = next(codes, None)
        if first is None or first >= _CLEAR:
            return "", _control(first)
        last = table[first]
        parts.append(last)
    while True:
        try:
            for code in codes:
                entry = table[code]
                store(last + entry[0])
                parts.append(entry)
                last = entry
        except IndexError:
            if code != len(table):
                return last, _control(code)
            last += last[0]  # the pair that this very code completes
            store(last)
            parts.append(last)
        else:
            return last, None


def _control(code: int | None) -> int | None:
    if code is not None and code > _END:
        raise WireError("invalid_code", f"LZW code {code} is not known yet")
    return code
