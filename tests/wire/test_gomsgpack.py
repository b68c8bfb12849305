"""Each form in which a value of each kind is written, read or refused."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

from serfcompat.errors import WireError
from serfcompat.wire.cursor import Cursor
from serfcompat.wire.gomsgpack import BOOL, BYTES, FLOAT, INT, TEXT, U8, U16, U32, U64, Kind, list_of, map_of

from .values import exact


def read(kind: Kind, form: str) -> Any:
    """A whole value, as a struct would read it."""
    cursor = Cursor(bytes.fromhex(form))
    value = kind.zero if cursor.at_nil() else kind.read(cursor, kind.zero)
    assert cursor.position == cursor.end
    return value


def reason(kind: Kind, form: str) -> str:
    with pytest.raises(WireError) as error:
        read(kind, form)
    return error.value.reason


# -- writing ---------------------------------------------------------------------------------------

A32, A255, A256, A65535, A65536 = (b"a" * size for size in (32, 255, 256, 65535, 65536))


@pytest.mark.parametrize(
    ("kind", "value", "form"),
    [
        *((U64, 0, "00"), (U64, 127, "7f"), (U64, 128, "cc80"), (U64, 255, "ccff"), (U64, 256, "cd0100")),
        *((U64, 65535, "cdffff"), (U64, 65536, "ce00010000"), (U64, 2**32 - 1, "ceffffffff")),
        *((U64, 2**32, "cf0000000100000000"), (U64, 2**64 - 1, "cf" + "ff" * 8)),
        *((U8, 255, "ccff"), (U16, 65535, "cdffff"), (U32, 2**32 - 1, "ceffffffff")),
        *((INT, 0, "00"), (INT, 127, "7f"), (INT, 128, "d10080"), (INT, 255, "d100ff"), (INT, 32767, "d17fff")),
        *((INT, 32768, "d200008000"), (INT, 2**31 - 1, "d27fffffff"), (INT, 2**31, "d30000000080000000")),
        *((INT, 2**63 - 1, "d37fffffffffffffff"), (INT, -1, "ff"), (INT, -32, "e0"), (INT, -33, "d0df")),
        *((INT, -128, "d080"), (INT, -129, "d1ff7f"), (INT, -32768, "d18000"), (INT, -32769, "d2ffff7fff")),
        *((INT, -(2**31), "d280000000"), (INT, -(2**31) - 1, "d3ffffffff7fffffff"), (INT, -(2**63), "d380" + "00" * 7)),
        *((BOOL, False, "c2"), (BOOL, True, "c3")),
        *((FLOAT, 1.5, "cb3ff8000000000000"), (FLOAT, -0.0, "cb80" + "00" * 7)),
        (FLOAT, float("inf"), "cb7ff0000000000000"),
        *((TEXT, b"", "a0"), (TEXT, b"ab", "a26162"), (TEXT, b"a" * 31, "bf" + "61" * 31)),
        *((BYTES, None, "c0"), (BYTES, b"", "a0"), (BYTES, A32, "da0020" + A32.hex())),
        *((BYTES, A255, "da00ff" + A255.hex()), (BYTES, A65535, "daffff" + A65535.hex())),
        (BYTES, A65536, "db00010000" + A65536.hex()),
        *((list_of(U8), None, "c0"), (list_of(U8), [], "90"), (list_of(U8), [1, 200], "9201ccc8")),
        *((list_of(U8), [1] * 15, "9f" + "01" * 15), (list_of(U8), [1] * 16, "dc0010" + "01" * 16)),
        (list_of(BYTES), [None, b""], "92c0a0"),
        *((map_of(U8), None, "c0"), (map_of(U8), {}, "80"), (map_of(U8), {b"b": 1, b"a": 2}, "82a16201a16102")),
        (map_of(U8), {bytes((n,)): 1 for n in range(15)}, "8f" + "".join(f"a1{n:02x}01" for n in range(15))),
        (map_of(U8), {bytes((n,)): 1 for n in range(16)}, "de0010" + "".join(f"a1{n:02x}01" for n in range(16))),
        (list_of(U8), [0] * 65536, "dd00010000" + "00" * 65536),
    ],
)  # fmt: skip
def test_is_written_in_gos_form_and_read_back(kind: Kind, value: Any, form: str) -> None:
    assert kind.write(value).hex() == form
    assert exact(read(kind, form)) == exact(value)


@pytest.mark.parametrize(
    ("kind", "value"),
    [(U8, 256), (U16, 65536), (U32, 2**32), (U64, 2**64), (U32, -1), (INT, 2**63), (INT, -(2**63) - 1)],
)
def test_a_number_that_does_not_fit_is_not_written(kind: Kind, value: int) -> None:
    with pytest.raises(ValueError, match="not a"):
        kind.write(value)


# -- reading ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "form", "value"),
    [
        *((U32, form, 5) for form in ("05", "cc05", "cd0005", "ce00000005", "cf0000000000000005")),
        *((U32, form, 5) for form in ("d005", "d10005", "d200000005", "d30000000000000005")),
        *((INT, form, 200) for form in ("ccc8", "cd00c8", "ce000000c8", "cf00000000000000c8", "d100c8")),
        *((INT, "ff", -1), (INT, "d0ff", -1), (INT, "d3" + "ff" * 8, -1)),
        *((INT, "cf" + "ff" * 8, -1), (INT, "cf8000000000000000", -(2**63))),  # reinterpreted
        *((BOOL, "00", False), (BOOL, "01", True), (BOOL, "c2", False), (BOOL, "c3", True), (BOOL, "c0", False)),
        *((FLOAT, "ca3fc00000", 1.5), (FLOAT, "03", 3.0), (FLOAT, "ff", -1.0), (FLOAT, "cf80" + "00" * 7, -(2.0**63))),
        *((TEXT, "d90161", b"a"), (TEXT, "da000161", b"a"), (TEXT, "db0000000161", b"a"), (TEXT, "c0", b"")),
        *((kind, "920102", b"\1\2") for kind in (TEXT, BYTES)),
        *((kind, "dc000203c0", b"\3\0") for kind in (TEXT, BYTES)),
        *((kind, "dd0000000103", b"\3") for kind in (TEXT, BYTES)),
        *((BYTES, "90", b""), (TEXT, "90", b""), (BYTES, "c400", b""), (BYTES, "d900", b"")),
        *((BYTES, "810102", b"\1\2"), (BYTES, "80", b""), (BYTES, "de000103c0", b"\3\0")),  # flattened
        *((list_of(TEXT), "81a161a162", [b"a", b"b"]), (list_of(TEXT), "80", []), (list_of(TEXT), "91c0", [b""])),
        *((list_of(FLOAT), "93c001ca3fc00000", [0.0, 1.0, 1.5]), (list_of(BYTES), "93c09101a0", [None, b"\1", b""])),
        *((map_of(TEXT), "82c0a176a0a177", {b"": b"w"}), (map_of(TEXT), "82a16bc0a16ca16d", {b"k": b"", b"l": b"m"})),
        *((map_of(U64), "de0001a16b07", {b"k": 7}), (map_of(U64), "df00000001a16b07", {b"k": 7})),
        (map_of(U64), "829101079101cc08", {b"\1": 8}),
        # Go takes any byte over 0x7f, and 0x00, for the start of a map:
        *((map_of(TEXT), "0000", {}), (map_of(TEXT), "0001a161a162", {b"a": b"b"})),
        (map_of(TEXT), "90" + "a161a162" * 16, {b"a": b"b"}),
    ],
)  # fmt: skip
def test_is_read_as_go_reads_it(kind: Kind, form: str, value: Any) -> None:
    assert exact(read(kind, form)) == exact(value)


@pytest.mark.parametrize(
    ("kind", "form", "why"),
    [
        *((U32, "ff", "range"), (U32, "d0ff", "range"), (U32, "d3" + "ff" * 8, "range"), (U64, "ff", "range")),
        *((U8, "cd0100", "range"), (U16, "ce00010000", "range"), (U32, "cf0000000100000000", "range")),
        *((U32, form, "type") for form in ("c2", "ca00000000", "a0", "90", "80", "c1", "d40101", "c400")),
        *((INT, form, "type") for form in ("c3", "cb0000000000000000", "a161", "9101", "c1", "d6ff00000000")),
        *((BOOL, form, "type") for form in ("02", "ff", "cc01", "d001", "a0", "90", "80", "ca3f800000", "c1")),
        *((FLOAT, form, "type") for form in ("a0", "90", "80", "c2", "c40101", "d40101", "c1")),
        *((TEXT, form, "type") for form in ("01", "ff", "80", "810102", "c2", "cb" + "00" * 8, "d40101", "c1", "9191")),
        *((BYTES, form, "type") for form in ("01", "ff", "c2", "ca00000000", "d40101", "c1", "91a161")),
        *((kind, form, "range") for kind in (TEXT, BYTES) for form in ("91cd0100", "91ff", "9201d0ff")),
        (BYTES, "8101ff", "range"),
        *((list_of(TEXT), form, "type") for form in ("a161", "c40161", "01", "ca00000000", "c2", "9101", "81a16101")),
        *((map_of(TEXT), form, "type") for form in ("01", "7f", "8101a161", "81a16101", "c40178")),
        *((map_of(TEXT), form, "truncated") for form in ("90", "ff", "c3", "c1", "00", "81a161")),
        *((kind, form, "truncated") for kind in (TEXT, BYTES) for form in ("a261", "da", "db00000001", "9201", "dc00")),
        *((U64, "cf00", "truncated"), (FLOAT, "cb00", "truncated"), (INT, "d1", "truncated")),
        *((list_of(U8), form, "truncated") for form in ("9201", "dc00", "dd00000001", "8101")),
    ],
)  # fmt: skip
def test_is_refused_as_go_refuses_it(kind: Kind, form: str, why: str) -> None:
    assert reason(kind, form) == why


@pytest.mark.parametrize("kind", [TEXT, BYTES, list_of(TEXT), list_of(BYTES), map_of(U64)])
@pytest.mark.parametrize("form", ["dd7fffffff", "df7fffffff", "dcffff", "db7fffffff", "c67fffffff"])
def test_a_huge_declared_length_allocates_nothing(kind: Kind, form: str) -> None:
    data = bytes.fromhex(form) + b"\x01"
    tracemalloc.start()
    try:
        with pytest.raises(WireError):
            kind.read(Cursor(data), kind.zero)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()
