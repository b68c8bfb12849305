"""AES-GCM envelopes."""

from __future__ import annotations

import dataclasses
import struct
from functools import partial

from serfcompat.conformance.bench import Bench
from serfcompat.conformance.case import Area, Broken, Need, case, expect
from serfcompat.conformance.cases.stream import closes, read_ack
from serfcompat.conformance.release import BEYOND
from serfcompat.conformance.stranger import nonce
from serfcompat.conformance.words import stream_lines
from serfcompat.errors import WireError
from serfcompat.wire import label, security
from serfcompat.wire.packet import build
from serfcompat.wire.stream import push_pull_message
from serfcompat.wire.types import MAX_FRAME, MessageType

KEYED = [Need.KEY]


@case("encrypt-packet", Area.ENCRYPT, "M-013", "M-107", needs=KEYED)
def packets_are_encrypted(bench: Bench) -> None:
    """A node with a key reads packets that are encrypted with it, and encrypts its own: version 1, 12 bytes of
    nonce, ciphertext and tag.
    """
    end, ping = bench.stranger(), bench.new_ping()
    for _ in range(3):
        end.send(ping.encode(), bench.node.address)
        try:
            datagram = end.receive_datagram(1.0)
        except TimeoutError:
            continue
        _, sealed = label.split(datagram)
        expect(sealed[0] == 1, "encryption version 1", sealed[0])
        try:
            security.decrypt(end.layers.keys, sealed, end.layers.label)
        except WireError as error:
            raise Broken("a packet that the key decrypts", f"{error} in {datagram.hex()}") from error
        return
    raise Broken("an encrypted ack", "nothing came")


@case("encrypt-version-0", Area.ENCRYPT, "M-030", "M-108", needs=KEYED)
def both_versions_are_read(bench: Bench) -> None:
    """Envelopes of version 0, with padding, are read as well as those of version 1."""
    old = dataclasses.replace(bench.node.layers, encryption_version=0)
    end = bench.stranger()
    for length in (1, 2, 15, 16):
        ping = bench.new_ping(source_node=b"x" * length)  # one of them makes whole blocks
        bench.ask(end, ping, layers=old)
    with end.dial(bench.node.address, layers=old) as stream:
        ping = bench.new_ping()
        stream.send(ping.encode())
        expect(read_ack(stream).seq_no == ping.seq_no, "an ack on a stream of version 0")


def _sealed(bench: Bench, payload: bytes) -> bytes:
    return build(payload, dataclasses.replace(bench.node.layers, compress=False), crc=False, nonce=nonce)


@case("encrypt-wrong-key", Area.ENCRYPT, "M-029", "M-106", needs=KEYED)
def other_keys_are_dropped(bench: Bench) -> None:
    """A packet that is encrypted with another key is dropped, and so is plaintext."""
    end, ping = bench.stranger(), bench.new_ping()
    other = dataclasses.replace(bench.node.layers, keys=(bytes(range(100, 132)),))
    plain = dataclasses.replace(bench.node.layers, keys=())
    for layers, what in ((other, "a packet with another key"), (plain, "a packet without encryption")):
        bench.is_ignored(
            end,
            partial(end.send, ping.encode(), bench.node.address, layers=layers),
            ping.seq_no,
            what,
        )


@case("encrypt-tampered", Area.ENCRYPT, "M-110", needs=KEYED)
def changed_packets_are_dropped(bench: Bench) -> None:
    """A packet with a single bit changed, in the nonce, the ciphertext or the tag, is dropped."""
    end, ping = bench.stranger(), bench.new_ping()
    start = len(label.header(bench.node.layers.label))
    for position in (start + 1, start + 12, start + 13, -17, -1):
        packet = bytearray(_sealed(bench, ping.encode()))
        packet[position] ^= 1
        bench.is_ignored(
            end,
            partial(end.send_raw, bytes(packet), bench.node.address),
            ping.seq_no,
            f"a packet with byte {position} changed",
        )


@case("encrypt-malformed", Area.ENCRYPT, "M-109", needs=KEYED)
def malformed_envelopes_are_dropped(bench: Bench) -> None:
    """Envelopes that are too short, and those of a version that doesn't exist, are dropped."""
    end, ping = bench.stranger(), bench.new_ping()
    head = label.header(bench.node.layers.label)
    for data in (b"\1", b"\0", b"\1" + bytes(27), b"\0" + bytes(43), b"\2" + bytes(60), b"\xff" * 64):
        end.send_raw(head + data, bench.node.address)
    future = bytearray(_sealed(bench, ping.encode()))
    future[len(head)] = 2
    bench.is_ignored(
        end, lambda: end.send_raw(bytes(future), bench.node.address), ping.seq_no, "an envelope of version 2"
    )


@case("encrypt-bad-padding", Area.ENCRYPT, "M-111", needs=KEYED, since=BEYOND)
def impossible_padding_does_no_harm(bench: Bench) -> None:
    """Padding that is longer than the plaintext is an error, not a crash."""
    keys = bench.node.layers.keys
    sealed = security.encrypt(1, keys[0], nonce(), bytes(15) + b"\xff", bench.node.layers.label)
    bench.stranger().send_raw(label.header(bench.node.layers.label) + b"\0" + sealed[1:], bench.node.address)
    bench.lives("padding that is longer than its packet")


@case("encrypt-empty-stream", Area.ENCRYPT, "M-111", needs=KEYED, since=BEYOND)
def an_empty_frame_does_no_harm(bench: Bench) -> None:
    """An encrypted frame with nothing inside is an error, not a crash."""
    keys = bench.node.layers.keys
    header = struct.pack(">BI", MessageType.ENCRYPT, security.sealed_size(1, 0))
    frame = header + security.encrypt(1, keys[0], nonce(), b"", header + bench.node.layers.label)
    with bench.stranger().dial(bench.node.address) as stream:
        stream.send_unsealed(frame)
        closes(stream, "an empty frame")
    bench.lives("an empty frame")


@case("encrypt-stream", Area.ENCRYPT, "M-048", "M-049", needs=KEYED)
def streams_are_encrypted(bench: Bench) -> None:
    """Messages on streams are in an encrypted frame, both ways; its first five bytes and the label are
    authenticated.
    """
    end, ping = bench.stranger(), bench.new_ping()
    with end.dial(bench.node.address) as stream:
        stream.send(ping.encode())
        first = stream.receive_some()
        expect(first[:1] == bytes((MessageType.ENCRYPT,)), "an encrypted frame", first[:16].hex())
    state = bench.state()
    expect(state.nodes, "a state that the key decrypts", state)


@case("encrypt-stream-tampered", Area.ENCRYPT, "M-110", needs=KEYED)
def changed_streams_are_refused(bench: Bench) -> None:
    """A frame with a bit changed, or with another length than was authenticated, is not answered with what it
    asks for.
    """
    end = bench.stranger()
    plain, keys = push_pull_message(False, (), None), bench.node.layers.keys
    header = struct.pack(">BI", MessageType.ENCRYPT, security.sealed_size(1, len(plain)))
    good = security.encrypt(1, keys[0], nonce(), plain, header + bench.node.layers.label)
    other = security.encrypt(1, keys[0], nonce(), plain, bench.node.layers.label)
    changed = bytes((*good[:20], good[20] ^ 1, *good[21:]))
    for frame, what in ((changed, "a frame with a bit changed"), (other, "a frame without its header authenticated")):
        with end.dial(bench.node.address) as stream:
            stream.send_unsealed(header + frame)
            _no_state(stream.rest(), bench, what)


def _no_state(answer: bytes, bench: Bench, what: str) -> None:
    """Broken if the answer is more than an error."""
    lines = stream_lines(answer, bench.node.layers) if answer else []
    expect(not any("push/pull" in line for line in lines), f"no state as an answer to {what}", lines)


@case("encrypt-plaintext-refused", Area.ENCRYPT, "M-054", needs=KEYED)
def plaintext_streams_are_refused(bench: Bench) -> None:
    """A stream without encryption is answered with an error message, which is encrypted itself."""
    end = bench.stranger()
    plain = dataclasses.replace(bench.node.layers, keys=())
    with end.dial(bench.node.address, layers=plain) as stream:
        stream.send(push_pull_message(False, (), None))
        answer = closes(stream, "a stream without encryption")
    expect(answer[:1] == bytes((MessageType.ENCRYPT,)), "an encrypted frame", answer[:16].hex() or "nothing")
    lines = stream_lines(answer, bench.node.layers)
    expect(any("ErrorReply" in line for line in lines), "an error message", lines)


@case("encrypt-unconfigured", Area.ENCRYPT, "M-053", needs=[Need.NO_KEY])
def an_encrypted_stream_without_a_key_is_an_error(bench: Bench) -> None:
    """A node without a key answers an encrypted stream with an error message in plaintext, and drops encrypted
    packets.
    """
    end, ping = bench.stranger(), bench.new_ping()
    keyed = dataclasses.replace(bench.node.layers, keys=(bytes(range(16)),))
    bench.is_ignored(
        end, lambda: end.send(ping.encode(), bench.node.address, layers=keyed), ping.seq_no, "an encrypted packet"
    )
    with end.dial(bench.node.address, layers=keyed) as stream:
        stream.send(push_pull_message(False, (), None))
        answer = closes(stream, "an encrypted stream")
    lines = stream_lines(answer, bench.node.layers)
    expect(any("ErrorReply" in line for line in lines), "an error message", lines or "nothing")


@case("encrypt-frame-size", Area.LIMITS, "M-051", needs=KEYED)
def frames_have_a_limit(bench: Bench) -> None:
    """A frame that announces more than 20 MiB is refused before its bytes come."""
    end = bench.stranger()
    with end.dial(bench.node.address) as stream:
        stream.send_unsealed(struct.pack(">BI", MessageType.ENCRYPT, MAX_FRAME + 1))
        _no_state(closes(stream, "a frame that is too large", limit=bench.node.timing.tcp_timeout * 0.8), bench, "it")
