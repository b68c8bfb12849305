"""TCP connections."""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import time
from collections.abc import Iterable

from serfcompat.conformance.bench import Bench
from serfcompat.conformance.case import Area, Broken, Need, Severity, case, expect
from serfcompat.conformance.stream import Stream
from serfcompat.conformance.words import stream_lines
from serfcompat.errors import WireError
from serfcompat.wire.messages import Ack, Compress, Ping
from serfcompat.wire.stream import push_pull_message, seal, user_message
from serfcompat.wire.types import MessageType


def read_ack(stream: Stream) -> Ack:
    """The ack that comes. Broken: something else does, or nothing."""
    reader = stream.reader()
    try:
        kind = reader.read_type()
        if kind == MessageType.ACK:
            return reader.read_ack()
        raise Broken("an ack on the stream", f"a message of type {kind}")
    except (OSError, EOFError, WireError) as error:
        raise Broken("an ack on the stream", f"{type(error).__name__}: {error}") from error


def closes_silently(bench: Bench, stream: Stream, what: str, *, limit: float = 10.0) -> None:
    """Broken unless the node hangs up without a word."""
    try:
        answer = stream.rest(limit)
    except TimeoutError as error:
        raise Broken(f"the node hangs up after {what}", "the connection stays open") from error
    lines = stream_lines(answer, stream.layers) if answer else []
    expect(not answer, f"no answer to {what}", f"{len(answer)} bytes", evidence=lines)


def closes(stream: Stream, what: str, *, limit: float = 10.0) -> bytes:
    """What the node says before it hangs up. Broken: it doesn't."""
    try:
        return stream.rest(limit)
    except TimeoutError as error:
        raise Broken(f"the node hangs up after {what}", "the connection stays open") from error


@case("stream-ping", Area.STREAM, "M-072")
def a_ping_over_tcp_is_answered(bench: Bench) -> None:
    """A ping over TCP with the node's name is answered with an ack that has its sequence number and no payload."""
    end, ping = bench.stranger(), bench.new_ping()
    with end.dial(bench.node.address) as stream:
        stream.send(ping.encode())
        ack = read_ack(stream)
    expect((ack.seq_no, ack.payload) == (ping.seq_no, None), f"Ack(seq_no={ping.seq_no}, payload=None)", ack)


@case("stream-ping-compressed", Area.STREAM, "M-073")
def a_compressed_ping_over_tcp_is_answered(bench: Bench) -> None:
    """A ping over TCP may come plain or compressed; Go compresses it."""
    end = bench.stranger()
    for compressed in (True, False):
        ping = bench.new_ping(b"")
        with end.dial(bench.node.address, layers=dataclasses.replace(end.layers, compress=compressed)) as stream:
            stream.send(ping.encode())
            ack = read_ack(stream)
        expect(ack.seq_no == ping.seq_no, f"an ack with sequence number {ping.seq_no}", ack)


@case("stream-ping-other-name", Area.STREAM, "M-072")
def a_ping_over_tcp_for_somebody_else_is_not_answered(bench: Bench) -> None:
    """A ping over TCP that names another node is not answered; the node hangs up."""
    with bench.stranger().dial(bench.node.address) as stream:
        stream.send(bench.new_ping(b"kit-somebody-else").encode())
        closes_silently(bench, stream, "a ping for somebody else")


@case("stream-one-message", Area.STREAM, "M-077")
def a_connection_is_for_one_message(bench: Bench) -> None:
    """After its answer the node hangs up; a second message on the same connection isn't read."""
    end, first, second = bench.stranger(), bench.new_ping(), bench.new_ping()
    with end.dial(bench.node.address) as stream:
        stream.send(first.encode())
        ack = read_ack(stream)
        with contextlib.suppress(OSError):  # hung up already
            stream.send_raw(second.encode())
        rest = closes(stream, "its answer")
    expect(not rest, f"nothing after Ack(seq_no={ack.seq_no})", f"{len(rest)} more bytes")


@case("stream-in-pieces", Area.STREAM, "M-060")
def a_message_may_come_byte_by_byte(bench: Bench) -> None:
    """A stream is a stream: a message whose bytes come one by one is read like any other."""
    end, ping = bench.stranger(), bench.new_ping()
    with end.dial(bench.node.address) as stream:
        stream.send_unsealed(b"")
        for byte in seal(ping.encode(), end.layers, lambda: b"kit-nonce-12"):
            stream.send_raw(bytes((byte,)))
        expect(read_ack(stream).seq_no == ping.seq_no, f"an ack with sequence number {ping.seq_no}")


@case("stream-nothing", Area.STREAM, "M-055", needs=[Need.NO_LABEL])
def a_connection_without_a_byte_is_closed_silently(bench: Bench) -> None:
    """A connection that is closed before its first byte gets no answer."""
    with bench.stranger().dial(bench.node.address) as stream:
        stream.finish()
        closes_silently(bench, stream, "nothing at all")
    bench.lives("a connection without a byte")


@case("stream-unknown-type", Area.STREAM, "M-057")
def an_unknown_type_is_hung_up_on(bench: Bench) -> None:
    """A message of a type that has no place on streams is not answered; the node hangs up."""
    body = Ping(1, b"").encode()[1:]
    for kind in (MessageType.ACK, MessageType.ALIVE, MessageType.COMPOUND, MessageType.NACK, 77, 255):
        with bench.stranger().dial(bench.node.address) as stream:
            stream.send(bytes((kind,)) + body)
            closes_silently(bench, stream, f"a message of type {int(kind)}")


@case("stream-compressed-twice", Area.STREAM, "M-057", severity=Severity.SHOULD)
def compression_comes_off_once(bench: Bench) -> None:
    """On a stream compression is taken off once: what is compressed twice is not answered."""
    end = bench.stranger()
    plain = dataclasses.replace(end.layers, compress=True, keys=())
    with end.dial(bench.node.address) as stream:
        stream.send(seal(bench.new_ping().encode(), plain, lambda: b""))
        closes_silently(bench, stream, "a message that is compressed twice")


@case("stream-error", Area.STREAM, "M-059", needs=[Need.NO_KEY])
def what_cannot_be_unwrapped_is_answered_with_an_error(bench: Bench) -> None:
    """A message whose compression can't be undone is answered with an error message that has a text."""
    end = bench.stranger()
    bad = Compress(0, gzip.compress(b"\0not LZW")).encode()
    with end.dial(bench.node.address) as stream:
        stream.send_unsealed(bad)
        reader = stream.reader()
        try:
            kind = reader.read_type()
            text = reader.read_error().error if kind == MessageType.ERROR else b""
        except (OSError, EOFError, WireError) as error:
            raise Broken("an error message", f"{type(error).__name__}: {error}") from error
    expect(kind == MessageType.ERROR and text, "an error message with a text", f"type {kind}, text {text!r}")


@case("stream-user", Area.STREAM, "M-070", "M-071")
def a_user_message_is_not_answered(bench: Bench) -> None:
    """A user message over TCP has no answer, whether it has bytes or none; the node hangs up when it has read it."""
    for payload in (b"", b"\xfekit"):
        with bench.stranger().dial(bench.node.address) as stream:
            stream.send(user_message(payload))
            closes_silently(bench, stream, f"a user message of {len(payload)} bytes")
    bench.lives("user messages over TCP")


@case("stream-slow", Area.STREAM, "M-075", limit=90)
def a_silent_connection_is_closed_in_the_end(bench: Bench) -> None:
    """A connection that stays silent is closed after the TCP timeout: strangers must not hold connections for ever."""
    timeout = bench.node.timing.tcp_timeout
    began = time.monotonic()
    with bench.stranger().dial(bench.node.address) as stream:
        stream.send_unsealed(push_pull_message(False, (), None)[:5])
        closes(stream, "a silence", limit=timeout + 10.0)
    waited = time.monotonic() - began
    expect(waited > 0.5 * timeout, f"patience for about {timeout:g} s", f"{waited:.2f} s")


@case("stream-garbage", Area.STREAM, "M-058")
def garbage_does_no_harm(bench: Bench) -> None:
    """Bytes without meaning are hung up on, and the node lives on."""
    for data in _garbage():
        with bench.stranger().dial(bench.node.address) as stream:
            try:
                stream.send_raw(data)
                stream.finish()
            except OSError:
                pass  # hung up already
            closes(stream, f"{len(data)} bytes of garbage")
    bench.lives("garbage over TCP")


def _garbage() -> Iterable[bytes]:
    yield b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    yield bytes(range(255, 0, -1))
    yield b"\x06" + b"\xff" * 64
    yield b"\x09\x82\xa4Algo\x00\xa3Buf\xdb\0\x01\xff\xff"
    yield b"\x00\xde\xff\xff"
