"""All layers of a datagram: how they are put on, and how they come off (spec memberlist §1).

    [label header] [encryption envelope] [CRC] [compress] [compound] message …

Label, encryption and CRC come off once, in this order. What is inside them may be compress and
compound messages in any nesting; anybody can send those, so depth, number and bytes are bounded.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from zlib import crc32

from serfcompat.errors import WireError
from serfcompat.wire import compress, label, security
from serfcompat.wire.layers import Layers
from serfcompat.wire.messages import Compress
from serfcompat.wire.types import MAX_DECOMPRESSED, MAX_PARTS, MessageType

_LEAVES = frozenset(
    (
        MessageType.PING,
        MessageType.INDIRECT_PING,
        MessageType.ACK,
        MessageType.NACK,
        MessageType.SUSPECT,
        MessageType.ALIVE,
        MessageType.DEAD,
        MessageType.USER,
    )
)
"Types that have a handler on packets."

MAX_DEPTH = 16
"Compress and compound messages around one another; upstream has no bound (defect B-12)."
MAX_MESSAGES = 4096
"Messages, good or bad, in one datagram: 16 full compounds. Upstream has no bound."
MAX_NESTED_LZW = 1 << 20
"""Bytes of LZW data decompressed for one datagram, nested ones included. More than fit in a
datagram can only come out of a decompression bomb."""

_CRC_SIZE = 5
_COMPRESSIBLE = 25
"Bytes that a payload needs at least for its compress message to be shorter: LZW can do no better."


def compound(messages: Sequence[bytes]) -> bytes:
    """At most 255 messages as one (spec §1.7). Raises ValueError for more."""
    count = len(messages)
    if count > MAX_PARTS:
        raise ValueError(f"{count} messages don't fit in one compound; `compounds` splits them")
    # ⚠ As upstream, a length that doesn't fit is cut: such a message could not be sent anyhow.
    lengths = [len(message) & 0xFFFF for message in messages]
    return b"".join((struct.pack(f">BB{count}H", MessageType.COMPOUND, count, *lengths), *messages))


def compounds(messages: Sequence[bytes]) -> list[bytes]:
    """Any number of messages in as few compounds as possible; the last may hold a single one (M-020)."""
    return [compound(messages[start : start + MAX_PARTS]) for start in range(0, len(messages), MAX_PARTS)]


def build(payload: bytes, layers: Layers, *, crc: bool, nonce: Callable[[], bytes]) -> bytes:
    """The datagram for one message or compound (spec §1.3).

    Args:
        crc: Whether the destination is known to understand the CRC header.
        nonce: Draws 12 fresh bytes; only called to encrypt.
    """
    if layers.compress and len(payload) >= _COMPRESSIBLE:
        payload = compress.shorter(payload) or payload
    if crc:
        payload = struct.pack(">BI", MessageType.CRC, crc32(payload)) + payload
    if layers.keys and layers.verify_outgoing:
        payload = security.encrypt(layers.encryption_version, layers.keys[0], nonce(), payload, layers.label)
    return label.header(layers.label) + payload


@dataclass(slots=True)
class Peeled:
    """What was in a datagram."""

    messages: list[bytes] = field(default_factory=list)
    "Messages that have a handler, type byte and body, in order. Their bodies are not decoded yet."
    drops: list[str] = field(default_factory=list)
    """Why something was dropped, in order: `label_malformed`, `label_double`, `label_mismatch`, `decrypt`,
    `crc`, `empty_message`, `compound_malformed`, `compound_truncated:<missing parts>`, `decompress`, and from
    our own bounds `too_deep` and `too_many`."""
    unsupported: list[int] = field(default_factory=list)
    "Types of messages that don't belong into packets, in order."


def peel(datagram: bytes, layers: Layers) -> Peeled:
    """Take all layers off a datagram (spec §1.9). Never raises: what is wrong is dropped, and said."""
    peeled = Peeled()
    try:
        payload = _take_off_once(datagram, layers)
    except WireError as error:
        peeled.drops.append(error.reason)
    else:
        _unfold(payload, peeled)
    return peeled


def _take_off_once(datagram: bytes, layers: Layers) -> bytes:
    """The payload inside label, encryption and CRC."""
    found, payload = label.split(datagram)
    label.check(found, layers)
    if layers.keys:
        try:
            payload = security.decrypt(layers.keys, payload, layers.label)
        except WireError as error:
            if layers.verify_incoming:
                raise WireError("decrypt", str(error)) from None
            # During a migration it may just be plaintext.
    if len(payload) >= _CRC_SIZE and payload[0] == MessageType.CRC:
        (expected,) = struct.unpack_from(">I", payload, 1)
        payload = payload[_CRC_SIZE:]
        if crc32(payload) != expected:
            raise WireError("crc")
    return payload


def _unfold(payload: bytes, into: Peeled) -> None:
    """Sort the messages of a payload, whatever their nesting, into `into`."""
    room = _Room()
    waiting = [(payload, 0)]  # the next one last; each with its depth
    for _ in range(MAX_MESSAGES):
        if not waiting:
            return
        message, depth = waiting.pop()
        kind = message[0] if message else None
        if kind in _LEAVES:
            into.messages.append(message)
        elif kind is None:
            into.drops.append("empty_message")
        elif kind != MessageType.COMPOUND and kind != MessageType.COMPRESS:
            into.unsupported.append(kind)
        elif depth == MAX_DEPTH:
            into.drops.append("too_deep")
        elif kind == MessageType.COMPOUND:
            waiting.extend((part, depth + 1) for part in reversed(_parts(message, into.drops)))
        elif (inner := room.decompress(message, into.drops)) is not None:
            waiting.append((inner, depth + 1))
    if waiting:
        into.drops.append("too_many")


def _parts(message: bytes, drops: list[str]) -> list[bytes]:
    """The parts of a compound, as many as are whole (spec §1.7)."""
    count = message[1] if len(message) > 1 else 0
    start = 2 + 2 * count
    if len(message) < max(start, 2):
        drops.append("compound_malformed")
        return []
    parts: list[bytes] = []
    for length in struct.unpack_from(f">{count}H", message, 2):
        end = start + length
        if end > len(message):
            drops.append(f"compound_truncated:{count - len(parts)}")
            break
        parts.append(message[start:end])
        start = end
    return parts


class _Room:
    """What may still be decompressed for one datagram."""

    __slots__ = ("lzw", "output")

    def __init__(self) -> None:
        self.output = MAX_DECOMPRESSED
        self.lzw = MAX_NESTED_LZW

    def decompress(self, message: bytes, drops: list[str]) -> bytes | None:
        try:
            packed = Compress.decode(message[1:])
            self.lzw -= len(packed.buf or b"")
            if self.lzw < 0:
                raise WireError("decompress_limit", "a bomb inside a bomb")
            inner = compress.unwrap(packed, self.output)
        except WireError:
            drops.append("decompress")
            return None
        self.output -= len(inner)
        return inner
