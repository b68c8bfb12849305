"""LZW."""

from __future__ import annotations

import dataclasses

from serfcompat.conformance.bench import Bench
from serfcompat.conformance.case import Area, Broken, Need, Severity, case, expect
from serfcompat.conformance.cases.stream import read_ack
from serfcompat.wire import compress, lzw
from serfcompat.wire.gomsgpack import write_text
from serfcompat.wire.messages import Compress
from serfcompat.wire.packet import compound
from serfcompat.wire.types import MessageType

HEAD = "0.6.1"
"Only what comes after release 0.6.0."


@case("compress-packet", Area.COMPRESS, "M-036")
def a_compressed_packet_is_read(bench: Bench) -> None:
    """A compressed message in a packet is read."""
    end, ping = bench.stranger(), bench.new_ping()
    packet = compress.wrap(ping.encode())
    bench.ask_raw(end, bench.sending(end, packet), ping.seq_no)


@case("compress-nested", Area.COMPRESS, "M-036")
def compression_nests_in_packets(bench: Bench) -> None:
    """In packets, compressed messages and compounds may nest in any order."""
    end, ping = bench.stranger(), bench.new_ping()
    for packet in (
        compress.wrap(compress.wrap(ping.encode())),
        compress.wrap(compound([ping.encode()])),
        compound([compress.wrap(compound([compress.wrap(ping.encode())]))]),
    ):
        bench.ask_raw(end, bench.sending(end, packet), ping.seq_no)


@case("compress-algo", Area.COMPRESS, "M-101")
def other_algorithms_are_refused(bench: Bench) -> None:
    """A compressed message of another algorithm than 0 is dropped; without a word about it, it is 0."""
    end, ping = bench.stranger(), bench.new_ping()
    data = lzw.compress(ping.encode())
    other = Compress(1, data).encode()
    bench.is_ignored(end, bench.sending(end, other), ping.seq_no, "a message of algorithm 1")
    unsaid = bytes((MessageType.COMPRESS, 0x81)) + write_text(b"Buf") + write_text(data)
    bench.ask_raw(end, bench.sending(end, unsaid), ping.seq_no)


@case("compress-no-end", Area.COMPRESS, "M-098")
def data_without_an_end_are_dropped(bench: Bench) -> None:
    """LZW data without the end code are dropped, and bytes after the end code are ignored."""
    end, ping = bench.stranger(), bench.new_ping()
    data = lzw.compress(ping.encode())
    cut, longer = Compress(0, data[:-2]).encode(), Compress(0, data + b"\xff\xff\xff").encode()
    bench.is_ignored(end, bench.sending(end, cut), ping.seq_no, "LZW data without an end")
    bench.ask_raw(end, bench.sending(end, longer), ping.seq_no)


@case("compress-wrong-code", Area.COMPRESS, "M-099")
def impossible_codes_are_dropped(bench: Bench) -> None:
    """LZW data with a code that nobody has defined are dropped."""
    end = bench.stranger()
    # Clear, then code 300, then the end: nine bits each, from the lowest.
    bits = 256 | 300 << 9 | 257 << 18
    end.send_raw_sealed(Compress(0, bits.to_bytes(4, "little")).encode(), bench.node.address)
    bench.ask(end)


@case("compress-no-clear", Area.COMPRESS, "M-099")
def data_without_a_clear_at_first_are_read(bench: Bench) -> None:
    """LZW data that don't begin with the clear code are read."""
    end, ping = bench.stranger(), bench.new_ping()
    codes = [*ping.encode(), 257]
    bits = sum(code << 9 * position for position, code in enumerate(codes))
    packet = Compress(0, bits.to_bytes((9 * len(codes) + 7) // 8, "little")).encode()
    bench.ask_raw(end, bench.sending(end, packet), ping.seq_no)


@case("compress-large", Area.COMPRESS, "M-097", "M-100")
def large_data_are_read(bench: Bench) -> None:
    """LZW data that fill the table several times are read: codes grow to 12 bits and begin anew."""
    noise, value = bytearray(), 1
    while len(noise) < 60_000:
        value = (1664525 * value + 1013904223) % 2**32
        noise.append(value >> 24)
    end, ping = bench.stranger(), bench.new_ping()
    # An unknown key with a long value, which is skipped.
    body = b"\x83" + write_text(b"Aaa") + write_text(bytes(noise)) + write_text(b"Node") + write_text(ping.node)
    body += write_text(b"SeqNo") + b"\xce" + ping.seq_no.to_bytes(4, "big")
    with end.dial(bench.node.address, layers=dataclasses.replace(end.layers, compress=True)) as stream:
        stream.send(bytes((MessageType.PING,)) + body)
        ack = read_ack(stream)
    expect(ack.seq_no == ping.seq_no, f"an ack with sequence number {ping.seq_no}", ack)


@case("compress-empty", Area.COMPRESS, "M-103", since="0.2.4")
def nothing_compressed_does_no_harm(bench: Bench) -> None:
    """A compressed message of 0 bytes is dropped in a packet, and answered with an error at most on a stream."""
    end = bench.stranger()
    packet = Compress(0, lzw.compress(b"")).encode()
    end.send_raw_sealed(packet, bench.node.address)
    bench.ask(end, expected="the node lives on after a compressed packet of 0 bytes, and sends an ack")


@case("compress-empty-stream", Area.COMPRESS, "M-103", since=HEAD)
def nothing_compressed_on_a_stream_is_an_error(bench: Bench) -> None:
    """A compressed message of 0 bytes on a stream is an error, not a crash."""
    end = bench.stranger()
    plain = dataclasses.replace(end.layers, compress=False)
    with end.dial(bench.node.address, layers=plain) as stream:
        stream.send(Compress(0, lzw.compress(b"")).encode())
        stream.rest()
    bench.lives("a compressed stream of 0 bytes")


@case("compress-bomb", Area.LIMITS, "M-102", since=HEAD, severity=Severity.SHOULD)
def bombs_are_not_unfolded(bench: Bench) -> None:
    """A compressed packet that would unfold to more than 40 MiB is dropped."""
    end, ping = bench.stranger(), bench.new_ping()
    inner = ping.encode() + bytes(41 * 2**20)
    packet = compress.wrap(compress.wrap(inner))
    expect(len(packet) < 60_000, "a bomb that fits in a packet", len(packet))
    bench.is_ignored(end, bench.sending(end, packet), ping.seq_no, "a bomb of 41 MiB")


@case("compress-sent", Area.COMPRESS, "M-047", severity=Severity.SHOULD, needs=[Need.NO_KEY])
def answers_on_streams_are_compressed(bench: Bench) -> None:
    """A node with compression switched on, as it is by default, compresses what it writes to streams, even if
    that makes it longer.
    """
    end = bench.stranger()
    with end.dial(bench.node.address) as stream:
        stream.send(bench.new_ping().encode())
        first = stream.receive_some(1)
    if not first:
        raise Broken("an answer", "none")
    expect(first[0] == MessageType.COMPRESS, f"a message of type {int(MessageType.COMPRESS)}", f"type {first[0]}")
