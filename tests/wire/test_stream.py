"""Streams: golden bytes, each way of being refused, and what a hostile peer may cost."""

from __future__ import annotations

import dataclasses
import tracemalloc
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serfcompat.errors import WireError
from serfcompat.wire import lzw
from serfcompat.wire import stream as stream_module
from serfcompat.wire.layers import Layers
from serfcompat.wire.messages import Ack, Compress, ErrorReply, Ping, PushPullHeader, PushPullNode, UserMsgHeader
from serfcompat.wire.security import encrypt
from serfcompat.wire.stream import PushPull, StreamReader, label_header, push_pull_message, seal, user_message
from serfcompat.wire.types import MAX_DECOMPRESSED, MAX_FRAME, MAX_PUSH_PULL_NODES, MAX_USER_MSG, MAX_USER_STATE
from tests.wire.test_lzw import bomb

KEY, OTHER = bytes(range(16)), bytes(range(50, 66))
NONCE = bytes(range(12))
PLAIN = Layers(compress=False)
KEYED = Layers(compress=False, keys=[KEY])
BLUE = Layers(label=b"blue", keys=[KEY], compress=False)
VSN = bytes((1, 5, 2, 0, 0, 0))
A = PushPullNode(b"node-a", bytes((127, 0, 0, 1)), 7946, None, 1, 0, VSN)
B = PushPullNode(b"node-b", bytes((10, 0, 0, 2)), 7946, b"m", 3, 1, VSN)

GV_28 = (
    "0683a44a6f696ec3a54e6f64657302ac5573657253746174654c656e0587a441646472a47f000001ab496e6361726e6174696f6e01a44d6574"
    "61c0a44e616d65a66e6f64652d61a4506f7274cd1f0aa5537461746500a356736ea601050200000087a441646472a40a000002ab496e636172"
    "6e6174696f6e03a44d657461a16da44e616d65a66e6f64652d62a4506f7274cd1f0aa5537461746501a356736ea60105020000007374617465"
)
GV_29 = (
    "0982a4416c676f00a3427566da0099000d0c22a5e44d1a37c24a397943a6cc1c01acaacc2923670a9d3074ca3029e3a6c0215241c8909143ea"
    "0f00000156257133268c1c3718d3bc7113805493321781917212a64d19536e189669118614943772e834fba0a094458c65008cb232c78da900"
    "05049c04f031e448520a4e0a50c9d2254c3a32dd0cb089334ca8363b7bfe0cdab08518a3489532757a316380a955af66dd3aa76f9980"
)
GV_30 = (
    "0a000000c801000102030405060708090a0b95ef038409729997ee9c0eee53d072a4e6557f9400999c82836d944311c3062de1c0a9538b80b7"
    "e2ebbd6784a1fbb9f3b8f67b9e05237b1e5a2fb276e42d7b813c609a2a3a61abba735f032bb12502fe3bd8e41f6c9c3e94859361d6b94b8a08"
    "60a2ef55726fadd0aa5f7edd58a0b878baa1d581d72465972618d317b88b5d14cafae1aedaf14cf790cda937fb39481ce7606c383fc79da758"
    "db931b03e6529496e37adb6a657cbefc8a57acb979aaa57ac95de225236d1d5144d3"
)
GV_31 = (
    "0a000000cd00000102030405060708090a0b95ef038409729997ee9c0eee53d072a4e6557f9400999c82836d944311c3062de1c0a9538b80b7"
    "e2ebbd6784a1fbb9f3b8f67b9e05237b1e5a2fb276e42d7b813c609a2a3a61abba735f032bb12502fe3bd8e41f6c9c3e94859361d6b9488a08"
    "60a2ef55726fadd0aa5f7edd58a0b878baa1d581d72465972618d317b88b5d14cafae1aedaf14cf790cda937fb39481ce7606c383fc79da758"
    "db931b03e6529496e37adb6a657cbefc8a572c8aacf3042f8a04b7172d63d10fa2d3090acd527b"
)
GV_32 = (
    "f404626c75650a000000c501000102030405060708090a0b9aee038f0a7c9854e89014ececa3e908be2a3843b7a0e7c1256bc85457e26e7084"
    "08713bdda3d0e9ddc47d2df0a034340cbe46b1cc17a738c44172d2ab1a3395a9287952685419a25223f10bef081fdaf9de97cd4485ceacee6b"
    "aec63a5d1e3f12cd7fefb6ab4b312c3a7e5341db119672d3bee43f49fac8c1f4cc7882e0acb0bc91ccf98d8a2e287d9bc8fd69525c909f77c3"
    "b78237a1531ecbe889361595673880a5e1cd0a964a811bb4da51edeb66214b4dd18bcf3f72"
)
GV_33 = "0982a4416c676f00a3427566b80011045255654e19394de69c6152c64d013465d8b0791310"
GV_34 = "0881aa557365724d73674c656e0568656c6c6f"
GV_35 = (
    "f404626c75650a0000003001000102030405060708090a0b9bed0d9b157e851938b52def58a6186ddf4a7511a880789afaa66dd810e0b1b796"
    "8f3d"
)
GV_38 = "0a0000002a01000102030405060708090a0b9eed028b14699826efb00ee55b38395042e5aefff066e804e04d6515ca"
GV_38B = "0a0000002a01000102030405060708090a0b9eed028b14699826efb00ee55bbd84cec042b9243acf1f81279636668c"
GV_38C = "0a0000002d00000102030405060708090a0b9eed028b14699826efb00ee55ba0730bb5eeeefccdd58790fab6f50d144eb008"


def written(message: bytes, layers: Layers, *, dialer: bool = False) -> str:
    """What goes into the stream, in hex."""
    return (label_header(layers.label) if dialer else b"").hex() + seal(message, layers, lambda: NONCE).hex()


class Peer:
    """`recv` over bytes; remembers how much was asked for."""

    def __init__(self, data: bytes, pieces: Iterable[int] = ()) -> None:
        self.data, self.at, self.asked = data, 0, 0
        self._pieces = iter(pieces)

    def recv(self, size: int) -> bytes:
        assert size > 0
        self.asked = max(self.asked, size)
        piece = self.data[self.at : self.at + max(1, min(size, next(self._pieces, size)))]
        self.at += len(piece)
        return piece


def reader(data: bytes | str, layers: Layers = PLAIN, pieces: Iterable[int] = ()) -> StreamReader:
    return StreamReader(Peer(bytes.fromhex(data) if isinstance(data, str) else data, pieces).recv, layers)


def server(data: bytes | str, layers: Layers = PLAIN) -> StreamReader:
    """A reader on the accepting side, past label and type."""
    stream = reader(data, layers)
    stream.read_label_header()
    stream.read_type()
    return stream


def refused(read: Callable[[], object]) -> str:
    with pytest.raises(WireError) as caught:
        read()
    return caught.value.reason


def frame(envelope: bytes) -> bytes:
    return b"\x0a" + len(envelope).to_bytes(4, "big") + envelope


def framed(plaintext: bytes, *, key: bytes = KEY, label: bytes = b"") -> bytes:
    header = b"\x0a" + (len(plaintext) + 29).to_bytes(4, "big")
    return header + encrypt(1, key, NONCE, plaintext, header + label)


def packed(message: bytes) -> bytes:
    return Compress(0, lzw.compress(message)).encode()


# -- writing ----------------------------------------------------------------------------------


@pytest.mark.statement("M-060", "M-061")
def test_a_push_pull_is_header_node_maps_and_user_state_without_separators():
    message = push_pull_message(True, [A, B], b"state")
    assert message.hex() == GV_28
    assert written(message, PLAIN, dialer=True) == GV_28
    assert message == PushPullHeader(2, 5, True).encode() + A.encode() + B.encode() + b"state"
    assert push_pull_message(False, [], None) == push_pull_message(False, [], b"")


@pytest.mark.statement("M-061", "M-084")
def test_header_keys_are_sorted_and_large_counts_are_signed():
    header = bytes.fromhex("0683a44a6f696ec2a54e6f646573d100c8ac5573657253746174654c656ed200009c40")  # GV-40
    assert push_pull_message(False, [A] * 200, bytes(40_000)).startswith(header)
    assert user_message(bytes(1000))[:-1000].hex() == "0881aa557365724d73674c656ed103e8"  # GV-42


@pytest.mark.statement("M-047")
def test_streams_are_compressed_even_if_they_grow():
    layers = Layers()
    assert written(user_message(b"hello"), layers) == GV_33
    assert len(GV_33) > len(GV_34)
    assert written(push_pull_message(False, [A, B], b"state"), layers) == GV_29
    assert written(ErrorReply(b"boom").encode(), layers) == (  # GV-37
        "0982a4416c676f00a3427566b1001b042a55448e9c3772488979f3a64d40"
    )
    assert written(Ack(42, None).encode(), layers) == (  # GV-39
        "0982a4416c676f00a3427566b70005083a05254c1e366fc29001566a4a99384edea80808"
    )


@pytest.mark.statement("M-004")
def test_streams_are_not_compressed_when_compression_is_off():
    assert written(user_message(b"hello"), PLAIN) == GV_34
    assert written(user_message(b"a" * 1000), PLAIN).startswith("08")


@pytest.mark.statement("M-048")
def test_a_frame_is_its_type_the_length_of_the_rest_and_an_envelope():
    sealed = bytes.fromhex(written(push_pull_message(True, [A, B], b"state"), KEYED))
    assert sealed.hex() == GV_30
    assert sealed[0] == 0x0A
    assert int.from_bytes(sealed[1:5], "big") == len(sealed) - 5


@pytest.mark.statement("M-049")
def test_the_label_and_the_frame_header_are_authenticated():
    layers = Layers(label=b"blue", keys=[KEY])
    assert written(push_pull_message(True, [A, B], b"state"), layers, dialer=True) == GV_32
    assert written(user_message(b"hello"), BLUE, dialer=True) == GV_35
    assert refused(reader(framed(b"\x08"), BLUE).read_type) == "no_key"
    for position in (1, 2, 3, 4):
        changed = bytearray(framed(b"\x08" + bytes(300)))
        changed[position] = 0  # a shorter length, with bytes to spare, or the same
        if changed != framed(b"\x08" + bytes(300)):
            assert refused(reader(bytes(changed), KEYED).read_type) in {"no_key", "enc_short"}


@pytest.mark.statement("M-050")
def test_a_version_0_frame_counts_its_padding():
    layers = Layers(compress=False, keys=[KEY], encryption_version=0)
    a_at_protocol_1 = dataclasses.replace(A, vsn=bytes((1, 5, 1, 0, 0, 0)))  # who uses version 0
    message = push_pull_message(True, [a_at_protocol_1, B], b"state")
    assert (len(message), written(message, layers)) == (171, GV_31)
    assert len(GV_31) // 2 == 5 + 0xCD
    for size in range(40):
        assert len(seal(bytes(size), layers, lambda: NONCE)) == 5 + 1 + 12 + (size // 16 + 1) * 16 + 16


@pytest.mark.statement("M-045", "M-046")
def test_only_dialers_write_a_label_header_but_answers_authenticate_the_label():
    boom = ErrorReply(b"boom").encode()
    assert boom.hex() == "0d81a54572726f72a4626f6f6d"  # GV-36
    assert written(boom, BLUE) == GV_38
    assert written(boom, KEYED) == GV_38B
    assert written(boom, Layers(compress=False, keys=[KEY], encryption_version=0)) == GV_38C
    assert label_header(b"blue").hex() == "f404626c7565"
    assert label_header(b"") == b""
    client = reader(GV_38, BLUE)  # an answer is read without `read_label_header`
    assert client.read_type() == 13
    assert client.read_error() == ErrorReply(b"boom")
    assert refused(reader(GV_38B, BLUE).read_type) == "no_key"


@pytest.mark.statement("M-011")
def test_streams_are_encrypted_only_with_a_key_and_the_will_to_use_it():
    assert written(user_message(b"hello"), Layers(compress=False, keys=[KEY], verify_outgoing=False)) == GV_34
    assert written(user_message(b"hello"), KEYED)[:2] == "0a"


# -- labels -----------------------------------------------------------------------------------


@pytest.mark.statement("M-026")
@pytest.mark.parametrize("data", ["f400", "f4", "f404", "f404626c75", "f40061"])
def test_an_empty_or_cut_label_header_is_malformed(data):
    for layers in (PLAIN, BLUE, Layers(skip_inbound_label_check=True)):
        assert refused(reader(data, layers).read_label_header) == "label_malformed"


@pytest.mark.statement("M-055")
def test_a_stream_without_any_byte_has_no_label_and_no_type():
    silent = reader(b"")
    silent.read_label_header()
    with pytest.raises(EOFError):
        silent.read_type()
    assert refused(reader(b"", BLUE).read_label_header) == "label_mismatch"


@pytest.mark.statement("M-056")
@pytest.mark.parametrize(("ours", "theirs"), [(b"", b"blue"), (b"blue", b""), (b"blue", b"red"), (b"blue", b"blue ")])
def test_another_label_is_refused_before_the_message_is_read(ours, theirs):
    peer = Peer(label_header(theirs) + user_message(b"hello"), pieces=[1] * 100)
    assert refused(StreamReader(peer.recv, Layers(label=ours)).read_label_header) == "label_mismatch"
    assert peer.at <= len(label_header(theirs)) or not theirs


@pytest.mark.statement("M-028")
def test_a_skipped_label_check_wants_none_but_still_authenticates_ours():
    skipping = Layers(label=b"blue", keys=[KEY], skip_inbound_label_check=True)
    stream = server(framed(user_message(b"hi"), label=b"blue"), skipping)
    assert stream.read_user_message() == b"hi"
    assert refused(reader(GV_35, skipping).read_label_header) == "label_double"


# -- layers -----------------------------------------------------------------------------------


@pytest.mark.statement("M-053")
def test_an_encrypted_stream_without_keys_is_refused_before_it_is_read():
    peer = Peer(bytes.fromhex(GV_30), pieces=[1] * 10)
    assert refused(StreamReader(peer.recv, PLAIN).read_type) == "enc_unconfigured"
    assert peer.at == 1


@pytest.mark.statement("M-054")
@pytest.mark.parametrize("data", [GV_28, GV_29, GV_34, "00", "ff"])
def test_plaintext_is_refused_where_keys_must_be_used(data):
    assert refused(reader(data, KEYED).read_type) == "plaintext_refused"
    migrating = Layers(keys=[KEY], verify_incoming=False)
    assert reader(data, migrating).read_type() == reader(data, PLAIN).read_type()


@pytest.mark.statement("M-029")
def test_even_while_migrating_a_frame_must_decrypt():
    migrating = Layers(keys=[KEY], verify_incoming=False)
    assert refused(reader(framed(b"\x08", key=OTHER), migrating).read_type) == "no_key"


@pytest.mark.statement("M-030", "M-106")
@pytest.mark.parametrize("version", [0, 1])
def test_every_version_and_every_key_is_understood(version):
    data = seal(user_message(b"hi"), Layers(keys=[OTHER], encryption_version=version), lambda: NONCE)
    assert server(data, Layers(keys=[KEY, OTHER])).read_user_message() == b"hi"


@pytest.mark.statement("M-109")
@pytest.mark.parametrize(
    ("envelope", "reason"),
    [
        (b"", "enc_short"),
        (b"\1", "enc_short"),
        (b"\1" + bytes(27), "enc_short"),
        (b"\0" + bytes(43), "enc_short"),
        (b"\1" + bytes(28), "no_key"),
        (b"\2" + bytes(90), "enc_version"),
        (b"\7", "enc_version"),
    ],
)
def test_envelopes_that_can_not_be_are_told_apart(envelope, reason):
    assert refused(reader(frame(envelope), KEYED).read_type) == reason


@pytest.mark.statement("M-111")
def test_nothing_inside_the_encryption_is_an_error():
    assert refused(reader(framed(b""), KEYED).read_type) == "receive"
    header = frame(bytes(45))[:5]
    padding_only = header + b"\0" + encrypt(1, KEY, NONCE, bytes(15) + b"\x10", header)[1:]
    assert refused(reader(padding_only, KEYED).read_type) == "receive"
    too_much = header + b"\0" + encrypt(1, KEY, NONCE, bytes(15) + b"\x11", header)[1:]
    assert refused(reader(too_much, KEYED).read_type) == "receive"


@pytest.mark.statement("M-051")
def test_a_frame_over_the_limit_is_refused_before_its_body_is_read():
    peer = Peer(b"\x0a" + (MAX_FRAME + 1).to_bytes(4, "big") + bytes(100), pieces=[1] * 200)
    assert refused(StreamReader(peer.recv, KEYED).read_type) == "too_large"
    assert peer.at == 5
    assert MAX_FRAME == 20_971_520


@pytest.mark.statement("M-051", "M-052")
def test_a_frame_at_the_limit_is_read_and_its_size_told():
    payload = bytes(MAX_FRAME - 29 - len(user_message(b"")) - 4)
    data = framed(UserMsgHeader(len(payload)).encode() + payload)
    stream = server(data, KEYED)
    assert len(stream.read_user_message()) == len(payload)
    assert stream.frame_size == len(data) - 5 == MAX_FRAME
    assert server(framed(user_message(b"hi")), KEYED).frame_size < 100
    assert server(user_message(b"hi")).frame_size is None


@pytest.mark.statement("M-057")
@pytest.mark.parametrize(
    ("data", "layers", "kind"),
    [
        (packed(packed(user_message(b"hi"))), PLAIN, 9),
        (framed(framed(user_message(b"hi"))), KEYED, 10),
        (framed(packed(framed(user_message(b"hi")))), KEYED, 10),
        (packed(framed(user_message(b"hi"))), PLAIN, 10),
        (b"\x07", PLAIN, 7),
        (b"\xf4", PLAIN, 244),
    ],
)
def test_each_layer_comes_off_once(data, layers, kind):
    assert reader(data, layers).read_type() == kind


@pytest.mark.statement("M-101")
def test_an_unknown_algorithm_is_refused_and_a_missing_one_is_lzw():
    assert refused(reader(Compress(3, b"").encode()).read_type) == "algo"
    buffer = lzw.compress(user_message(b"hi"))
    assert server(b"\x09\x81\xa3Buf" + bytes((0xA0 + len(buffer),)) + buffer).read_user_message() == b"hi"


@pytest.mark.statement("M-102")
def test_forty_mebibytes_may_come_out_of_a_stream():
    # 'a' is no type of a stream message, but that is for the server to say.
    assert reader(Compress(0, bomb(MAX_DECOMPRESSED)).encode()).read_type() == ord("a")
    assert refused(reader(Compress(0, bomb(MAX_DECOMPRESSED + 1)).encode()).read_type) == "receive"


@pytest.mark.statement("M-103")
def test_nothing_inside_the_compression_is_an_error():
    assert refused(reader(packed(b"")).read_type) == "decomp_empty"


@pytest.mark.parametrize("body", ["c1", "a161", "2a", "82a4416c676f00a3427566c0", "81a3427566a100", "81a342756601"])
def test_a_compress_message_that_makes_no_sense_is_an_error(body):
    assert refused(reader("09" + body).read_type) == "receive"


@pytest.mark.parametrize(
    ("body", "reason"),
    [("82a4416c676fa161", "receive"), ("82a4416c676fcd0100", "receive"), ("82a4416c676f00", None), ("", None)],
)
def test_a_compress_message_may_be_wrong_before_it_is_cut(body, reason):
    with pytest.raises((WireError, EOFError)) as caught:
        reader("09" + body).read_type()
    assert getattr(caught.value, "reason", None) == reason


@pytest.mark.parametrize("data", [GV_30, GV_29, framed(bytes.fromhex(GV_29)[:-1])])
def test_a_peer_that_hangs_up_inside_a_layer_is_silence(data):
    data = bytes.fromhex(data) if isinstance(data, str) else data
    layers = KEYED if data[0] == 0x0A else PLAIN
    cuts = range(len(data)) if data.hex() in (GV_30, GV_29) else [len(data)]
    for cut in cuts:
        with pytest.raises(EOFError):
            reader(data[:cut], layers).read_type()


@pytest.mark.statement("M-073")
def test_a_compressed_ping_is_a_ping():
    ping = Ping(42, b"node-b", bytes((127, 0, 0, 1)), 7946, b"node-a")
    stream = server(seal(ping.encode(), Layers(), lambda: NONCE))
    assert stream.read_ping() == ping


# -- bodies -----------------------------------------------------------------------------------


@pytest.mark.statement("M-060")
@pytest.mark.parametrize("data", [GV_28, GV_29, GV_30, GV_32])
def test_a_push_pull_is_read_through_every_layer(data):
    layers = Layers(label=b"blue" if data == GV_32 else b"", keys=[KEY] if data in (GV_30, GV_32) else ())
    assert server(data, layers).read_push_pull() == PushPull(data != GV_29, [A, B], b"state")


def test_ports_are_left_as_they_were_sent():
    node = PushPullNode(b"n", b"", 0, None, 0, 9, b"")
    assert server(push_pull_message(False, [node], None)).read_push_pull() == PushPull(False, [node], None)


@pytest.mark.statement("M-065")
@pytest.mark.parametrize("count", [-1, -(2**31), MAX_PUSH_PULL_NODES + 1, 2**31])
def test_counts_of_nodes_out_of_bounds_are_refused(count):
    assert refused(server(PushPullHeader(count, 0, False).encode()).read_push_pull) == "nodes_limit"


def test_a_node_too_long_is_refused_wherever_it_stands(monkeypatch):
    monkeypatch.setattr(stream_module, "_MAX_NODE", 200)
    long = PushPullNode(b"n", b"", 0, bytes(200), 0, 9, b"")
    for nodes in ([long, A], [A, long], [A, B, long]):
        assert refused(server(push_pull_message(False, nodes, None)).read_push_pull) == "remote_state"
    assert server(push_pull_message(False, [A, B], None)).read_push_pull().nodes == [A, B]


def test_nodes_too_long_together_are_refused(monkeypatch):
    message = push_pull_message(False, [A, B, A], None)
    size = sum(len(node.encode()) for node in (A, B, A))
    monkeypatch.setattr(stream_module, "_MAX_NODES_SIZE", size)
    assert len(server(message).read_push_pull().nodes) == 3
    monkeypatch.setattr(stream_module, "_MAX_NODES_SIZE", size - 1)
    assert refused(server(message).read_push_pull) == "remote_state"


@pytest.mark.statement("M-065")
def test_as_many_nodes_as_allowed_are_read_for():
    # The nodes themselves are missing: another error than a refused count.
    stream = server(PushPullHeader(MAX_PUSH_PULL_NODES, 0, False).encode() + A.encode())
    assert refused(stream.read_push_pull) == "remote_state"


@pytest.mark.statement("M-065")
def test_a_count_that_wraps_negative_is_refused():
    header = b"\x06\x81\xa5Nodes\xcf" + b"\xff" * 8
    assert refused(server(header).read_push_pull) == "nodes_limit"


@pytest.mark.statement("M-066")
@pytest.mark.parametrize("size", [-1, MAX_USER_STATE + 1, 2**40])
def test_sizes_of_user_state_out_of_bounds_are_refused_after_the_nodes(size):
    header = PushPullHeader(1, size, False).encode()
    assert refused(server(header + A.encode()).read_push_pull) == "userstate_limit"
    assert refused(server(header + b"\xc1").read_push_pull) == "remote_state"
    assert refused(server(header).read_push_pull) == "remote_state"


@pytest.mark.statement("M-066")
def test_as_much_user_state_as_allowed_is_read():
    stream = server(PushPullHeader(0, MAX_USER_STATE, False).encode() + bytes(MAX_USER_STATE))
    assert stream.read_push_pull().user_state == bytes(MAX_USER_STATE)
    short = server(PushPullHeader(0, MAX_USER_STATE, False).encode() + bytes(MAX_USER_STATE - 1))
    assert refused(short.read_push_pull) == "remote_state"


@pytest.mark.statement("M-067")
def test_no_user_state_is_none():
    assert server(push_pull_message(True, [], b"")).read_push_pull().user_state is None


@pytest.mark.statement("M-058")
@pytest.mark.parametrize("body", ["", "c1", "83", "a161", "81a54e6f64657301", "81a54e6f646573a0"])
def test_a_bad_push_pull_body_is_told_apart_from_a_bad_layer(body):
    assert refused(server("06" + body).read_push_pull) == "remote_state"


@pytest.mark.statement("M-070")
def test_a_user_message_has_exactly_the_bytes_announced():
    assert server(GV_34).read_user_message() == b"hello"
    assert server(GV_34 + "6a756e6b").read_user_message() == b"hello"
    assert server(user_message(b"")).read_user_message() == b""
    assert refused(server(GV_34[:-2]).read_user_message) == "user_message"
    assert refused(server("0881aa557365724d73674c656ea0").read_user_message) == "user_message"


@pytest.mark.statement("M-070")
@pytest.mark.parametrize("size", [-1, MAX_USER_MSG + 1, 2**63 - 1])
def test_sizes_of_user_messages_out_of_bounds_are_refused(size):
    assert refused(server(UserMsgHeader(size).encode()).read_user_message) == "usermsg_limit"


@pytest.mark.statement("M-070")
def test_the_largest_user_message_is_read():
    assert server(user_message(bytes(MAX_USER_MSG))).read_user_message() == bytes(MAX_USER_MSG)


def test_a_ping_client_reads_the_type_and_the_number_of_the_answer():
    answer = reader(seal(Ack(7, None).encode(), Layers(), lambda: NONCE))
    assert (answer.read_type(), answer.read_ack()) == (2, Ack(7, None))
    other = reader(ErrorReply(b"no").encode())
    assert other.read_type() == 13


@pytest.mark.statement("M-059")
def test_an_error_reply_has_a_text():
    assert server(ErrorReply(b"boom").encode()).read_error() == ErrorReply(b"boom")
    assert refused(server("0dc1").read_error) == "error_decode"


@pytest.mark.parametrize("body", ["", "c1", "a0", "81a55365714e6fd1ffff"])
def test_bad_pings_and_acks_are_refused(body):
    assert refused(server("00" + body).read_ping) == "ping_decode"
    assert refused(server("02" + body).read_ack) == "ack_decode"


# -- bounds -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "layers"),
    [
        (b"\x0a" + MAX_FRAME.to_bytes(4, "big") + b"\1", KEYED),
        (b"\x09\x81\xa3Buf\xdb\xff\xff\xff\xff", PLAIN),
        (UserMsgHeader(MAX_USER_MSG).encode() + b"x", PLAIN),
        (PushPullHeader(MAX_PUSH_PULL_NODES, MAX_USER_STATE, True).encode(), PLAIN),
        (b"\x06\xdf\xff\xff\xff\xff", PLAIN),
        (b"\x06\x81\xdb\xff\xff\xff\xff", PLAIN),
    ],
)
def test_what_is_only_announced_costs_nothing(data, layers):
    peer = Peer(data)
    stream = StreamReader(peer.recv, layers)
    tracemalloc.start()
    try:
        with pytest.raises((WireError, EOFError)):
            stream.read_user_message() if stream.read_type() == 8 else stream.read_push_pull()
        assert tracemalloc.get_traced_memory()[1] < 500_000
    finally:
        tracemalloc.stop()
    assert peer.asked <= 65_536


class Endless:
    """A peer that never stops: `start`, then the same piece for ever."""

    def __init__(self, start: bytes, piece: bytes) -> None:
        self.rest, self.piece, self.given = start, piece, 0

    def recv(self, size: int) -> bytes:
        if not self.rest:
            self.rest = self.piece
        piece, self.rest = self.rest[:size], self.rest[size:]
        self.given += len(piece)
        return piece


@pytest.mark.parametrize(
    ("start", "limit"),
    [
        (b"\x06\x81\xdb\xff\xff\xff\xff", 1 << 17),
        (PushPullHeader(1, 0, False).encode() + b"\x81\xa1x\xdb\xff\xff\xff\xff", 1 << 21),
        (b"\x08\x81\xa1x\xc6\xff\xff\xff\xff", 1 << 17),
        (b"\x00\xdd\xff\xff\xff\xff", 1 << 17),
    ],
)
def test_a_value_that_never_ends_is_given_up(start, limit):
    peer = Endless(start, bytes(65_536))
    stream = StreamReader(peer.recv, PLAIN)
    read = {6: stream.read_push_pull, 8: stream.read_user_message, 0: stream.read_ping}[stream.read_type()]
    assert refused(read) in {"remote_state", "user_message", "ping_decode"}
    assert peer.given < limit


def test_nodes_that_never_end_are_given_up():
    node = PushPullNode(b"n", b"", 1, bytes(600_000), 0, 0, VSN).encode()
    peer = Endless(PushPullHeader(MAX_PUSH_PULL_NODES, 0, False).encode(), node)
    stream = StreamReader(peer.recv, PLAIN)
    stream.read_type()
    assert refused(stream.read_push_pull) == "remote_state"
    assert peer.given < 300 << 20


def test_deep_nesting_is_refused_without_recursion():
    assert refused(server(b"\x06\x81\xa1x" + b"\x91" * 100_000 + b"\xc0").read_push_pull) == "remote_state"


NAMES = st.binary(max_size=20)
NODES = st.builds(
    PushPullNode,
    NAMES,
    st.one_of(st.none(), st.binary(max_size=16)),
    st.integers(0, 65535),
    st.one_of(st.none(), st.binary(max_size=60)),
    st.integers(0, 2**32 - 1),
    st.integers(-(2**31), 2**31),
    st.one_of(st.none(), st.binary(max_size=8)),
)
LAYERS = st.builds(
    Layers,
    label=st.sampled_from([b"", b"blue", b"\xf4"]),
    keys=st.sampled_from([(), (KEY,), (OTHER, KEY)]),
    compress=st.booleans(),
    encryption_version=st.integers(0, 1),
)
PIECES = st.lists(st.integers(1, 40), max_size=30)


@pytest.mark.property
@settings(max_examples=100)
@given(LAYERS, PIECES, st.booleans(), st.lists(NODES, max_size=6), st.one_of(st.none(), st.binary(max_size=90)))
def test_a_push_pull_is_read_as_it_was_written_however_it_is_cut(layers, pieces, join, nodes, state):
    stream = reader(written(push_pull_message(join, nodes, state), layers, dialer=True), layers, pieces)
    stream.read_label_header()
    assert stream.read_type() == 6
    assert stream.read_push_pull() == PushPull(join, nodes, state or None)


@pytest.mark.property
@given(LAYERS, PIECES, st.binary(max_size=3000))
def test_a_user_message_is_read_as_it_was_written_however_it_is_cut(layers, pieces, payload):
    stream = reader(written(user_message(payload), layers, dialer=True), layers, pieces)
    stream.read_label_header()
    assert stream.read_type() == 8
    assert stream.read_user_message() == payload


@pytest.mark.property
@settings(max_examples=300)
@given(
    st.sampled_from([GV_28, GV_29, GV_30, GV_32, GV_33, GV_34, GV_35, GV_38, "00", "02", "06", "08", "09", "0a", "0d"]),
    st.lists(st.tuples(st.integers(0, 250), st.binary(max_size=3)), max_size=3),
    st.sampled_from([PLAIN, KEYED, BLUE, Layers(keys=[KEY], verify_incoming=False)]),
)
def test_any_stream_is_read_or_refused_and_nothing_else(data, changes, layers):
    mangled = bytearray.fromhex(data)
    for at, new in changes:
        mangled[at : at + len(new)] = new
    for name in ("push_pull", "user_message", "ping", "ack", "error"):
        stream = reader(bytes(mangled), layers)
        try:
            stream.read_label_header()
        except WireError:
            stream = reader(bytes(mangled), layers)
        try:
            stream.read_type()
        except (WireError, EOFError):
            continue
        try:
            getattr(stream, f"read_{name}")()
        except WireError:
            continue
