"""The bounds-checked reader, and finding the end of a value."""

from __future__ import annotations

import tracemalloc
from typing import Any

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from serfcompat.errors import WireError
from serfcompat.wire.cursor import Cursor, ValueScanner

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(),
    st.binary(max_size=40),
    st.text(max_size=40),
)
VALUES = st.recursive(
    st.one_of(SCALARS, st.builds(msgpack.ExtType, st.integers(0, 127), st.binary(max_size=20))),
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(SCALARS, inner, max_size=20),
    max_leaves=30,
)


def packed(value: Any) -> bytes:
    data: bytes = msgpack.packb(value, unicode_errors="surrogatepass")
    return data


ONE_OF_EACH_FORM = [
    *("00", "7f", "e0", "ff", "c0", "c2", "c3"),
    *("cc01", "cd0001", "ce00000001", "cf0000000000000001", "d001", "d10001", "d200000001", "d30000000000000001"),
    *("ca00000000", "cb0000000000000000"),
    *("a0", "a2" + "61" * 2, "bf" + "61" * 31, "d90161", "da000161", "db0000000161"),
    *("c40161", "c5000161", "c60000000161"),
    *("d40161", "d5016161", "d601" + "61" * 4, "d701" + "61" * 8, "d801" + "61" * 16),
    *("c70001", "c7010161", "c800010161", "c9000000010161", "c70cff" + "00" * 12, "d6ff00000000", "d7ff" + "00" * 8),
    *("90", "9101", "9fc0" + "c0" * 14, "dc000101", "dd0000000101"),
    *("80", "810102", "8f" + "c0c0" * 15, "de00010102", "df000000010102", "919181a16192c0c3"),
]


@pytest.mark.parametrize("form", ONE_OF_EACH_FORM)
class TestOneValueOfEachForm:
    def test_is_stepped_over_whatever_follows(self, form: str) -> None:
        value = bytes.fromhex(form)
        cursor = Cursor(value + b"\xc1")
        cursor.skip()
        assert cursor.position == len(value)

    def test_is_truncated_wherever_it_is_cut(self, form: str) -> None:
        value = bytes.fromhex(form)
        for size in range(len(value)):
            with pytest.raises(WireError, match="truncated"):
                Cursor(value[:size]).skip()

    def test_ends_for_the_scanner_with_its_last_byte(self, form: str) -> None:
        value = bytes.fromhex(form)
        scanner = ValueScanner()
        ends = [scanner.feed(b"??" + value[:size], 2) for size in range(len(value) + 1)]
        assert ends == [None] * len(value) + [2 + len(value)]


def nested(levels: int, lead: bytes = b"\x91") -> bytes:
    return lead * levels + b"\xc0"


@pytest.mark.statement("M-094")
@pytest.mark.parametrize("lead", [b"\x91", b"\x81\xc0", b"\xdc\x00\x01"], ids=["array", "map", "array16"])
def test_nesting_of_1023_is_the_deepest(lead: bytes) -> None:
    deepest, deeper = nested(1023, lead), nested(1024, lead)
    cursor = Cursor(deepest)
    cursor.skip()
    assert cursor.position == len(deepest)
    assert ValueScanner().feed(deepest, 0) == len(deepest)
    with pytest.raises(WireError, match="depth"):
        Cursor(deeper).skip()
    with pytest.raises(WireError, match="depth"):
        ValueScanner().feed(deeper, 0)


def test_the_levels_around_a_skipped_value_count_too() -> None:
    cursor = Cursor(nested(1023))
    cursor.enter(0)
    with pytest.raises(WireError, match="depth"):
        cursor.skip()


def test_no_more_than_1023_containers_can_be_entered() -> None:
    cursor = Cursor(b"")
    for _ in range(1023):
        cursor.enter(0)
    cursor.leave()
    cursor.enter(0)
    with pytest.raises(WireError, match="depth"):
        cursor.enter(0)


@pytest.mark.parametrize("lead", [b"\xdd\x00\x01\x00\x00", b"\xdf\x00\x00\x80\x00"], ids=["list", "map"])
def test_a_message_can_not_have_any_number_of_items(lead: bytes) -> None:
    Cursor(lead + b"\xc0" * (1 << 16)).skip()
    Cursor(lead + b"\xc0" * (1 << 16), items=1 << 16).enter(1 << 16)
    for more in (
        Cursor(b"\x92" + lead + b"\xc0" * (1 << 16) + b"\x01"),
        Cursor(b"\x93" + (b"\x9f" + b"\xc0" * 15) * 9, items=20),
    ):
        with pytest.raises(WireError, match="range"):
            more.skip()
    entered = Cursor(b"\xc0" * 100, items=50)
    entered.enter(40)
    entered.leave()
    with pytest.raises(WireError, match="range"):
        entered.enter(11)


def test_items_that_are_not_there_do_not_count() -> None:
    for cursor in (Cursor(b"\xdd\xff\xff\xff\xff\xc0"), Cursor(b"\x91" * 20, items=200)):
        with pytest.raises(WireError, match="truncated"):
            cursor.skip()
    Cursor(b"\xc0", items=10).enter(1 << 32)


def test_an_empty_container_counts_as_a_level_when_skipped() -> None:
    Cursor(b"\x91" * 1022 + b"\x90").skip()
    with pytest.raises(WireError, match="depth"):
        Cursor(b"\x91" * 1023 + b"\x90").skip()


@pytest.mark.parametrize("size", [0, 1, 5, 16])
def test_a_skipped_timestamp_has_one_of_three_sizes(size: int) -> None:
    timestamp = bytes((0xC7, size, 0xFF)) + bytes(size)
    with pytest.raises(WireError, match="type"):
        Cursor(timestamp).skip()
    with pytest.raises(WireError, match="type"):
        ValueScanner().feed(timestamp, 0)


def test_the_byte_that_means_nothing_is_refused() -> None:
    with pytest.raises(WireError, match="type"):
        Cursor(b"\x92\x01\xc1").skip()
    with pytest.raises(WireError, match="type"):
        ValueScanner().feed(b"\x92\x01\xc1", 0)


@pytest.mark.parametrize("form", ["dbffffffff", "c6ffffffff", "ddffffffff", "dfffffffff", "c9ffffffff01"])
def test_a_huge_declared_length_allocates_nothing(form: str) -> None:
    data = bytes.fromhex(form) + b"\x00" * 100
    tracemalloc.start()
    try:
        with pytest.raises(WireError, match="truncated"):
            Cursor(data).skip()
        assert ValueScanner().feed(data, 0) is None
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("read", [Cursor.byte, Cursor.at_nil, lambda c: c.take(1), lambda c: c.unsigned(1)])
def test_nothing_is_read_past_the_end(read: Any) -> None:
    cursor = Cursor(b"\xc0\x01", 2)
    with pytest.raises(WireError, match="truncated"):
        read(cursor)
    assert cursor.position == 2


def test_what_is_taken_is_bytes_whatever_it_was_taken_from() -> None:
    for data in (b"abc", bytearray(b"abc"), memoryview(b"abc")):
        taken = Cursor(data, 1).take(2)
        assert (type(taken), taken) == (bytes, b"bc")


@pytest.mark.property
@given(VALUES, st.binary(max_size=8), st.lists(st.integers(1, 30)))
@example([[{}]], b"", [1] * 20)
def test_the_scanner_ends_where_a_skip_ends_in_whatever_pieces_a_value_comes(
    value: Any, after: bytes, sizes: list[int]
) -> None:
    data = packed(value)
    cursor = Cursor(data + after)
    cursor.skip()
    assert cursor.position == len(data)

    scanner, buffer, rest = ValueScanner(), bytearray(b"before"), data + after
    end = None
    while end is None:
        size = sizes.pop() if sizes else 1
        buffer += rest[:size]
        rest = rest[size:]
        end = scanner.feed(buffer, 6)
    assert end == 6 + len(data)


@pytest.mark.property
@given(st.binary(max_size=200))
def test_skip_and_scanner_agree_on_any_bytes(data: bytes) -> None:
    cursor = Cursor(data)
    try:
        cursor.skip()
        skipped: int | str = cursor.position
    except WireError as error:
        skipped = error.reason
    try:
        scanned: int | str = ValueScanner().feed(data, 0) or "truncated"
    except WireError as error:
        scanned = error.reason
    assert skipped == scanned


def test_a_value_that_is_half_there_is_not_too_large() -> None:
    whole = b"\x82\x81\x00\x00\xc0\x00\xc0"
    scanner = ValueScanner()
    assert [scanner.feed(whole[:size], 0) for size in range(1, 8)] == [None] * 6 + [7]


def test_the_scanner_looks_at_each_byte_once() -> None:
    class Counting(bytearray):
        looks = 0

        def __getitem__(self, index: Any) -> Any:
            Counting.looks += 1
            return super().__getitem__(index)

    scanner, buffer = ValueScanner(), Counting()
    data = packed([[b"x" * 50, 1, None] for _ in range(100)])
    ends = []
    for octet in data:
        buffer.append(octet)
        ends.append(scanner.feed(buffer, 0))
    assert ends == [None] * (len(data) - 1) + [len(data)]
    assert Counting.looks < len(data)


def test_the_scanner_is_ready_for_the_next_value() -> None:
    scanner = ValueScanner()
    assert scanner.feed(b"\x92\x01", 0) is None
    assert scanner.feed(b"\x92\x01\x02\xa1a", 0) == 3
    assert scanner.feed(b"\x92\x01\x02\x93\x01\x02\x03\x04", 3) == 7
