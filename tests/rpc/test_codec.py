"""The dialect: what Go accepts is accepted, and no more memory is spent than bytes came."""

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serfcompat.errors import WireError
from serfcompat.rpc import codec

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def read_all(reader: codec.Objects) -> list[bytes]:
    found = []
    while (item := reader.next()) is not None:
        found.append(item)
    return found


@pytest.mark.property
@given(st.lists(values, max_size=5), st.integers(1, 40))
def test_objects_come_out_whole_however_they_are_cut(items, size):
    data = b"".join(codec.pack(item) for item in items)
    reader, found = codec.Objects(), []
    for start in range(0, len(data), size):
        reader.feed(data[start : start + size])
        found += read_all(reader)
    assert found == [codec.pack(item) for item in items]


@pytest.mark.property
@given(st.binary(max_size=200))
def test_hostile_bytes_raise_nothing_but_wire_errors(data):
    reader = codec.Objects(limit=100)
    reader.feed(data)
    try:
        for item in read_all(reader):
            codec.unpack(item)
    except WireError:
        pass


@pytest.mark.parametrize("first", [0xDC, 0xDD, 0xDE, 0xDF, 0xC4, 0xC5, 0xC6, 0xC7, 0xC8, 0xC9, 0xD9, 0xDA, 0xDB])
def test_every_length_field_frames_like_the_library(first):
    width = {0: 1, 1: 2, 2: 4}
    kinds = {0xC4: b"", 0xC7: b"\x05", 0xD9: b""}
    for base, tag in kinds.items():
        if base <= first <= base + 2:
            data = bytes([first]) + (3).to_bytes(width[first - base], "big") + tag + b"abc"
            break
    else:
        items = 3 if first <= 0xDD else 6
        data = bytes([first]) + (3).to_bytes(2 if first in (0xDC, 0xDE) else 4, "big") + bytes(range(items))
    reader = codec.Objects()
    reader.feed(data[:-1])
    assert reader.next() is None
    reader.feed(data[-1:] + b"\xc0")
    assert reader.next() == data
    assert reader.next() == b"\xc0"


@pytest.mark.parametrize("data", [msgpack.packb(msgpack.ExtType(5, b"x" * size)) for size in (1, 2, 4, 8, 16, 3, 300)])
def test_extensions_are_framed_and_mean_nothing(data):
    reader = codec.Objects()
    reader.feed(data + b"\x01")
    assert read_all(reader) == [data, b"\x01"]
    assert codec.unpack(data) is None


@pytest.mark.parametrize(
    "data", [b"\xdd\xff\xff\xff\xff", b"\xdf\x7f\xff\xff\xff", b"\xdb\xff\xff\xff\xff", b"\xc6\x00\x01\x00\x00"]
)
def test_announced_sizes_are_refused_before_anything_is_made(data):
    reader = codec.Objects(limit=1000)
    reader.feed(data)
    with pytest.raises(WireError) as caught:
        reader.next()
    assert caught.value.reason == "too_large"


def test_an_object_that_never_ends_is_refused_at_the_limit():
    reader = codec.Objects(limit=1000)
    reader.feed(b"\xdc\x03\xe8" + b"\xa1x" * 498)
    assert reader.next() is None
    reader.feed(b"\xa1x")
    with pytest.raises(WireError) as caught:
        reader.next()
    assert caught.value.reason == "too_large"


def test_nesting_is_bounded():
    reader = codec.Objects()
    reader.feed(b"\x91" * (codec.MAX_DEPTH + 1))
    with pytest.raises(WireError) as caught:
        reader.next()
    assert caught.value.reason == "too_deep"


def test_text_keeps_stray_bytes_and_binaries_are_strings():
    assert codec.pack(codec.text(codec.unpack(b"\xa2\xffx"))) == b"\xa2\xffx"
    assert codec.text(b"\xffx") == codec.text(codec.unpack(b"\xa2\xffx"))


@pytest.mark.parametrize(
    ("coerce", "value", "expected"),
    [
        (codec.binary, "a\udcff", b"a\xff"),
        (codec.binary, b"", b""),
        (codec.binary, None, None),
        (codec.binary, (1, 255), b"\x01\xff"),
        (codec.boolean, 1, True),
        (codec.boolean, 0, False),
        (codec.boolean, None, False),
        (codec.uint64, 2**64 - 1, 2**64 - 1),
        (codec.uint64, None, 0),
        (codec.number, 3, 3.0),
        (codec.list_of(codec.text), None, ()),
        (codec.map_of(codec.text), {b"a": None}, {"a": ""}),
    ],
)
def test_what_go_accepts_for_a_field(coerce, value, expected):
    assert coerce(value) == expected


@pytest.mark.parametrize(
    ("coerce", "value"),
    [
        (codec.text, 5),
        (codec.binary, 5),
        (codec.binary, (256,)),
        (codec.boolean, 2),
        (codec.boolean, "true"),
        (codec.uint64, -1),
        (codec.uint64, 2**64),
        (codec.uint64, 1.0),
        (codec.uint64, True),
        (codec.uint8, 256),
        (codec.int32, 2**31),
        (codec.number, "1"),
        (codec.list_of(codec.text), "abc"),
        (codec.list_of(codec.text), (1,)),
        (codec.map_of(codec.text), ("a", "b")),
        (codec.map_of(codec.text), {1: "b"}),
    ],
)
def test_what_go_refuses_for_a_field(coerce, value):
    with pytest.raises(WireError):
        coerce(value)


def test_map_keys_are_sorted_by_their_bytes():
    assert list(codec.sorted_map({"é": 1, "z": 2, "B": 3, "a": 4})) == ["B", "a", "z", "é"]
