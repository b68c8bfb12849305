"""memberlist's messages, against the golden vectors and statements of spec memberlist §3."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgpack
import pytest
from hypothesis import given

from serfcompat.errors import WireError
from serfcompat.wire.gostruct import Message
from serfcompat.wire.messages import (
    Ack,
    Alive,
    Compress,
    Dead,
    ErrorReply,
    IndirectPing,
    Nack,
    Ping,
    PushPullHeader,
    PushPullNode,
    Suspect,
    UserMsgHeader,
)

from .golden import GOLDEN
from .values import any_message

LOCAL, VSN = b"\x7f\0\0\1", bytes((1, 5, 2, 0, 0, 0))
ALIVE = Alive(1, b"node-a", LOCAL, 7946, None, VSN)
MAPPED = bytes(10) + b"\xff\xff\x0a\0\0\1"

EXAMPLES: dict[str, Message] = {
    "GV-01": Ping(42, b"node-b", LOCAL, 7946, b"node-a"),
    "GV-02": Ping(42, b"node-b"),
    "GV-03": IndirectPing(100, b"\x0a\0\0\2", 7946, b"node-c", True, b"\x0a\0\0\1", 7946, b"node-a"),
    "GV-04": IndirectPing(100, b"\x0a\0\0\2", 7946, b"node-c", False),
    "GV-05": Ack(42, None),
    "GV-06": Ack(42, b"rtt"),
    "GV-07": Nack(100),
    "GV-08": Suspect(7, b"node-b", b"node-a"),
    "GV-09": ALIVE,
    "GV-10": replace(ALIVE, incarnation=70000, meta=b"role=web"),
    "GV-10b": replace(ALIVE, meta=b""),
    "GV-11": replace(ALIVE, meta=b"m" * 40),
    "GV-12": Dead(7, b"node-b", b"node-a"),
    "GV-13": Dead(7, b"node-b", b"node-b"),
    "GV-13b": Ping(300, b"n", MAPPED, 80, b"n2"),
    "GV-36": ErrorReply(b"boom"),
    "GV-40": PushPullHeader(200, 40000, False),
    "GV-42": UserMsgHeader(1000),
    "GV-43": PushPullNode(b"node-b", b"\x0a\0\0\2", 8000, b"x", 200, 2, VSN),
}


def body_of(message: Message) -> bytes:
    return message.encode()[0 if message.TYPE is None else 1 :]


@pytest.mark.statement("M-078", "M-080", "M-083", "M-084")
@pytest.mark.parametrize("name", EXAMPLES)
def test_golden_bytes_are_written_and_read(name: str) -> None:
    message = EXAMPLES[name]
    assert message.encode() == GOLDEN[name]
    assert type(message).decode(body_of(message)) == message


@pytest.mark.statement("M-078")
@pytest.mark.property
@given(any_message)
def test_keys_ascend(message: Message) -> None:
    keys = [key for key, _ in msgpack.unpackb(body_of(message), raw=True, object_pairs_hook=list)]
    assert keys == sorted(keys)


@pytest.mark.statement("M-079", "M-095", "S-021")
@pytest.mark.property
@given(any_message)
def test_neither_str8_nor_bin_nor_extensions_are_ever_written(message: Message) -> None:
    assert not forms_of(body_of(message)) & {0xC4, 0xC5, 0xC6, 0xD9, *range(0xC7, 0xCA), *range(0xD4, 0xD9)}


def forms_of(value: bytes) -> set[int]:
    """First bytes of all values in a message as it is written."""
    forms, at = set(), 0
    while at < len(value):
        lead = value[at]
        forms.add(lead)
        at += 1
        if 0xA0 <= lead <= 0xBF:
            at += lead & 31
        elif lead in (0xDA, 0xDB):
            width = 2 if lead == 0xDA else 4
            at += width + int.from_bytes(value[at : at + width], "big")
        elif lead in (0xDC, 0xDE):
            at += 2
        elif 0xCA <= lead <= 0xD3:
            at += (4, 8, 1, 2, 4, 8, 1, 2, 4, 8)[lead - 0xCA]
        else:
            assert lead <= 0x9F or lead >= 0xE0 or lead in (0xC0, 0xC2, 0xC3), f"an unexpected 0x{lead:02x}"
    return forms


@pytest.mark.statement("M-079")
@pytest.mark.parametrize(("size", "header"), [(31, "bf"), (32, "da0020"), (255, "da00ff"), (65535, "daffff")])
def test_strings_of_32_bytes_and_more_have_two_length_bytes(size: int, header: str) -> None:
    text = b"x" * size
    assert ErrorReply(text).encode() == b"\x0d\x81\xa5Error" + bytes.fromhex(header) + text
    assert Ack(0, text).encode() == b"\x02\x82\xa7Payload" + bytes.fromhex(header) + text + b"\xa5SeqNo\0"


@pytest.mark.statement("M-080", "M-093")
@pytest.mark.parametrize(("meta", "form"), [(None, b"\xc0"), (b"", b"\xa0")])
def test_a_nil_and_an_empty_byte_string_stay_apart(meta: bytes | None, form: bytes) -> None:
    alive = replace(ALIVE, meta=meta)
    assert b"\xa4Meta" + form + b"\xa4Node" in alive.encode()
    assert Alive.decode(body_of(alive)).encode() == alive.encode()


@pytest.mark.statement("M-081")
def test_versions_are_six_raw_bytes() -> None:
    alive = replace(ALIVE, vsn=bytes((1, 5, 2, 3, 6, 4)))
    assert alive.encode().endswith(b"\xa3Vsn\xa6\x01\x05\x02\x03\x06\x04")


@pytest.mark.statement("M-082")
@pytest.mark.parametrize("nothing", [None, b""])
def test_only_the_source_of_a_ping_is_left_out_when_empty(nothing: bytes | None) -> None:
    assert Ping(0, b"", nothing, 0, b"").encode().hex() == "0082a44e6f6465a0a55365714e6f00"
    with_one = {b"Addr": Ping(0, b"", b"\1"), b"Port": Ping(0, b"", None, 1), b"Node": Ping(0, b"", None, 0, b"n")}
    for key, ping in with_one.items():
        assert ping.encode()[1] == 0x83
        assert b"Source" + key in ping.encode()
    assert IndirectPing(0, nothing, 0, b"", False, nothing).encode()[1] == 0x85
    assert Alive(0, b"", None, 0, None, None).encode()[1] == 0x86


@pytest.mark.statement("M-083")
@pytest.mark.parametrize(
    ("number", "form"),
    [(127, "7f"), (128, "cc80"), (255, "ccff"), (256, "cd0100"), (65536, "ce00010000"), (2**32 - 1, "ceffffffff")],
)
def test_unsigned_numbers_have_the_shortest_unsigned_form(number: int, form: str) -> None:
    assert Nack(number).encode().hex() == "0b81a55365714e6f" + form


@pytest.mark.statement("M-084")
@pytest.mark.parametrize(
    ("number", "form"),
    [(127, "7f"), (128, "d10080"), (32767, "d17fff"), (32768, "d200008000"), (2**31, "d30000000080000000")],
)
def test_lengths_over_127_have_a_signed_form(number: int, form: str) -> None:
    assert UserMsgHeader(number).encode().hex() == "0881aa557365724d73674c656e" + form
    header = PushPullHeader(number, number, True).encode().hex()
    assert header == f"0683a44a6f696ec3a54e6f646573{form}ac5573657253746174654c656e{form}"


@pytest.mark.statement("M-085")
def test_lengths_are_read_in_the_unsigned_forms_of_old_nodes() -> None:
    assert PushPullHeader.decode(GOLDEN["GV-41"][1:]) == EXAMPLES["GV-40"]
    assert UserMsgHeader.decode(GOLDEN["GV-42A"][1:]) == EXAMPLES["GV-42"]
    key = b"\x81\xaaUserMsgLen"
    for form, number in (("ccc8", 200), ("cd9c40", 40000), ("ce00010000", 65536), ("cf" + "ff" * 8, -1)):
        assert UserMsgHeader.decode(key + bytes.fromhex(form)) == UserMsgHeader(number)


UNKNOWN = [
    "c3",
    "ca00000000",
    "a161",
    "c40161",
    "d60161616161",
    "920102",
    "81a161929301c0c2a0",
    "dc0001de000101c70100ff",
]


@pytest.mark.statement("M-086")
@pytest.mark.parametrize("value", UNKNOWN)
def test_unknown_keys_are_skipped_and_missing_ones_are_zero(value: str) -> None:
    unknown = b"\xa3New" + bytes.fromhex(value)
    assert Suspect.decode(b"\x82" + unknown + b"\xa4Node\xa1n") == Suspect(0, b"n", b"")
    assert Suspect.decode(b"\x82\xa4Node\xa1n" + unknown) == Suspect(0, b"n", b"")
    assert Alive.decode(b"\x80") == Alive(0, b"", None, 0, None, None)
    assert Suspect.decode(b"\x81\xa4node\xa1n") == Suspect(0, b"", b"")  # its case is wrong


ARRAYS: list[tuple[Message, list[Any]]] = [
    (Ping(1, b"n", b"a", 2, b"s"), [1, b"n", b"a", 2, b"s"]),
    (IndirectPing(1, b"t", 2, b"n", True, b"a", 3, b"s"), [1, b"t", 2, b"n", True, b"a", 3, b"s"]),
    (Ack(1, b"p"), [1, b"p"]),
    (Suspect(1, b"n", b"f"), [1, b"n", b"f"]),
    (Dead(1, b"n", b"f"), [1, b"n", b"f"]),
    (Alive(1, b"n", b"a", 2, b"m", b"v"), [1, b"n", b"a", 2, b"m", b"v"]),
    (PushPullHeader(1, 2, True), [1, 2, True]),
    (PushPullNode(b"n", b"a", 1, b"m", 2, 3, b"v"), [b"n", b"a", 1, b"m", 2, 3, b"v"]),
    (Compress(1, b"b"), [1, b"b"]),
]


@pytest.mark.statement("M-087")
@pytest.mark.parametrize(("message", "array"), ARRAYS, ids=lambda value: type(value).__name__)
def test_an_array_gives_the_fields_in_declaration_order(message: Message, array: list[Any]) -> None:
    for values in (array, [*array, {"more": [None]}]):
        assert type(message).decode(msgpack.packb(values, use_bin_type=False)) == message
    assert type(message).decode(b"\x90") == type(message).decode(b"\x80")
    assert type(message).decode(b"\x91\xc0") == type(message).decode(b"\x80")


@pytest.mark.statement("M-088")
def test_nil_gives_the_zero_message() -> None:
    assert Alive.decode(b"\xc0") == Alive(0, b"", None, 0, None, None)
    assert IndirectPing.decode(b"\xc0") == IndirectPing(0, None, 0, b"", False)
    assert PushPullHeader.decode(b"\xc0") == PushPullHeader(0, 0, False)


@pytest.mark.statement("M-089")
@pytest.mark.parametrize(
    "form",
    [
        *("a26162", "d9026162", "da00026162", "db000000026162", "c4026162", "c500026162", "c6000000026162"),
        *("926162", "dc00026162", "dd000000026162", "92cc61cd0062"),
    ],
)
def test_byte_strings_are_read_in_every_form(form: str) -> None:
    value = bytes.fromhex(form)
    assert Ack.decode(b"\x81\xa7Payload" + value) == Ack(0, b"ab")
    assert ErrorReply.decode(b"\x81\xa5Error" + value) == ErrorReply(b"ab")


@pytest.mark.statement("M-090")
def test_a_bool_is_also_0_or_1() -> None:
    def join(form: str) -> bool:
        return PushPullHeader.decode(b"\x81\xa4Join" + bytes.fromhex(form)).join

    assert [join(form) for form in ("c2", "c3", "00", "01", "c0")] == [False, True, False, True, False]
    for form in ("02", "ff", "cc01", "d001", "a0", "a101", "90", "ca3f800000"):
        with pytest.raises(WireError, match="type"):
            join(form)


@pytest.mark.statement("M-091")
@pytest.mark.parametrize(
    ("key", "form", "why"),
    [
        *(("Port", form, "range") for form in ("ce00010000", "ff", "d0ff", "d1ffff", "cf0000000000010000")),
        *(("Incarnation", form, "range") for form in ("cf0000000100000000", "ff", "d3ffffffffffffffff")),
        *(("Port", form, "type") for form in ("c2", "ca00000000", "cb0000000000000000", "a150", "9101")),
    ],
)
def test_numbers_out_of_range_are_errors(key: str, form: str, why: str) -> None:
    body = b"\x81" + bytes((0xA0 + len(key),)) + key.encode() + bytes.fromhex(form)
    with pytest.raises(WireError) as error:
        Alive.decode(body)
    assert error.value.reason == why


@pytest.mark.statement("M-092")
def test_names_need_not_be_utf8() -> None:
    name = b"\xff\xfe\x80n\0"
    for message in (replace(ALIVE, node=name), Suspect(1, name, name), Ping(1, name, None, 0, name)):
        again = type(message).decode(body_of(message))
        assert again == message
        assert again.encode() == message.encode()


@pytest.mark.statement("M-093")
def test_passing_on_an_alive_message_normalises_all_but_nil() -> None:
    node, new, vsn, meta = "d9044e6f6465c40161", "a34e6577c3", "a356736ec0", "a44d657461d900"
    addr, port, unknown = "a441646472947f000001", "a4506f7274d11f0a", "a4696e636101"
    alive = Alive.decode(bytes.fromhex("df00000007" + node + new + vsn + meta + addr + port + unknown))
    assert alive == Alive(0, b"a", LOCAL, 7946, b"", None)
    assert alive.encode().hex() == (
        "0486a441646472a47f000001ab496e6361726e6174696f6e00a44d657461a0a44e6f6465a161a4506f7274cd1f0aa356736ec0"
    )


@pytest.mark.statement("M-094")
@pytest.mark.parametrize(("lead", "inside"), [(b"\x91", b"\xc0"), (b"\x81\xc0", b"\x01"), (b"\x91", b"\x90")])
def test_nesting_deeper_than_1023_is_refused(lead: bytes, inside: bytes) -> None:
    deepest = 1022 - (inside == b"\x90")  # the message itself is one level, an empty list another
    for cls in (Ping, Alive, Compress):
        zero = cls.decode(b"\xc0")
        assert cls.decode(b"\x81\xa3New" + lead * deepest + inside) == zero
        for levels in (deepest + 1, 5000, 60000):
            with pytest.raises(WireError, match="depth"):
                cls.decode(b"\x81\xa3New" + lead * levels + inside)


def test_what_follows_the_body_is_ignored() -> None:
    for message in EXAMPLES.values():
        assert type(message).decode(body_of(message) + b"\xc1rest") == message


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_message_cut_short_is_truncated(name: str) -> None:
    message = EXAMPLES[name]
    for size in range(len(body_of(message))):
        with pytest.raises(WireError, match="truncated"):
            type(message).decode(body_of(message)[:size])
