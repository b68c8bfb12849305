"""LZW once more, slowly: each step of spec memberlist §4.2 and §4.3 as it is written there, one bit at a time."""

from __future__ import annotations

from collections.abc import Iterable


def pack(codes: Iterable[tuple[int, int]]) -> bytes:
    """(code, width) pairs as LSB-first bits, zero bits at the end."""
    bits = "".join(format(code, f"0{width}b")[::-1] for code, width in codes)
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[i : i + 8][::-1], 2) for i in range(0, len(bits), 8))


def with_widths(codes: Iterable[int]) -> list[tuple[int, int]]:
    """The width at which a decoder reads each code."""
    out, high, width = [], 257, 9
    for code in codes:
        out.append((code, width))
        if code == 256:
            high, width = 257, 9
            continue
        high += 1
        if high == 1 << width:
            if width < 12:
                width += 1
            else:
                high -= 1
    return out


def encode(data: bytes, *, clears: bool = True) -> bytes:
    """§4.2; without `clears` it is an encoder that lets a full table be."""
    codes, table, high = [256], {}, 257
    prefix = None
    for byte in data:
        if prefix is None:
            prefix = byte
        elif (prefix, byte) in table:
            prefix = table[prefix, byte]
        else:
            codes.append(prefix)
            high += 1
            if high == 4095 and clears:
                codes.append(256)
                table, high = {}, 257
            elif high <= 4095:
                table[prefix, byte] = high
            prefix = byte
    if prefix is not None:
        codes.append(prefix)
        if high + 1 == 4095 and clears:
            codes.append(256)
    codes.append(257)
    return pack(with_widths(codes))


def decode(data: bytes) -> bytes:
    """§4.3. ValueError where it says error."""
    bits = "".join(format(byte, "08b")[::-1] for byte in data)
    at, out = 0, bytearray()
    table, high, width, last = {}, 257, 9, None

    def expand(code: int) -> bytes:
        return bytes((code,)) if code < 256 else table[code]

    while True:
        if at + width > len(bits):
            raise ValueError("truncated")
        code = int(bits[at : at + width][::-1], 2)
        at += width
        if code == 256:
            table, high, width, last = {}, 257, 9, None
            continue
        if code == 257:
            return bytes(out)
        if code > high:
            raise ValueError("invalid_code")
        text = expand(last) + expand(last)[:1] if code == high and last is not None else expand(code)
        out += text
        if last is not None:
            table[high] = expand(last) + text[:1]
        last = code
        high += 1
        if high == 1 << width:
            if width < 12:
                width += 1
            else:
                last, high = None, high - 1
