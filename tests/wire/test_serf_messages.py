"""Serf's messages, against the golden vectors and statements of spec serf §2."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields, replace
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serfcompat.errors import WireError
from serfcompat.wire.gostruct import Message
from serfcompat.wire.serf_messages import (
    BufferedEvent,
    ConflictResponse,
    CoordinatePayload,
    EventSlot,
    JoinIntent,
    KeyRequest,
    KeyResponse,
    LeaveIntent,
    MemberRecord,
    NodeFilter,
    QueryMessage,
    QueryResponse,
    Relay,
    RelayAddress,
    SerfPushPull,
    TagFilter,
    UserEventMessage,
    decode_tags,
    encode_tags,
)

from .golden import GOLDEN
from .values import BYTES, MESSAGES, any_message, exact

LOCAL, PRIVATE = b"\x7f\0\0\1", b"\x0a\0\0\1"
MAPPED = bytes(10) + b"\xff\xff"
SECOND = 1_000_000_000

NODES = NodeFilter([b"node-a", b"node-b"])
ROLE = TagFilter(b"role", b"^web")
ACK = QueryResponse(7, 0x12345678, b"node-b", 1, None)
PLAIN_QUERY = QueryMessage(1, 1, PRIVATE, 7946, b"n", None, 0, 0, 3_200_000_000, b"q", None)
NO_KEYS = KeyResponse(True, b"", None, b"")
MEMBER = MemberRecord(b"node-a", LOCAL, 7946, {b"role": b"web"}, 1, 1, 5, 2, 2, 5, 4)
SLOTS = [EventSlot(1, [BufferedEvent(b"deploy", b"v1")]), EventSlot(2, [BufferedEvent(b"deploy", None)])]
LIVE = SerfPushPull(2, {b"alpha": 0, b"beta": 1}, [], 3, [None, *SLOTS, *[None] * 509], 2)
DUP = MemberRecord(b"dup", PRIVATE[:3] + b"\x09", 7946, {}, 1, 1, 5, 2, 2, 5, 5)
KEY = b"MDEyMzQ1Njc4OWFiY2RlZg=="


EXAMPLES: dict[str, Any] = {
    "A-1": LeaveIntent(5, b"node-a"),
    "A-2": LeaveIntent(300, b"node-b", prune=True),
    "A-3": JoinIntent(1, b"node-a"),
    "A-4": JoinIntent(200, b"n"),
    "A-5": JoinIntent(70000, b"node-a"),
    "A-6": JoinIntent(5000000000, b"n"),
    "A-7": JoinIntent(7, b"abcdefghijklmnopqrstuvwxyzabcdefghijklmn"),
    "A-8": SerfPushPull(
        10,
        {b"node-a": 3},
        [b"node-b"],
        4,
        [None, EventSlot(1, [BufferedEvent(b"deploy", b"v1"), BufferedEvent(b"x", None)]), None],
        2,
    ),
    "A-9": SerfPushPull(1, {}, [], 1, [None, None], 1),
    "A-10": UserEventMessage(42, b"deploy", b"v1.2.3", True),
    "A-11": UserEventMessage(1, b"ping", None, False),
    "A-12": UserEventMessage(1, b"ping", b"", False),
    "A-13": UserEventMessage(65536, b"n", bytes(40), True),
    "A-14": NODES,
    "A-15": ROLE,
    "A-16": TagFilter(b"dc", b"us-.*"),
    "A-17": QueryMessage(
        *(7, 0x12345678, LOCAL, 7946, b"node-a", [NODES.encode(), ROLE.encode()]),
        *(1, 2, 15 * SECOND, b"uptime", b"hello"),
    ),
    "A-18": PLAIN_QUERY,
    "A-19": QueryMessage(1, 2**31 - 1, MAPPED + PRIVATE, 65535, b"n", [], 3, 255, SECOND, b"q", b""),
    "A-20": replace(PLAIN_QUERY, ltime=3, id=77, source_node=b"dup", name=b"_serf_conflict", payload=b"dup"),
    "A-21": replace(
        PLAIN_QUERY,
        ltime=4,
        id=78,
        source_node=b"n1",
        name=b"_serf_install-key",
        payload=KeyRequest(b"0123456789abcdef").encode(),
    ),
    "A-22": replace(
        PLAIN_QUERY, ltime=5, id=79, source_node=b"n1", name=b"_serf_list-keys", payload=KeyRequest(b"").encode()
    ),
    "A-23": QueryResponse(7, 0x12345678, b"node-b", 0, b"up 3 days"),
    "A-24": ACK,
    "A-25": Relay(RelayAddress(LOCAL, 7946), b"node-a", ACK.encode()),
    "A-26": Relay(RelayAddress(LOCAL, 40000), b"node-a", ACK.encode()),
    "A-27": Relay(RelayAddress(b"\xfe\x80" + bytes(13) + b"\1", 100, b"eth0"), b"", ACK.encode()),
    "A-28": Relay(RelayAddress(PRIVATE, 7946), b"n1", QueryResponse(7, 1, b"n2", 0, b"ok").encode()),
    "A-29": KeyRequest(b"0123456789abcdef"),
    "A-30": NO_KEYS,
    "A-31": KeyResponse(False, b"No keyring to modify (encryption not enabled)", None, b""),
    "A-32": KeyResponse(True, b"", [KEY], KEY),
    "A-33": LIVE,
    "A-34": replace(LIVE, ltime=4, status_ltimes={b"alpha": 0, b"beta": 3}, left_members=[b"beta"], query_ltime=3),
    "A-35": QueryResponse(4, 78, b"n2", 0, NO_KEYS.encode()),
    "A-36": ConflictResponse(MEMBER),
    "A-37": ConflictResponse(replace(MEMBER, addr=MAPPED + LOCAL, tags={}, status=4)),
    "A-38": ConflictResponse(None),
    "A-43": replace(PLAIN_QUERY, ltime=6, id=80, source_node=b"n1", flags=3, timeout_ns=SECOND, name=b"_serf_ping"),
    "A-44": CoordinatePayload([0.0] * 8, 1.5, 0.0, 1e-5),
    "A-45": CoordinatePayload([0.001, *[0.0] * 6, -0.25], 0.5, 0.0005, 0.002),
    "A-46": QueryResponse(3, 77, b"n2", 0, ConflictResponse(DUP).encode()),
}

OLD: dict[str, Any] = {
    "A-17A": EXAMPLES["A-17"],
    "A-18A": PLAIN_QUERY,
    "A-50": JoinIntent(1, b"old"),
    "A-51": UserEventMessage(1, b"deploy", b"v1", True),
    "A-52": QueryMessage(1, 0x519C1026, LOCAL, 22042, b"old", None, 1, 0, SECOND, b"uptime", b"hi"),
    "A-53": LeaveIntent(2, b"ghost"),
    "A-54": LeaveIntent(3, b"old"),
    "A-55": QueryMessage(
        *(1, 0x606C407B, LOCAL, 22042, b"old"),
        [NodeFilter([b"headnode"]).encode(), TagFilter(b"role", b".").encode()],
        *(1, 1, SECOND, b"uptime", b"hi"),
    ),
}

TAGS = {
    "A-39": {},
    "A-40": {b"role": b"web"},
    "A-41": {b"k": b"0123456789" * 4},
}


@pytest.mark.statement("S-019", "S-020", "S-023")
@pytest.mark.parametrize("name", EXAMPLES)
def test_golden_bytes_are_written_and_read(name: str) -> None:
    message = EXAMPLES[name]
    assert message.encode() == GOLDEN[name]
    assert exact(type(message).decode(GOLDEN[name][1:])) == exact(message)


@pytest.mark.statement("S-025")
@pytest.mark.parametrize("name", OLD)
def test_what_old_nodes_write_is_read(name: str) -> None:
    assert type(OLD[name]).decode(GOLDEN[name][1:]) == OLD[name]


@pytest.mark.statement("S-019")
@pytest.mark.parametrize("name", TAGS)
def test_golden_tags_are_written_and_read(name: str) -> None:
    assert encode_tags(TAGS[name]) == GOLDEN[name]
    assert decode_tags(GOLDEN[name]) == (TAGS[name], None)


def test_every_golden_vector_is_used() -> None:
    used = {*EXAMPLES, *OLD, *TAGS, "A-42"}
    assert used == {name for name in GOLDEN if name.startswith("A-")}


@pytest.mark.statement("S-020")
@pytest.mark.property
@given(any_message.filter(lambda message: b"SourceAddr" not in message.FORM.keys))
def test_every_field_is_written_and_keys_ascend(message: Message) -> None:
    body = message.encode()[0 if message.TYPE is None else 1 :]
    keys = [key for key, _ in msgpack.unpackb(body, raw=True, object_pairs_hook=list)]
    assert keys == sorted(message.FORM.keys)
    assert len(keys) == len(fields(message))  # type: ignore[arg-type]


@pytest.mark.statement("S-022")
def test_31_bytes_are_the_longest_short_string() -> None:
    assert JoinIntent(0, b"n" * 31).encode().endswith(b"\xa4Node\xbf" + b"n" * 31)
    assert JoinIntent(0, b"n" * 32).encode().endswith(b"\xa4Node\xda\x00\x20" + b"n" * 32)


@pytest.mark.statement("S-023")
@pytest.mark.parametrize(("payload", "form"), [(None, b"\xc0"), (b"", b"\xa0")])
def test_nil_and_empty_payloads_stay_apart(payload: bytes | None, form: bytes) -> None:
    event = UserEventMessage(1, b"e", payload, False)
    assert event.encode().endswith(b"\xa7Payload" + form)
    assert UserEventMessage.decode(event.encode()[1:]) == event


TIMEOUTS = [
    (3_200_000_000, "d300000000bebc2000", "cebebc2000"),
    (SECOND, "d23b9aca00", "ce3b9aca00"),
    (200, "d100c8", "ccc8"),
    (30_000, "d17530", "cd7530"),
    (15 * SECOND, "d3000000037e11d600", "cf000000037e11d600"),
    (100, "64", "64"),
    (-1, "ff", "ff"),
]


@pytest.mark.statement("S-024", "S-025")
@pytest.mark.parametrize(("timeout", "new", "old"), TIMEOUTS)
def test_timeouts_are_signed_and_read_unsigned_too(timeout: int, new: str, old: str) -> None:
    query = replace(PLAIN_QUERY, timeout_ns=timeout)
    encoded = query.encode()
    assert encoded.endswith(b"\xa7Timeout" + bytes.fromhex(new))
    from_old = encoded[1 : -len(new) // 2] + bytes.fromhex(old)
    assert QueryMessage.decode(from_old) == query


@pytest.mark.statement("S-026")
@pytest.mark.parametrize(("port", "new", "old"), [(7946, "d11f0a", "cd1f0a"), (40000, "d200009c40", "cd9c40")])
def test_the_port_of_a_relay_is_signed_and_read_unsigned_too(port: int, new: str, old: str) -> None:
    relay = Relay(RelayAddress(LOCAL, port), b"n", b"\x05\xc0")
    encoded = relay.encode()
    assert b"\xa4Port" + bytes.fromhex(new) + b"\xa4Zone" in encoded
    assert Relay.decode(encoded[1:]) == relay
    assert Relay.decode(encoded[1:].replace(bytes.fromhex(new), bytes.fromhex(old))) == relay


@pytest.mark.statement("S-027", "S-035")
@pytest.mark.parametrize("key", [b"Ltime", b"LTIME", b"ltime", b"New"])
@pytest.mark.parametrize("value", ["05", "a161", "93c0c39181a16101", "cb0000000000000000", "c40161", "d6ff00000000"])
def test_unknown_and_wrongly_cased_keys_are_skipped(key: bytes, value: str) -> None:
    unknown = bytes((0xA0 + len(key),)) + key + bytes.fromhex(value)
    assert JoinIntent.decode(b"\x82" + unknown + b"\xa4Node\xa1n") == JoinIntent(0, b"n")
    assert JoinIntent.decode(b"\x82\xa4Node\xa1n" + unknown) == JoinIntent(0, b"n")


ZEROS: list[Any] = [
    LeaveIntent(0, b"", False),
    JoinIntent(0, b""),
    SerfPushPull(0, None, None, 0, None, 0),
    UserEventMessage(0, b"", None, False),
    QueryMessage(0, 0, None, 0, b"", None, 0, 0, 0, b"", None),
    QueryResponse(0, 0, b"", 0, None),
    MemberRecord(b"", None, 0, None, 0, 0, 0, 0, 0, 0, 0),
    KeyRequest(None),
    KeyResponse(False, b"", None, b""),
    NodeFilter(None),
    TagFilter(b"", b""),
    CoordinatePayload(None, 0.0, 0.0, 0.0),
    Relay(RelayAddress(None, 0), b"", b""),
]


@pytest.mark.statement("S-027", "S-028")
@pytest.mark.parametrize("zero", ZEROS, ids=lambda zero: type(zero).__name__)
def test_nothing_and_nil_are_zero(zero: Any) -> None:
    assert exact(type(zero).decode(b"\xc0")) == exact(zero)
    if not isinstance(zero, NodeFilter):
        assert exact(type(zero).decode(b"\x80")) == exact(zero)


ARRAYS: list[tuple[Any, list[Any]]] = [
    (LeaveIntent(1, b"n", True), [1, b"n", True]),
    (JoinIntent(1, b"n"), [1, b"n"]),
    (
        SerfPushPull(1, {b"a": 2}, [b"l"], 3, [None, EventSlot(4, [BufferedEvent(b"e", b"p")])], 5),
        [1, {b"a": 2}, [b"l"], 3, [None, [4, [[b"e", b"p"]]]], 5],
    ),
    (UserEventMessage(1, b"n", b"p", True), [1, b"n", b"p", True]),
    (
        QueryMessage(1, 2, b"a", 3, b"s", [b"f"], 4, 5, -6, b"n", b"p"),
        [1, 2, b"a", 3, b"s", [b"f"], 4, 5, -6, b"n", b"p"],
    ),
    (QueryResponse(1, 2, b"f", 3, b"p"), [1, 2, b"f", 3, b"p"]),
    (
        MemberRecord(b"n", b"a", 1, {b"t": b"v"}, 2, 3, 4, 5, 6, 7, 8),
        [b"n", b"a", 1, {b"t": b"v"}, 2, 3, 4, 5, 6, 7, 8],
    ),
    (KeyResponse(True, b"m", [b"k"], b"p"), [True, b"m", [b"k"], b"p"]),
    (TagFilter(b"t", b"e"), [b"t", b"e"]),
    (CoordinatePayload([1.0], 2.0, 3.0, 4.0), [[1.0], 2.0, 3.0, 4.0]),
    (Relay(RelayAddress(b"i", 1, b"z"), b"n", b""), [[b"i", 1, b"z"], b"n"]),
]


@pytest.mark.statement("S-029")
@pytest.mark.parametrize(("message", "array"), ARRAYS, ids=lambda value: type(value).__name__)
def test_an_array_gives_the_fields_in_declaration_order(message: Any, array: list[Any]) -> None:
    for values in (array, [*array, {"more": [None]}]):
        assert exact(type(message).decode(msgpack.packb(values, use_bin_type=False))) == exact(message)


@pytest.mark.statement("S-030")
@pytest.mark.parametrize("header", ["a2", "d902", "da0002", "db00000002", "c402", "c50002", "c600000002", "92"])
def test_text_and_bytes_are_read_in_every_form(header: str) -> None:
    value = bytes.fromhex(header) + b"ab"
    body = b"\x83\xa4Name" + value + b"\xa7Payload" + value + b"\xa5LTime\x07"
    assert UserEventMessage.decode(body) == UserEventMessage(7, b"ab", b"ab", False)
    assert decode_tags(b"\xff\x81" + value + value).tags == {b"ab": b"ab"}


@pytest.mark.statement("S-031", "S-032")
@pytest.mark.parametrize(
    ("cls", "key", "form", "why"),
    [
        *((JoinIntent, b"LTime", form, "range") for form in ("ff", "d0ff", "d1ff00", "d3" + "ff" * 8)),
        *((JoinIntent, b"LTime", form, "type") for form in ("ca3f800000", "cb3ff0000000000000", "c2", "a131", "9101")),
        *((QueryMessage, b"Port", form, "range") for form in ("ce00010000", "ff")),
        *((QueryMessage, b"RelayFactor", form, "range") for form in ("cd0100", "d10100", "ff")),
        *((QueryMessage, b"ID", form, "range") for form in ("cf0000000100000000", "ff")),
        (QueryMessage, b"Flags", "cf0000000100000000", "range"),
        *((SerfPushPull, b"StatusLTimes", form, "range") for form in ("81a16eff", "81a16ed1ffff")),
        (SerfPushPull, b"StatusLTimes", "81a16ecb3ff0000000000000", "type"),
    ],
)
def test_numbers_that_go_can_not_hold_are_errors(cls: type[Message], key: bytes, form: str, why: str) -> None:
    with pytest.raises(WireError) as error:
        cls.decode(b"\x81" + bytes((0xA0 + len(key),)) + key + bytes.fromhex(form))
    assert error.value.reason == why


@pytest.mark.statement("S-033")
def test_a_bool_is_also_0_or_1() -> None:
    def prune(form: str) -> bool:
        return LeaveIntent.decode(b"\x81\xa5Prune" + bytes.fromhex(form)).prune

    assert [prune(form) for form in ("00", "01", "c2", "c3", "c0")] == [False, True, False, True, False]
    for form in ("02", "cc01", "ff", "a0", "d101"):
        with pytest.raises(WireError):
            prune(form)


@pytest.mark.statement("S-034")
@pytest.mark.parametrize("name", [name for name in EXAMPLES if type(EXAMPLES[name]) is not Relay])
def test_what_follows_the_body_is_ignored(name: str) -> None:
    message = EXAMPLES[name]
    for rest in (b"\0", b"\xc1", GOLDEN[name]):
        assert exact(type(message).decode(GOLDEN[name][1:] + rest)) == exact(message)


@pytest.mark.parametrize("name", [*EXAMPLES, "A-52", "A-55"])
def test_a_message_cut_short_is_truncated(name: str) -> None:
    cls, body = type({**EXAMPLES, **OLD}[name]), GOLDEN[name][1:]
    whole = len(body) - (len(EXAMPLES[name].inner) if cls is Relay else 0)
    for size in [*range(min(whole, 300)), whole - 1]:
        with pytest.raises(WireError, match="truncated"):
            cls.decode(body[:size])


def test_a_relay_ends_where_its_inner_message_begins() -> None:
    header = Relay(RelayAddress(LOCAL, 1), b"n", b"").encode()[1:]
    for inner in (b"", b"\x05", b"\xc1\xc1", ACK.encode()):
        assert Relay.decode(header + inner).inner == inner
    assert Relay.decode(b"\xc0\x05\xc0") == Relay(RelayAddress(None, 0), b"", b"\x05\xc0")


def test_names_need_not_be_utf8() -> None:
    name = b"\xff\xfe\x80"
    state = SerfPushPull(1, {name: 1}, [name], 1, [EventSlot(1, [BufferedEvent(name, name)])], 1)
    assert SerfPushPull.decode(state.encode()[1:]) == state
    assert decode_tags(encode_tags({name: name})).tags == {name: name}


# -- tags ------------------------------------------------------------------------------------------


def test_protocol_2_has_only_the_role() -> None:
    assert encode_tags({b"role": b"web", b"x": b"y"}, protocol=2) == GOLDEN["A-42"]
    assert encode_tags({b"x": b"y"}, protocol=2) == encode_tags(None, protocol=2) == b""
    assert encode_tags({b"role": b"web"}, protocol=3) == GOLDEN["A-40"]


def test_nil_tags_are_not_empty_tags() -> None:
    assert encode_tags(None) == b"\xff\xc0"
    assert decode_tags(b"\xff\xc0") == (None, None)
    assert decode_tags(b"\xff\x80") == ({}, None)


@pytest.mark.parametrize("meta", [b"", b"web", b"\xfe\x80", b"\x00"])
def test_metadata_without_the_magic_byte_is_a_role(meta: bytes) -> None:
    assert decode_tags(meta) == ({b"role": meta}, None)


@pytest.mark.parametrize(
    ("rest", "kept", "why"),
    [
        ("", {}, "truncated"),
        ("05", {}, "type"),
        ("a3616263", {}, "type"),
        ("82a161a162", {b"a": b"b"}, "truncated"),
        ("82a161a162a163", {b"a": b"b"}, "truncated"),
        ("83a161a162a163c0a16405", {b"a": b"b", b"c": b""}, "type"),
        ("83a161a162a161a163c3a0", {b"a": b"c"}, "type"),
        ("82a161a16291ffa0", {b"a": b"b"}, "range"),
        ("90", {}, "truncated"),
    ],
)
def test_tags_before_a_fault_are_kept(rest: str, kept: dict[bytes, bytes], why: str) -> None:
    tags, error = decode_tags(b"\xff" + bytes.fromhex(rest))
    assert tags == kept
    assert error is not None
    assert error.reason == why


def test_tags_in_odd_forms() -> None:
    assert decode_tags(bytes.fromhex("ff84 c0a161 90a162 d901 63c40164 a165c0")).tags == {
        b"": b"b",
        b"c": b"d",
        b"e": b"",
    }


@pytest.mark.property
@given(st.dictionaries(BYTES, BYTES, max_size=20))
def test_tags_survive_the_wire(tags: dict[bytes, bytes]) -> None:
    assert decode_tags(encode_tags(tags)) == (tags, None)


# -- anything --------------------------------------------------------------------------------------

DECODERS: list[Callable[[bytes], Any]] = [
    *(cls.decode for cls in MESSAGES),
    *(ConflictResponse.decode, Relay.decode, NodeFilter.decode, decode_tags),
]


@pytest.mark.property
@given(st.sampled_from(DECODERS), st.sampled_from(sorted(GOLDEN)), st.binary(max_size=30), st.data())
def test_no_bytes_give_anything_but_a_wire_error(
    decode: Callable[[bytes], Any], name: str, junk: bytes, data: st.DataObject
) -> None:
    golden = GOLDEN[name]
    where = data.draw(st.integers(0, len(golden)))
    for body in (junk, golden[1:where] + junk + golden[where:], golden[1:where] + junk + golden[where + 1 :]):
        with suppress(WireError):
            decode(body)
