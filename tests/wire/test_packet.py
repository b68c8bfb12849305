"""Datagrams: the layers in their order, and what a hostile one may cost."""

from __future__ import annotations

import tracemalloc
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serfcompat.swim.keyring import Keyring
from serfcompat.wire import lzw, packet
from serfcompat.wire.layers import Layers
from serfcompat.wire.messages import Ack, Compress, Nack, Ping, Suspect
from serfcompat.wire.packet import MAX_DEPTH, MAX_MESSAGES, Peeled, build, compound, compounds, peel
from serfcompat.wire.security import encrypt
from serfcompat.wire.types import MAX_DECOMPRESSED
from tests.wire.test_lzw import bomb

KEY, OTHER = bytes(range(16)), bytes(range(50, 66))
NONCE = bytes(range(12))
PLAIN = Layers(compress=False)
BLUE = Layers(label=b"blue", keys=[KEY])

PING = bytes.fromhex(
    "0085a44e6f6465a66e6f64652d62a55365714e6f2aaa536f7572636541646472a47f000001aa536f757263654e6f6465a66e6f64652d61"
    "aa536f75726365506f7274cd1f0a"
)
"GV-01"
SUSPECT = bytes.fromhex("0383a446726f6da66e6f64652d61ab496e6361726e6174696f6e07a44e6f6465a66e6f64652d62")
"GV-08"
HELLO = b"\x08hello"
"GV-16"
RUN = b"\x08" + b"a" * 100
RUN_COMPRESSED = bytes.fromhex("0982a4416c676f00a3427566b40011841948b0a0c18308132a5cc8b0a143850101")
"GV-17"


def sent(payload: bytes, layers: Layers, *, crc: bool = False) -> str:
    return build(payload, layers, crc=crc, nonce=lambda: NONCE).hex()


def received(hex_or_bytes: str | bytes, layers: Layers = PLAIN) -> Peeled:
    return peel(bytes.fromhex(hex_or_bytes) if isinstance(hex_or_bytes, str) else hex_or_bytes, layers)


def packed(payload: bytes) -> bytes:
    return Compress(0, lzw.compress(payload)).encode()


# -- sending ----------------------------------------------------------------------------------


@pytest.mark.statement("M-002")
def test_a_compound_is_a_count_the_lengths_and_the_messages():
    assert compound([b"\x08a", b"\x08bb", Nack(1).encode()]).hex() == "070300020003000908610862620b81a55365714e6f01"
    assert compound([PING, SUSPECT]).hex() == "070200450027" + PING.hex() + SUSPECT.hex()
    assert compound([]).hex() == "0700"


@pytest.mark.statement("M-020")
@pytest.mark.parametrize(
    ("count", "parts"), [(1, [1]), (2, [2]), (255, [255]), (256, [255, 1]), (510, [255, 255]), (600, [255, 255, 90])]
)
def test_more_than_255_messages_are_split_into_full_compounds_and_the_rest(count, parts):
    messages = [b"\x08" + str(n).encode() for n in range(count)]
    split = compounds(messages)
    assert [part[1] for part in split] == parts
    assert [message for part in split for message in peel(part, PLAIN).messages] == messages


def test_a_compound_refuses_what_its_count_cannot_say():
    with pytest.raises(ValueError):
        compound([b"\x08"] * 256)


@pytest.mark.statement("M-003")
def test_compression_is_used_only_when_it_is_strictly_shorter():
    layers = Layers()
    assert sent(RUN, layers) == RUN_COMPRESSED.hex()
    assert sent(PING, layers) == PING.hex()  # GV-18
    equal = b"a" * 24
    assert len(packed(equal)) == len(equal)
    assert sent(equal, layers) == equal.hex()
    assert sent(b"a" * 25, layers) == packed(b"a" * 25).hex()


@pytest.mark.statement("M-003")
@pytest.mark.property
@given(st.one_of(st.binary(max_size=200), st.text("ab", max_size=120).map(str.encode)))
def test_compression_never_grows_a_packet_and_never_misses_a_gain(payload):
    assert bytes.fromhex(sent(payload, Layers())) == min(payload, packed(payload), key=len)


@pytest.mark.statement("M-004")
def test_nothing_is_compressed_when_compression_is_off():
    assert sent(RUN, PLAIN) == RUN.hex()


@pytest.mark.statement("M-005")
def test_the_crc_header_covers_everything_after_it_and_is_sent_only_on_demand():
    assert sent(PING, PLAIN, crc=True) == "0c87642fb7" + PING.hex()  # GV-19
    assert sent(HELLO, PLAIN, crc=True) == "0cada372550868656c6c6f"  # GV-20
    assert sent(PING, PLAIN, crc=False) == PING.hex()


@pytest.mark.statement("M-006")
def test_the_crc_comes_after_compression_and_before_encryption():
    assert sent(RUN, Layers(), crc=True) == "0ce02c910b" + RUN_COMPRESSED.hex()  # GV-21
    assert sent(RUN, BLUE, crc=True) == (  # GV-27
        "f404626c756501000102030405060708090a0b9f8c8b5f6d1275f00abe06e53600327dd5921af7d7f4b54646e07225076efea435059872f"
        "5817202ebf18362e78d8f2c3126450a8371"
    )
    assert sent(RUN, Layers(label=b"blue", keys=[KEY], encryption_version=0), crc=True) == (  # GV-27b
        "f404626c756500000102030405060708090a0b9f8c8b5f6d1275f00abe06e53600327dd5921af7d7f4b54646e07225076efea435059872f"
        "581bde94afe03edca83dd98aa3eb5e5288ad6ce0d687e3cca7c9969"
    )


@pytest.mark.statement("M-011")
@pytest.mark.parametrize("keys", [[], [KEY]])
@pytest.mark.parametrize("verify_outgoing", [False, True])
def test_encryption_takes_a_key_and_the_will_to_use_it(keys, verify_outgoing):
    datagram = sent(HELLO, Layers(compress=False, keys=keys, verify_outgoing=verify_outgoing))
    if keys and verify_outgoing:
        assert datagram == "01000102030405060708090a0b9b04c2a20a742981b7dcc6c63a32f64c94cb022f23e1"  # GV-22
    else:
        assert datagram == HELLO.hex()


def test_a_nonce_is_drawn_only_to_encrypt():
    def fail() -> bytes:
        raise AssertionError("drew a nonce in vain")

    build(HELLO, PLAIN, crc=True, nonce=fail)
    build(HELLO, Layers(keys=[KEY], verify_outgoing=False), crc=True, nonce=fail)


@pytest.mark.statement("M-012", "M-013")
def test_the_label_is_outermost_in_clear_and_authenticated():
    assert sent(HELLO, BLUE) == (  # GV-26
        "f404626c756501000102030405060708090a0b9b04c2a20a74901ad86ae5512530f650b38372eaa44c"
    )
    assert sent(PING, Layers(label=b"blue")) == "f404626c7565" + PING.hex()  # GV-26b
    unlabelled = encrypt(1, KEY, NONCE, HELLO, b"")
    assert received(b"\xf4\x04blue" + unlabelled, BLUE).drops == ["decrypt"]
    assert sent(HELLO, Layers(keys=[KEY])) == unlabelled.hex()


@pytest.mark.statement("M-106")
def test_the_primary_key_encrypts():
    ring = Keyring([KEY, OTHER])
    assert sent(HELLO, Layers(keys=ring)) == encrypt(1, KEY, NONCE, HELLO, b"").hex()
    ring.use(OTHER)
    assert sent(HELLO, Layers(keys=ring)) == encrypt(1, OTHER, NONCE, HELLO, b"").hex()


@pytest.mark.statement("M-107")
def test_the_encryption_version_is_ours_to_choose():
    assert sent(HELLO, Layers(keys=[KEY], encryption_version=0)) == (  # GV-23
        "00000102030405060708090a0b9b04c2a20a74fd5e41d86b803ca97a02f1aba14d14a4af347ed9735b4145ee25"
    )


@pytest.mark.statement("M-112")
def test_a_key_counts_from_the_moment_it_is_added():
    ring = Keyring()
    layers = Layers(keys=ring)
    assert sent(HELLO, layers) == HELLO.hex()
    assert received(HELLO, layers).messages == [HELLO]
    ring.add(KEY)
    assert sent(HELLO, layers) == encrypt(1, KEY, NONCE, HELLO, b"").hex()
    assert received(HELLO, layers).drops == ["decrypt"]


# -- receiving --------------------------------------------------------------------------------


@pytest.mark.statement("M-025")
def test_the_largest_datagram_is_read_whatever_we_would_send():
    user = b"\x08" + bytes(65_506)
    assert received(user).messages == [user]
    assert received(compound([user[:60_000], HELLO])).messages == [user[:60_000], HELLO]


@pytest.mark.statement("M-026")
@pytest.mark.parametrize("datagram", ["f4", "f400", "f40061", "f404626c75"])
@pytest.mark.parametrize("skip", [False, True])
def test_malformed_labels_drop_the_packet(datagram, skip):
    peeled = received(datagram, Layers(skip_inbound_label_check=skip))
    assert peeled == Peeled([], ["label_malformed"], [])


@pytest.mark.statement("M-027")
@pytest.mark.parametrize("datagram", [HELLO, b"\xf4\x03red" + HELLO, b"\xf4\x05blue " + HELLO])
def test_another_label_or_none_drops_the_packet(datagram):
    blue = Layers(label=b"blue")
    assert received(datagram, blue) == Peeled([], ["label_mismatch"], [])
    assert received(b"\xf4\x04blue" + HELLO, blue).messages == [HELLO]
    assert received(b"\xf4\x04blue" + HELLO, PLAIN).drops == ["label_mismatch"]


@pytest.mark.statement("M-028")
def test_a_skipped_label_check_wants_none_but_still_authenticates_ours():
    skipping = Layers(label=b"blue", keys=[KEY], skip_inbound_label_check=True)
    envelope = encrypt(1, KEY, NONCE, HELLO, b"blue")
    assert received(envelope, skipping).messages == [HELLO]
    assert received(b"\xf4\x04blue" + envelope, skipping).drops == ["label_double"]
    assert received(encrypt(1, KEY, NONCE, HELLO, b""), skipping).drops == ["decrypt"]


@pytest.mark.statement("M-029")
@pytest.mark.parametrize("datagram", [HELLO, encrypt(1, OTHER, NONCE, HELLO, b""), b"\x07\x00"])
def test_what_does_not_decrypt_is_dropped_unless_we_are_migrating(datagram):
    strict, migrating = Layers(keys=[KEY]), Layers(keys=[KEY], verify_incoming=False)
    assert received(datagram, strict) == Peeled([], ["decrypt"], [])
    assert received(datagram, migrating) == received(datagram, PLAIN)
    assert received(encrypt(1, KEY, NONCE, HELLO, b""), migrating).messages == [HELLO]


@pytest.mark.statement("M-030")
@pytest.mark.parametrize("ours", [0, 1])
@pytest.mark.parametrize("theirs", [0, 1])
def test_both_encryption_versions_are_understood(ours, theirs):
    layers = Layers(keys=[KEY], encryption_version=ours)
    assert received(encrypt(theirs, KEY, NONCE, HELLO, b""), layers).messages == [HELLO]


@pytest.mark.statement("M-031")
@pytest.mark.parametrize(
    ("datagram", "expected"),
    [
        ("0cada372550868656c6c6f", Peeled([HELLO], [], [])),
        ("0cada372560868656c6c6f", Peeled([], ["crc"], [])),
        ("0cada372550868656c6c6e", Peeled([], ["crc"], [])),
        ("0c00000000", Peeled([], ["empty_message"], [])),
        ("0c00000001", Peeled([], ["crc"], [])),
        ("0c000000", Peeled([], [], [12])),
        ("0c", Peeled([], [], [12])),
    ],
)
def test_a_checksum_must_be_right_and_whole(datagram, expected):
    assert received(datagram) == expected


@pytest.mark.statement("M-032")
@pytest.mark.parametrize("kind", [6, 10, 12, 13, 14, 100, 243, 244, 255])
def test_types_that_do_not_belong_inside_are_dropped_alone(kind):
    alien = bytes((kind,)) + b"\x01a" + HELLO
    assert received(compound([HELLO, alien, SUSPECT])) == Peeled([HELLO, SUSPECT], [], [kind])
    if kind != 12:
        assert received(encrypt(1, KEY, NONCE, alien, b""), Layers(keys=[KEY])) == Peeled([], [], [kind])


@pytest.mark.statement("M-032")
def test_a_second_checksum_is_not_looked_at():
    inner = b"\x0c" + crc32(HELLO).to_bytes(4, "big") + HELLO
    assert received(b"\x0c" + crc32(inner).to_bytes(4, "big") + inner) == Peeled([], [], [12])


@pytest.mark.statement("M-033")
def test_a_cut_compound_gives_its_whole_parts():
    whole = compound([HELLO, SUSPECT, PING])
    for cut in range(1, len(PING) + 1):
        assert received(whole[:-cut]) == Peeled([HELLO, SUSPECT], ["compound_truncated:1"], [])
    assert received(whole[: -len(PING) - 1]) == Peeled([HELLO], ["compound_truncated:2"], [])
    assert received(whole[:8]) == Peeled([], ["compound_truncated:3"], [])


@pytest.mark.statement("M-034")
@pytest.mark.parametrize("datagram", ["07", "0701", "070100", "0702000000", "07ff" + "00" * 509])
def test_a_compound_without_all_its_lengths_is_dropped(datagram):
    assert received(datagram) == Peeled([], ["compound_malformed"], [])


@pytest.mark.statement("M-035")
def test_an_empty_compound_is_nothing_and_an_empty_part_is_dropped_alone():
    assert received("0700") == Peeled()
    assert received(b"\x07\x00" + HELLO) == Peeled()
    assert received(compound([HELLO, b"", SUSPECT])) == Peeled([HELLO, SUSPECT], ["empty_message"], [])
    assert received(compound([HELLO]) + b"junk") == Peeled([HELLO], [], [])


@pytest.mark.statement("M-036")
def test_compounds_and_compression_nest_in_any_order_and_keep_the_order():
    inner = compound([HELLO, packed(packed(compound([SUSPECT, PING]))), compound([compound([RUN])])])
    assert received(compound([PING, packed(inner), HELLO])).messages == [PING, HELLO, SUSPECT, PING, RUN, HELLO]


@pytest.mark.statement("M-037")
@pytest.mark.parametrize("count", [127, 128, 200, 255])
def test_long_compounds_are_read_whole(count):
    messages = [Ack(n, None).encode() for n in range(count)]
    assert received(compound(messages)) == Peeled(messages, [], [])


@pytest.mark.statement("M-101")
def test_an_unknown_algorithm_is_dropped_and_a_missing_one_is_lzw():
    assert received(Compress(1, lzw.compress(HELLO)).encode()) == Peeled([], ["decompress"], [])
    buffer = lzw.compress(HELLO)
    assert received(bytes.fromhex("0981a3427566") + bytes((0xA0 + len(buffer),)) + buffer).messages == [HELLO]


@pytest.mark.statement("M-102")
def test_forty_mebibytes_may_come_out_of_a_packet():
    # 'a' is no message type, so what came out is known by its type, without a copy of it.
    assert received(Compress(0, bomb(MAX_DECOMPRESSED)).encode()) == Peeled([], [], [ord("a")])
    assert received(Compress(0, bomb(MAX_DECOMPRESSED + 1)).encode()) == Peeled([], ["decompress"], [])


@pytest.mark.statement("M-103")
def test_nothing_inside_a_compress_message_is_an_empty_message():
    assert received(packed(b"")) == Peeled([], ["empty_message"], [])


@pytest.mark.parametrize("body", ["", "82", "82a4416c676f00a3427566c0", "81a3427566a0", "c0", "80", "93", "a161", "2a"])
def test_a_compress_message_that_makes_no_sense_is_dropped(body):
    assert received("09" + body) == Peeled([], ["decompress"], [])


@pytest.mark.statement("M-043")
def test_bytes_after_a_compress_body_are_ignored():
    assert received(packed(HELLO) + b"junk").messages == [HELLO]


# -- bounds -----------------------------------------------------------------------------------


def test_nesting_is_read_to_a_depth_and_no_further():
    def nested(depth: int) -> bytes:
        message = HELLO
        for level in range(depth):
            message = packed(message) if level % 2 else compound([message])
        return message

    assert received(nested(MAX_DEPTH)).messages == [HELLO]
    assert received(compound([nested(MAX_DEPTH), SUSPECT])) == Peeled([SUSPECT], ["too_deep"], [])


def test_a_bomb_of_many_messages_stops_at_a_number():
    many = compound([packed(compound([HELLO] * 255))] * 255)
    peeled = received(many)
    assert peeled.drops == ["too_many"]
    assert 3800 < len(peeled.messages) < MAX_MESSAGES
    empties = received(packed(compound([compound([b""] * 255)] * 255)))
    assert len(empties.drops) <= MAX_MESSAGES
    assert empties.drops[-1] == "too_many"


def test_a_bomb_of_many_bombs_costs_no_more_than_one():
    one = Compress(0, bomb(10 * 1024 * 1024)).encode()
    peeled = received(compound([one] * 10))
    assert (len(peeled.unsupported), peeled.drops) == (4, ["decompress"] * 6)


def test_a_bomb_inside_a_bomb_is_not_lit():
    # Highly compressible LZW data: tiny on the wire, and slow to read if it were tried.
    outer = packed(Compress(0, bytes(packet.MAX_NESTED_LZW + 1)).encode())
    assert len(outer) < 65_000
    tracemalloc.start()
    try:
        assert received(outer) == Peeled([], ["decompress"], [])
        assert tracemalloc.get_traced_memory()[1] < 8 * packet.MAX_NESTED_LZW
    finally:
        tracemalloc.stop()


MESSAGES = st.one_of(
    st.binary(max_size=40),
    st.builds(lambda n: Nack(n).encode(), st.integers(0, 2**32 - 1)),
    st.builds(lambda n, name: Ping(n, name).encode(), st.integers(0, 9), st.binary(max_size=9)),
    st.builds(lambda n, name: Suspect(n, name, name).encode(), st.integers(0, 9), st.binary(max_size=9)),
    st.binary(max_size=60).map(lambda body: b"\x07" + body),
    st.binary(max_size=60).map(lambda body: b"\x09" + body),
    st.binary(max_size=60).map(lambda body: b"\xf4" + body),
    st.binary(max_size=60).map(lambda body: b"\x0c" + body),
)
NESTED = st.recursive(
    MESSAGES, lambda inner: st.one_of(st.lists(inner, max_size=5).map(compound), inner.map(packed)), max_leaves=12
)
LAYERS = st.builds(
    Layers,
    label=st.sampled_from([b"", b"blue"]),
    keys=st.sampled_from([(), (KEY,), (OTHER, KEY)]),
    compress=st.booleans(),
    encryption_version=st.integers(0, 1),
    verify_incoming=st.booleans(),
    verify_outgoing=st.booleans(),
    skip_inbound_label_check=st.booleans(),
)


@pytest.mark.property
@settings(max_examples=200)
@given(NESTED, LAYERS, st.binary(max_size=3), st.integers(0, 200))
def test_any_datagram_is_peeled_or_dropped_but_never_raises(datagram, layers, junk, cut):
    for mangled in (datagram, datagram[:cut] + junk, junk + datagram):
        peeled = peel(mangled, layers)
        assert all(message[0] in {0, 1, 2, 3, 4, 5, 8, 11} for message in peeled.messages)
        assert not {0, 1, 2, 3, 4, 5, 7, 8, 9, 11} & set(peeled.unsupported)


@pytest.mark.property
@given(
    st.lists(st.binary(max_size=60).map(lambda body: b"\x08" + body), min_size=1, max_size=300), LAYERS, st.booleans()
)
def test_what_is_built_is_peeled(messages, layers, crc):
    layers.verify_outgoing |= layers.verify_incoming
    layers.skip_inbound_label_check &= not layers.label
    peeled = Peeled()
    for payload in [messages[0]] if len(messages) == 1 else compounds(messages):
        one = peel(build(payload, layers, crc=crc, nonce=lambda: NONCE), layers)
        assert not one.drops
        assert not one.unsupported
        peeled.messages += one.messages
    assert peeled.messages == messages
