"""A packet or a stream in words, layer by layer, for people who look for a fault."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from zlib import crc32

from serfcompat.errors import WireError
from serfcompat.wire import compress, label, security
from serfcompat.wire.gostruct import Message
from serfcompat.wire.layers import Layers
from serfcompat.wire.messages import (
    Ack,
    Alive,
    Compress,
    Dead,
    ErrorReply,
    IndirectPing,
    Nack,
    Ping,
    Suspect,
)
from serfcompat.wire.serf_messages import (
    JoinIntent,
    KeyRequest,
    KeyResponse,
    LeaveIntent,
    QueryMessage,
    QueryResponse,
    Relay,
    SerfPushPull,
    UserEventMessage,
)
from serfcompat.wire.stream import StreamReader
from serfcompat.wire.types import MAX_DECOMPRESSED, MessageType, SerfMessageType

MESSAGES: dict[int, type[Message]] = {
    kind.TYPE: kind for kind in (Ping, IndirectPing, Ack, Nack, ErrorReply, Suspect, Alive, Dead)
}
"Messages of memberlist that are told by their first byte alone."
SERF_MESSAGES: dict[int, type[Message]] = {
    kind.TYPE: kind
    for kind in (
        LeaveIntent,
        JoinIntent,
        UserEventMessage,
        QueryMessage,
        QueryResponse,
        KeyRequest,
        KeyResponse,
        SerfPushPull,
    )
}
MAX_LINES = 40
"Of one packet; a compound may have 255 parts."
MAX_HEX = 96
"Bytes of something unreadable that are shown."
MAX_NODES = 6
"Of a push/pull that are shown."
_INDENT = "  "
_MAX_DEPTH = 8


def packet_lines(datagram: bytes, layers: Layers) -> list[str]:
    """What is in a datagram. Never raises: what can't be read is shown in hex, with the reason."""
    return _cut(_packet(datagram, layers))


def stream_lines(data: bytes, layers: Layers) -> list[str]:
    """What is in the bytes of one direction of a stream, likewise."""
    return _cut(_stream(data, layers))


def message_line(message: bytes) -> str:
    """One message of a packet, type byte and body."""
    if not message:
        return "nothing, not even a type byte"
    kind, body = message[0], message[1:]
    try:
        if kind == MessageType.USER:
            return f"user message: {serf_line(body)}"
        if (known := MESSAGES.get(kind)) is not None:
            return repr(known.decode(body))
    except WireError as error:
        return f"{_name(kind)} that can't be read ({error}): {_hex(body)}"
    return f"{_name(kind)}: {_hex(body)}"


def serf_line(payload: bytes) -> str:
    """A message of Serf, or some other payload."""
    kind = payload[0] if payload else -1
    try:
        if kind == SerfMessageType.RELAY:
            relay = Relay.decode(payload[1:])
            return f"Relay to {relay.dest_name!r} at {relay.addr}: {serf_line(relay.inner)}"
        if kind in SERF_MESSAGES:
            return f"Serf's {SERF_MESSAGES[kind].decode(payload[1:])!r}"
    except WireError:
        pass
    return _hex(payload)


def _cut(lines: Iterator[str]) -> list[str]:
    found: list[str] = []
    for line in lines:
        if len(found) == MAX_LINES:
            found.append("…")
            break
        found.append(line if len(line) <= 400 else line[:400] + "…")
    return found


def _packet(data: bytes, layers: Layers) -> Iterator[str]:
    try:
        found, data = label.split(data)
    except WireError as error:
        yield f"label header that can't be read ({error}): {_hex(data)}"
        return
    if found:
        yield f"label {found!r}"
    if layers.keys:
        try:
            version = data[0] if data else 0
            data = security.decrypt(layers.keys, data, found)
            yield f"encrypted, version {version}"
        except WireError as error:
            yield f"not decrypted ({error})"
    if len(data) >= 5 and data[0] == MessageType.CRC:
        (said,) = struct.unpack_from(">I", data, 1)
        data = data[5:]
        yield f"crc {said:08x}" + ("" if crc32(data) == said else f", wrong: it is {crc32(data):08x}")
    yield from _inside(data, 0)


def _inside(message: bytes, depth: int) -> Iterator[str]:
    kind, margin = (message[0] if message else None), _INDENT * depth
    if depth == _MAX_DEPTH:
        yield f"{margin}nested too deep to show"
    elif kind == MessageType.COMPRESS:
        try:
            inner = compress.unwrap(Compress.decode(message[1:]), MAX_DECOMPRESSED)
        except WireError as error:
            yield f"{margin}compressed, can't be read ({error}): {_hex(message)}"
        else:
            yield f"{margin}compressed, {len(message)} bytes instead of {len(inner)}"
            yield from _inside(inner, depth + 1)
    elif kind == MessageType.COMPOUND and len(message) > 1 and len(message) >= 2 + 2 * message[1]:
        count = message[1]
        yield f"{margin}compound of {count}"
        start = 2 + 2 * count
        for length in struct.unpack_from(f">{count}H", message, 2):
            part = message[start : start + length]
            yield from _inside(part, depth + 1)
            start += length
        if start != len(message):
            yield f"{margin}{_INDENT}lengths that end {start - len(message):+d} bytes from the packet's end"
    else:
        yield margin + message_line(message)


def _stream(data: bytes, layers: Layers) -> Iterator[str]:
    rest = bytearray(data)

    def recv(size: int) -> bytes:
        taken = bytes(rest[:size])
        del rest[:size]
        return taken

    if data[:1] == bytes((label.MAGIC,)) and len(data) > 1:
        yield f"label {data[2 : 2 + data[1]]!r}"
        del rest[: 2 + data[1]]
    if rest[:1] == bytes((MessageType.ENCRYPT,)):
        yield f"encryption frame of {int.from_bytes(rest[1:5], 'big')} bytes"
    reader = StreamReader(recv, layers)
    try:
        kind = reader.read_type()
        bodies: dict[int, Callable[[], object]] = {
            MessageType.PING: reader.read_ping,
            MessageType.ACK: reader.read_ack,
            MessageType.ERROR: reader.read_error,
            MessageType.USER: reader.read_user_message,
        }
        if kind == MessageType.PUSH_PULL:
            state = reader.read_push_pull()
            yield f"push/pull, join={state.join}, {len(state.nodes)} nodes, {len(state.user_state or b'')} bytes beside"
            yield from (_INDENT + repr(node) for node in state.nodes[:MAX_NODES])
            if len(state.nodes) > MAX_NODES:
                yield f"{_INDENT}and {len(state.nodes) - MAX_NODES} nodes more"
            if state.user_state:
                yield _INDENT + serf_line(state.user_state)
        elif kind in bodies:
            yield repr(bodies[kind]())
        else:
            yield f"{_name(kind)}: {_hex(data)}"
    except (WireError, EOFError) as error:
        yield f"can't be read ({error}): {_hex(data)}"


def _name(kind: int) -> str:
    try:
        return f"message of type {kind} ({MessageType(kind).name.lower()})"
    except ValueError:
        return f"message of unknown type {kind}"


def _hex(data: bytes) -> str:
    shown = data[:MAX_HEX].hex()
    return f"{len(data)} bytes {shown}" + ("…" if len(data) > MAX_HEX else "")
