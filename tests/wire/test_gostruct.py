"""Messages as Go structs, and that the C extension never decides anything."""

from __future__ import annotations

import tracemalloc
from dataclasses import FrozenInstanceError, dataclass
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from serfcompat.errors import WireError
from serfcompat.wire import gostruct
from serfcompat.wire.cursor import Cursor
from serfcompat.wire.gomsgpack import TEXT, U8, list_of, map_of, omitempty
from serfcompat.wire.gostruct import Message, go_struct, nested, pointer
from serfcompat.wire.messages import Ack, Alive, Nack, Ping, PushPullNode, Suspect
from serfcompat.wire.serf_messages import (
    BufferedEvent,
    CoordinatePayload,
    EventSlot,
    MemberRecord,
    QueryMessage,
    RelayHeader,
    SerfPushPull,
)

from .values import MESSAGES, any_message, exact, message, odd_bodies


@go_struct(B=U8, A=omitempty(TEXT))
@dataclass(frozen=True, slots=True)
class Inner(Message):
    b: int
    a: bytes = b""


@go_struct(
    Zulu=U8, One=nested(Inner), Many=list_of(nested(Inner)), Maybe=list_of(pointer(nested(Inner))), Map=map_of(U8)
)
@dataclass(frozen=True, slots=True)
class Outer(Message):
    TYPE = 9
    zulu: int
    one: Inner
    many: list[Inner] | None
    maybe: list[Inner | None] | None
    map: dict[bytes, int] | None


def outer(form: str) -> Outer:
    return Outer.decode(bytes.fromhex(form))


ZERO = Outer(0, Inner(0), None, None, None)
LONG = 1 << 20


def test_keys_are_written_in_byte_order_and_read_in_any() -> None:
    value = Outer(1, Inner(2, b"x"), [Inner(3)], [None, Inner(4)], {b"k": 5})
    many, map_, maybe = "a44d616e799181a14203", "a34d617081a16b05", "a54d6179626592c081a14204"
    one, zulu = "a34f6e6582a141a178a14202", "a45a756c7501"
    assert value.encode().hex() == "0985" + many + map_ + maybe + one + zulu
    assert outer("85" + zulu + one + maybe + map_ + many) == value


def test_an_empty_field_is_left_out_only_if_it_may_be() -> None:
    assert Inner(0, b"").encode().hex() == "81a14200"
    assert Inner(0, b"x").encode().hex() == "82a141a178a14200"


def test_an_array_gives_the_fields_in_declaration_order() -> None:
    assert outer("95" + "01" + "9202a178" + "90" + "92c09107" + "81a16b05") == Outer(
        1, Inner(2, b"x"), [], [None, Inner(7)], {b"k": 5}
    )
    assert outer("92" + "01" + "9102") == Outer(1, Inner(2), None, None, None)
    assert outer("97" + "01" + "c0" * 4 + "a0" + "81a0a0") == Outer(1, Inner(0), None, None, None)
    assert outer("90") == ZERO


def test_nil_is_zero_everywhere() -> None:
    assert outer("c0") == ZERO
    assert outer("85a45a756c75c0a34f6e65c0a44d616e79c0a54d61796265c0a34d6170c0") == ZERO
    assert outer("81a44d616e7991c0") == Outer(0, Inner(0), [Inner(0)], None, None)


def test_go_decodes_over_an_earlier_field_of_the_same_name() -> None:
    assert outer("82" + "a34f6e6582a14205a141a178" + "a34f6e6581a14206").one == Inner(6, b"x")
    assert outer("82" + "a34d617082a16b05a16c06" + "a34d617081a16c07").map == {b"k": 5, b"l": 7}
    assert outer("82" + "a44d616e799282a14205a141a17881a14206" + "a44d616e799181a14207").many == [Inner(7, b"x")]
    assert outer("82" + "a54d617962659181a14205" + "a54d6179626592c081a14206").maybe == [None, Inner(6)]
    assert outer("83" + "a34d617081a16b05" + "a34d6170c0" + "a34d617081a16c06").map == {b"l": 6}


def test_a_repeated_scalar_counts_as_it_comes_last() -> None:
    assert Ack.decode(bytes.fromhex("82a75061796c6f6164a3616263a75061796c6f6164c0")) == Ack(0, None)
    assert Ack.decode(bytes.fromhex("82a75061796c6f6164a3616263a75061796c6f6164a0")) == Ack(0, b"")
    assert Ack.decode(bytes.fromhex("83a55365714e6f05a75061796c6f6164a161a55365714e6f06")) == Ack(6, b"a")


def test_what_one_message_decodes_over_is_not_another_ones() -> None:
    first = outer("81a34d617081a16b05")
    assert outer("81a34d617081a16c06").map == {b"l": 6}
    assert first.map == {b"k": 5}


@pytest.mark.parametrize("key", ["a0", "c0", "d900", "da0000", "c400", "90", "dc0000"])
def test_an_empty_key_is_an_error_in_a_struct(key: str) -> None:
    for body in (f"81{key}01", f"82a55365714e6f05{key}c0"):
        with pytest.raises(WireError) as error:
            Nack.decode(bytes.fromhex(body))
        assert error.value.reason == "empty_key"


@pytest.mark.parametrize("key", ["01", "ff", "c2", "ca00000000", "80", "81a16101", "d40101", "c1", "cc05", "91a0"])
def test_a_key_that_is_no_text_is_an_error(key: str) -> None:
    with pytest.raises(WireError, match="type"):
        Nack.decode(bytes.fromhex(f"81{key}01"))


@pytest.mark.parametrize("key", ["955365714e6f", "d9055365714e6f", "c4055365714e6f", "c5 0005 5365714e6f"])
def test_a_key_may_be_in_any_form_of_text(key: str) -> None:
    assert Nack.decode(bytes.fromhex(f"81{key}07")) == Nack(7)


@pytest.mark.parametrize("body", ["05", "ff", "a161", "c40161", "c2", "cb" + "00" * 8, "d40101", "c1", "d6ff00000000"])
def test_a_struct_is_a_map_or_an_array(body: str) -> None:
    with pytest.raises(WireError, match="type"):
        Ping.decode(bytes.fromhex(body))


def test_an_unknown_field_with_an_odd_timestamp_is_refused() -> None:
    assert Nack.decode(bytes.fromhex("81a158d6ff00000000")) == Nack(0)
    with pytest.raises(WireError, match="type"):
        Nack.decode(bytes.fromhex("81a158d4ff00"))


def test_an_unknown_field_nests_under_the_levels_around_it() -> None:
    for levels, depth in ((1022, "a158"), (1020, "a44d616e799181a158")):
        assert outer("81" + depth + "91" * levels + "c0")
        with pytest.raises(WireError, match="depth"):
            outer("81" + depth + "91" * (levels + 1) + "c0")


def test_a_message_can_not_be_changed() -> None:
    for suspect in (Suspect(1, b"a", b"b"), Suspect.decode(Suspect(1, b"a", b"b").encode()[1:])):
        with pytest.raises(FrozenInstanceError):
            suspect.node = b"c"  # type: ignore[misc]
        assert type(suspect) is Suspect
        assert hash(suspect) == hash(Suspect(1, b"a", b"b"))


# -- the C extension -------------------------------------------------------------------------------


def by_steps(cls: type[Message], body: bytes) -> Any:
    try:
        return exact(cls.FORM.read(Cursor(body), None))
    except WireError as error:
        return error.reason


def with_the_extension(cls: type[Message], body: bytes) -> Any:
    try:
        return exact(cls.decode(body))
    except WireError as error:
        return error.reason


@pytest.mark.property
@given(any_message)
def test_a_message_survives_the_wire(value: Any) -> None:
    encoded = value.encode()
    body = encoded if value.TYPE is None else encoded[1:]
    got = type(value).decode(body)
    if getattr(value, "source_addr", None) == b"":  # left out, so it comes back as nil
        assert got.source_addr is None
        body = got.encode()[1:]
        assert body == encoded[1:]
    else:
        assert exact(got) == exact(value)
    assert by_steps(type(value), body) == exact(got)
    decoded, end = type(value).decode_from(b"??" + body + b"\xc1", 2)
    assert (exact(decoded), end) == (exact(got), 2 + len(body))


@pytest.mark.property
@given(odd_bodies())
@example((Nack, bytes.fromhex("82a55365714e6f05a55365714e6f06")))
@example((Nack, bytes.fromhex("82a55365714e6f05a55365714e6fc3")))
@example((Nack, bytes.fromhex("81a55365714e6fc3")))
@example((Suspect, bytes.fromhex("82a44e6f646501a44e6f6465a16e")))
@example((Suspect, bytes.fromhex("81a44e6f6465d40101")))
@example((RelayHeader, bytes.fromhex("81a8446573744164647283a24950a161a24950c0a4506f727405")))
@example((RelayHeader, bytes.fromhex("81a8446573744164647282a45a6f6e6505a45a6f6e65a0")))
@example((SerfPushPull, bytes.fromhex("81a64576656e74739182a54c54696d65ffa54c54696d6506")))
@example((SerfPushPull, bytes.fromhex("81ac5374617475734c54696d657382a16bffa16b06")))
@example((SerfPushPull, bytes.fromhex("81ac5374617475734c54696d657381a16bff")))
@example((SerfPushPull, bytes.fromhex("81ac5374617475734c54696d657381a16bc3")))
@example((SerfPushPull, bytes.fromhex("81ac5374617475734c54696d657381c006")))
@example((SerfPushPull, bytes.fromhex("81ac5374617475734c54696d65738101ff")))
@example((SerfPushPull, bytes.fromhex("81ab4c6566744d656d6265727391c0")))
@example((QueryMessage, bytes.fromhex("81a746696c746572739105")))
@example((CoordinatePayload, bytes.fromhex("81a35665639105")))
@example((MemberRecord, bytes.fromhex("81a45461677382a16b05a16ba0")))
def test_the_extension_never_decides_otherwise_than_the_steps(case: tuple[type[Message], bytes]) -> None:
    assert with_the_extension(*case) == by_steps(*case)


@pytest.mark.property
@given(any_message, st.data())
def test_nor_on_damaged_messages(value: Any, data: st.DataObject) -> None:
    body = bytearray(value.encode()[0 if value.TYPE is None else 1 :])
    for _ in range(data.draw(st.integers(1, 3))):
        where = data.draw(st.integers(0, len(body) - 1))
        match data.draw(st.sampled_from(["change", "cut", "insert", "drop"])):
            case "change":
                body[where] = data.draw(st.integers(0, 255))
            case "cut" if where:
                del body[where:]
            case "insert":
                body[where:where] = data.draw(st.binary(max_size=4))
            case "drop" if len(body) > 1:
                del body[where]
    assert with_the_extension(type(value), bytes(body)) == by_steps(type(value), bytes(body))


@pytest.mark.property
@given(st.sampled_from(MESSAGES), st.binary(max_size=60))
def test_any_bytes_give_a_message_or_a_wire_error(cls: type[Message], body: bytes) -> None:
    assert with_the_extension(cls, body) == by_steps(cls, body)


def test_the_extension_does_the_work_when_all_is_as_usual(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or this codec would be several times slower, and nothing else would tell."""

    def never(*_: object) -> None:
        raise AssertionError("read by steps")

    monkeypatch.setattr(gostruct.Struct, "read", never)
    usual = [
        Ping(1, b"b", b"\x7f\0\0\1", 7946, b"a"),
        Ping(1, b"b"),
        Ack(1, None),
        Alive(1, b"a", b"\x7f\0\0\1", 7946, None, b"\1\5\2\0\0\0"),
        QueryMessage(1, 2, b"\x7f\0\0\1", 7946, b"a", [b"\0\x91\xa1a"], 0, 0, 10**9, b"q", None),
        CoordinatePayload([0.0] * 8, 1.5, 0.0, 1e-5),
    ]
    for value in usual:
        assert type(value).decode(value.encode()[1:]) == value
    slots = [None, EventSlot(1, [BufferedEvent(b"e", None)])]
    push_pull = SerfPushPull(1, {b"a": 1}, [b"b"], 2, slots, 3)
    assert SerfPushPull.decode(push_pull.encode()[1:]) == push_pull
    node = PushPullNode(b"a", b"\x7f\0\0\1", 7946, b"", 1, 0, b"\1\5\2\0\0\0")
    assert PushPullNode.decode_many(node.encode() * 3, 0, 3, LONG)[0] == [node] * 3


@pytest.mark.parametrize("cls", [QueryMessage, Alive, SerfPushPull, MemberRecord], ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("lead", ["dd00003fff", "df00003fff", "dc3fff", "de3fff", "9f", "8f"])
def test_what_is_nested_makes_the_extension_allocate_little(cls: type[Message], lead: str) -> None:
    for levels in (10, 1000):
        tracemalloc.start()
        try:
            with pytest.raises(WireError):
                cls.decode(b"\x81\xa6Events" + bytes.fromhex(lead) * levels)
            assert tracemalloc.get_traced_memory()[1] < 5_000_000
        finally:
            tracemalloc.stop()


def test_a_compressed_heap_of_items_does_not_take_seconds() -> None:
    million = b"\xdd\x00\x10\x00\x00" + b"\xc0" * (1 << 20)
    for cls, key in ((Ping, b"\xa1x"), (Alive, b"\xa4Addr"), (QueryMessage, b"\xa7Filters")):
        with pytest.raises(WireError, match="range"):
            cls.decode(b"\x81" + key + million)
    names = {b"%d" % number: number for number in range(100_000)}
    state = SerfPushPull(1, names, [*names], 2, None, 3)  # but a cluster may be that large
    assert SerfPushPull.decode(state.encode()[1:]) == state


# -- many at once ----------------------------------------------------------------------------------


@pytest.mark.property
@given(st.lists(message(PushPullNode) | message(SerfPushPull).map(lambda _: None), max_size=8), st.data())
def test_many_are_read_as_one_by_one(values: list[PushPullNode | None], data: st.DataObject) -> None:
    # None stands for a node that only the steps can read.
    odd = bytes.fromhex("82a45061727401a44e616d65da000161")
    nodes = [PushPullNode(b"a", None, 0, None, 0, 0, None) if value is None else value for value in values]
    buffer = b"?" + b"".join(odd if value is None else value.encode() for value in values)
    count = data.draw(st.integers(0, len(values)))
    for source in (buffer, bytearray(buffer)):
        got, end = PushPullNode.decode_many(source, 1, count, LONG)
        assert got == nodes[:count]
        assert PushPullNode.decode_many(source, end, 100, LONG) == (nodes[count:], len(buffer))
        cut = data.draw(st.integers(1, len(buffer)))
        got, end = PushPullNode.decode_many(source[:cut], 1, 100, LONG)
        assert PushPullNode.decode_many(source, end, 100, LONG) == (nodes[len(got) :], len(buffer))
    bytearray_after = bytearray(buffer)
    PushPullNode.decode_many(bytearray_after, 1, 100, LONG)
    bytearray_after.clear()  # fails while somebody still looks at it


def test_a_broken_one_among_many_is_an_error() -> None:
    node = PushPullNode(b"a", None, 0, None, 0, 0, None).encode()
    with pytest.raises(WireError, match="type"):
        PushPullNode.decode_many(node + b"\xc3" + node, 0, 3, LONG)
    assert len(PushPullNode.decode_many(node + b"\xc3" + node, 0, 1, LONG)[0]) == 1
    for broken in (b"\x81\xa4Port\xff", b"\x82\xa4Port\xff\xa4Port\x05"):
        with pytest.raises(WireError, match="range"):
            PushPullNode.decode_many(node + broken, 0, 3, LONG)


def test_one_that_is_too_long_among_many_is_an_error() -> None:
    node = PushPullNode(b"a", None, 0, None, 0, 0, None).encode()
    odd = bytes.fromhex("82a45061727401a44e616d65da000161")  # that only the steps can read
    for long in (node, odd):
        assert len(PushPullNode.decode_many(long, 0, 1, len(long))[0]) == 1
        with pytest.raises(WireError) as error:
            PushPullNode.decode_many(long, 0, 1, len(long) - 1)
        assert error.value.reason == "too_long"
