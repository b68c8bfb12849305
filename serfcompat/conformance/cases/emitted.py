"""Whether the bytes that are sent are those of Go."""

from __future__ import annotations

from collections.abc import Callable

from serfcompat.conformance.bench import SUSPECT, Bench
from serfcompat.conformance.case import Area, Broken, Severity, case, expect
from serfcompat.conformance.peer import Heard
from serfcompat.conformance.words import MESSAGES, message_line
from serfcompat.errors import WireError
from serfcompat.wire import compress, lzw, security
from serfcompat.wire.gomsgpack import BOOL, U64, write_text
from serfcompat.wire.gostruct import Message
from serfcompat.wire.messages import Alive, Compress, IndirectPing, PushPullHeader, PushPullNode
from serfcompat.wire.stream import push_pull_message
from serfcompat.wire.types import MAX_DECOMPRESSED, MessageType

_CLEAR = 256
"Go's LZW encoder begins with this code."
GOS = "a map with all keys in byte order, numbers in the shortest form of their kind, strings never as str8 or bin"


def check(message: bytes) -> None:
    """Broken unless Go would have written the same bytes for what the message says."""
    kind: type[Message] | None = MESSAGES.get(message[0]) if message else None
    if kind is None:
        raise Broken("a message that Go writes", message.hex())
    try:
        again = kind.decode(message[1:]).encode()
    except WireError as error:
        raise Broken(f"a {kind.__name__} that can be read", f"{error} in {message.hex()}") from error
    expect(
        message == again,
        f"{GOS}: {again.hex()}",
        message.hex(),
        evidence=[message_line(message)],
    )


def _heard(bench: Bench, kind: int, provoke: Callable[[], object] | None = None, *, of: str = "member") -> None:
    """Check a message of this type that a member hears."""
    member = bench.member(of)
    if provoke is not None:
        provoke()
    try:
        check(member.wait_for(kind, limit=15.0).message)
    except TimeoutError as error:
        raise Broken(f"a message of type {kind} to look at", str(error)) from error


@case("bytes-ack", Area.BYTES, "M-078", "M-080", "M-082", severity=Severity.TOLERATED)
def acks_are_gos(bench: Bench) -> None:
    """An ack has the bytes that Go writes, on packets and on streams."""
    end, ping = bench.stranger(), bench.new_ping()
    end.send(ping.encode(), bench.node.address)
    try:
        check(bytes((MessageType.ACK,)) + end.receive(MessageType.ACK, 3.0))
    except TimeoutError as error:
        raise Broken("an ack", "none came") from error


@case("bytes-stream-ack", Area.BYTES, "M-078", "M-080", severity=Severity.TOLERATED)
def acks_on_streams_are_gos(bench: Bench) -> None:
    """An ack on a stream has the bytes that Go writes."""
    inner = _stream_answer(bench, bench.new_ping().encode())
    check(inner)


@case("bytes-nack", Area.BYTES, "M-078", severity=Severity.TOLERATED)
def nacks_are_gos(bench: Bench) -> None:
    """A nack has the bytes that Go writes."""
    end, target = bench.stranger(), bench.peer("target")
    target.answers_packets = False
    request = IndirectPing(bench.new_ping().seq_no, target.ip, target.port, target.name, True)
    end.send(request.encode(), bench.node.address)
    try:
        check(bytes((MessageType.NACK,)) + end.receive(MessageType.NACK, bench.node.timing.probe_timeout + 5.0))
    except TimeoutError as error:
        raise Broken("a nack", "none came") from error


@case("bytes-ping", Area.BYTES, "M-078", "M-082", "M-083", severity=Severity.TOLERATED, alone=True)
def pings_are_gos(bench: Bench) -> None:
    """A ping has the bytes that Go writes."""
    _heard(bench, MessageType.PING)


@case("bytes-indirect-ping", Area.BYTES, "M-078", "M-082", severity=Severity.TOLERATED, alone=True)
def indirect_pings_are_gos(bench: Bench) -> None:
    """An indirect ping has the bytes that Go writes."""
    silent = bench.member("silent")
    silent.answers_packets = silent.answers_streams = False
    _heard(bench, MessageType.INDIRECT_PING, of="relay")


@case("bytes-alive", Area.BYTES, "M-078", "M-079", "M-081", severity=Severity.TOLERATED, alone=True)
def alive_messages_are_gos(bench: Bench) -> None:
    """An alive message has the bytes that Go writes, whatever form it came in."""
    member = bench.member("subject", meta=bytes(40))
    member.incarnation = 70_000
    # As an array, and with a number that is longer than it need be.
    claim = member.alive
    fields = (claim.node, claim.addr or b"", None, claim.meta or b"", claim.vsn or b"")
    text = [b"\xd9" + bytes((len(field),)) + field for field in fields if field is not None]
    body = b"\x96\xcf" + (70_000).to_bytes(8, "big") + text[0] + text[1]
    body += b"\xce" + claim.port.to_bytes(4, "big") + text[2] + text[3]
    member.send(bytes((MessageType.ALIVE,)) + body, bench.node.address)

    def right(heard: Heard) -> bool:
        return Alive.decode(heard.body).incarnation == 70_000

    try:
        check(member.wait_for(MessageType.ALIVE, right, limit=10.0).message)
    except TimeoutError as error:
        raise Broken("gossip of an alive message", str(error)) from error


@case("bytes-suspect", Area.BYTES, "M-078", severity=Severity.TOLERATED, alone=True)
def accusations_are_gos(bench: Bench) -> None:
    """An accusation has the bytes that Go writes."""
    member = bench.member("suspect")
    bench.tell(member.suspect(member.name, 200))
    bench.wait_for_state(member, SUSPECT)
    try:
        check(member.wait_for(MessageType.SUSPECT, limit=10.0).message)
    except TimeoutError as error:
        raise Broken("gossip of an accusation", str(error)) from error


@case("bytes-dead", Area.BYTES, "M-078", severity=Severity.TOLERATED, alone=True)
def deaths_are_gos(bench: Bench) -> None:
    """A dead message has the bytes that Go writes."""
    listener, dead = bench.member("listener"), bench.member("dead")
    bench.tell(listener.dead(dead.name, 1))
    try:
        check(listener.wait_for(MessageType.DEAD, limit=10.0).message)
    except TimeoutError as error:
        raise Broken("gossip of a death", str(error)) from error


@case("bytes-push-pull", Area.BYTES, "M-060", "M-061", "M-078", "M-081", severity=Severity.TOLERATED)
def states_are_gos(bench: Bench) -> None:
    """A state has the bytes that Go writes: header, nodes and the application's part, one after the other."""
    bench.exchange([bench.new_entry("meta", meta=bytes(40)), bench.new_entry("many", incarnation=300)])
    data = _stream_answer(bench, push_pull_message(False, (), None))
    header, end = PushPullHeader.decode_from(data, 1)
    written = data[:end]
    # ⚠ Until memberlist 0.5.0, numbers that can't be negative had one byte less.
    short = header.user_state_len
    forms = {header.encode(), _unsigned(header)}
    expect(written in forms, f"{GOS}: {header.encode().hex()}", written.hex(), evidence=[repr(header)])
    for _ in range(header.nodes):
        start = end
        node, end = PushPullNode.decode_from(data, start)
        expect(data[start:end] == node.encode(), f"{GOS}: {node.encode().hex()}", data[start:end].hex())
    expect(len(data) - end == short, f"{short} bytes of the application's state to the end", len(data) - end)


def _unsigned(header: PushPullHeader) -> bytes:
    """The header as it was written until memberlist 0.5.0: positive numbers in unsigned forms."""
    return bytes((MessageType.PUSH_PULL, 0x83)) + b"".join(
        (
            write_text(b"Join"),
            BOOL.write(header.join),
            write_text(b"Nodes"),
            U64.write(header.nodes),
            write_text(b"UserStateLen"),
            U64.write(header.user_state_len),
        )
    )


@case("bytes-compress", Area.BYTES, "M-096", "M-097", severity=Severity.TOLERATED)
def compressed_messages_are_gos(bench: Bench) -> None:
    """A compressed message has the bytes that Go writes, and those of its LZW encoder."""
    for number in range(3):
        bench.exchange([bench.new_entry(f"filler-{number}", meta=bytes(range(200)))])
    data = _unsealed_stream(bench, push_pull_message(False, (), None))
    if data[0] != MessageType.COMPRESS:
        return  # it doesn't compress, which another case is about
    message, end = Compress.decode_from(data, 1)
    expect(data[:end] == message.encode(), f"{GOS}: {message.encode()[:32].hex()}…", data[:32].hex())
    try:
        inner = compress.unwrap(message, MAX_DECOMPRESSED)
    except WireError as error:
        raise Broken("LZW data that can be read", str(error)) from error
    data = message.buf or b""
    if data[:2] and int.from_bytes(data[:2], "little") & 0x1FF != _CLEAR:
        return  # ⚠ Go's encoder began without a clear code once, as in Debian 11
    expect(lzw.compress(inner) == data, "the LZW data that Go's encoder makes of the same bytes", "others")


def _unsealed_stream(bench: Bench, question: bytes) -> bytes:
    """What a node answers on a stream, without its encryption."""
    with bench.stranger().dial(bench.node.address) as stream:
        stream.send(question)
        try:
            data = stream.rest()
        except TimeoutError as error:
            raise Broken("an answer, and the end of the stream", "the connection stays open") from error
    expect(data, "an answer", "nothing")
    layers = bench.node.layers
    if layers.keys:
        data = security.decrypt(layers.keys, data[5:], data[:5] + layers.label)
    return data


def _stream_answer(bench: Bench, question: bytes) -> bytes:
    """What a node answers on a stream, without encryption and compression."""
    data = _unsealed_stream(bench, question)
    if data[0] == MessageType.COMPRESS:
        try:
            data = compress.unwrap(Compress.decode(data[1:]), MAX_DECOMPRESSED)
        except WireError as error:
            raise Broken("an answer that can be decompressed", str(error), area=Area.COMPRESS) from error
    return data
