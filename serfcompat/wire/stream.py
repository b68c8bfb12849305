"""TCP messages: how they are wrapped, and a reader for what a peer writes (spec memberlist §2).

    [label header]            first thing that a dialer writes; never in an answer
    [0x0a | u32 n | n bytes]  the encryption frame, with keys
      [compress message]      with compression, ⚠ even if it grows
        type byte + body

The reader is plain blocking code over an injected `recv`: it knows no sockets. It holds what has
really arrived, never what was only announced, and every announcement is bounded first.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from serfcompat.errors import WireError
from serfcompat.wire import compress, label, security
from serfcompat.wire.cursor import ValueScanner
from serfcompat.wire.large_answer import Fetch
from serfcompat.wire.layers import Layers
from serfcompat.wire.messages import Ack, Compress, ErrorReply, Ping, PushPullHeader, PushPullNode, UserMsgHeader
from serfcompat.wire.types import (
    MAX_DECOMPRESSED,
    MAX_FRAME,
    MAX_PUSH_PULL_NODES,
    MAX_USER_MSG,
    MAX_USER_STATE,
    MessageType,
)

_CHUNK = 65536
"Bytes asked of `recv` at a time."
_MAX_COMPRESSED = 64 << 20
"Bytes of a compress message in plaintext. What LZW at its worst makes of 40 MiB, the output's limit, still fits."
_MAX_HEADER = 1 << 16
"Bytes of a map other than a node's. Those we know need under 100; the rest is for keys of the future."
_MAX_NODE = 1 << 20
"Bytes of one node's map in a push/pull; its metadata are some hundred."
_MAX_NODES_SIZE = 256 << 20
"Bytes of all nodes' maps together: 250 for each of the 1 048 576 nodes that there may be."


def label_header(of: bytes) -> bytes:
    """What a dialer writes first; nothing without a label (M-045)."""
    return label.header(of)


def seal(message: bytes, layers: Layers, nonce: Callable[[], bytes]) -> bytes:
    """Compress and encrypt one message as `layers` say, for either direction (spec §2.1, §2.2)."""
    if layers.compress:
        message = compress.wrap(message)
    if not (layers.keys and layers.verify_outgoing):
        return message
    version = layers.encryption_version
    header = struct.pack(">BI", MessageType.ENCRYPT, security.sealed_size(version, len(message)))
    return header + security.encrypt(version, layers.keys[0], nonce(), message, header + layers.label)


def push_pull_message(join: bool, nodes: Sequence[PushPullNode], user_state: bytes | None) -> bytes:
    """One half of a push/pull: header, node maps and raw user state, without separators (spec §2.6)."""
    state = user_state or b""  # ⚠ on the wire, none and empty are the same here
    header = PushPullHeader(len(nodes), len(state), join)
    return b"".join((header.encode(), *(node.encode() for node in nodes), state))


def user_message(payload: bytes) -> bytes:
    """A user message; unlike in packets, its length is told (spec §2.7)."""
    return UserMsgHeader(len(payload)).encode() + payload


@dataclass(frozen=True, slots=True)
class PushPull:
    """The full state of a peer."""

    join: bool
    "Whether the peer wants to join; else it is anti-entropy."
    nodes: Sequence[PushPullNode]
    user_state: bytes | None
    "What the layer above added; None if it is empty."


class StreamReader:
    """Reads one message from a stream: `read_label_header` (servers), `read_type`, then the body that fits.

    Any method may raise what `recv` raises.
    """

    def __init__(self, recv: Callable[[int], bytes], layers: Layers) -> None:
        """`recv(n)` blocks, and gives 1 to n bytes, or b"" at the end of the stream."""
        self._recv = recv
        self._layers = layers
        self._buffer = bytearray()
        "What arrived and was not used up yet, from `_at` on."
        self._at = 0
        self.frame_size: int | None = None
        """Bytes of the encryption frame, once it was announced (for `memberlist.size.remote`).

        More than 12 582 912 are worth a warning: 20 971 520 is the limit (M-052).
        """

    def read_label_header(self) -> None:
        """Take off and check the label that a dialer writes first (spec §2.3 steps 2 and 3).

        A stream that ends before its first byte counts as one without label.

        Raises:
            WireError: `label_malformed`, `label_mismatch` or `label_double`. Hang up, without an answer.
        """
        found = b""
        try:
            if self._has_more() and self._buffer[0] == label.MAGIC:
                _, size = self._take(2)
                if not size:
                    raise WireError("label_malformed", "label header with an empty label")
                found = self._take(size)
        except EOFError:
            raise WireError("label_malformed", "stream ended in the label header") from None
        label.check(found, self._layers)

    def read_type(self) -> int:
        """The message's type, with encryption and compression taken off once each (spec §2.4).

        Raises:
            EOFError: The peer hung up before or inside the message: nothing to log or answer.
            WireError: `enc_unconfigured`, `plaintext_refused`, `too_large`, `enc_short`, `enc_version`,
                `no_key`, `algo`, `decomp_empty` or `receive` (anything else). A server answers with an error reply.
        """
        (kind,) = self._take(1)
        try:
            if kind == MessageType.ENCRYPT:
                kind = self._decrypt()
            elif self._layers.keys and self._layers.verify_incoming:
                raise WireError("plaintext_refused", "encryption is configured but the message is not encrypted")
            if kind == MessageType.COMPRESS:
                kind = self._decompress()
        except WireError as error:
            if error.reason in _TOLD_APART:
                raise
            raise WireError("receive", str(error)) from None
        return kind

    def read_push_pull(self) -> PushPull:
        """The body of a push/pull (spec §2.6), with ports as they were sent.

        Raises:
            WireError: `nodes_limit`, `userstate_limit` or `remote_state` (anything else).
        """
        return _as("remote_state", self._push_pull)

    def read_user_message(self) -> bytes:
        """The body of a user message (spec §2.7). Raises WireError `usermsg_limit` or `user_message`."""
        return _as("user_message", self._user_message)

    def read_ping(self) -> Ping:
        """The body of a ping. Raises WireError `ping_decode`."""
        return _as("ping_decode", lambda: Ping.decode(self._value(_MAX_HEADER)))

    def read_ack(self) -> Ack:
        """The body of an ack. Raises WireError `ack_decode`."""
        return _as("ack_decode", lambda: Ack.decode(self._value(_MAX_HEADER)))

    def read_fetch(self) -> Fetch:
        """The body of a fetch. Raises WireError `fetch_decode`."""
        return _as("fetch_decode", lambda: Fetch.decode(self._value(_MAX_HEADER)))

    def read_error(self) -> ErrorReply:
        """The body of an error reply. Raises WireError `error_decode`."""
        return _as("error_decode", lambda: ErrorReply.decode(self._value(_MAX_HEADER)))

    # -- layers -------------------------------------------------------------------------------

    def _decrypt(self) -> int:
        """Take off the encryption frame; the type of what is inside."""
        layers = self._layers
        if not layers.keys:
            raise WireError("enc_unconfigured", "message is encrypted and encryption is not configured")
        length = self._take(4)
        size = int.from_bytes(length, "big")
        self.frame_size = size
        if size > MAX_FRAME:
            raise WireError("too_large", f"message of {size} bytes is larger than the limit of {MAX_FRAME}")
        aad = bytes((MessageType.ENCRYPT,)) + length + layers.label
        plaintext = security.decrypt(layers.keys, self._take(size), aad)
        if not plaintext:  # upstream crashes here (defect B-1)
            raise WireError("empty", "nothing inside the encryption")
        return self._go_on_in(plaintext)

    def _decompress(self) -> int:
        """Take off the compress message; the type of what is inside."""
        inner = compress.unwrap(self._compress_message(), MAX_DECOMPRESSED)
        if not inner:
            raise WireError("decomp_empty", "nothing inside the compression")
        return self._go_on_in(inner)

    def _compress_message(self) -> Compress:
        try:
            return Compress.decode(self._value(_MAX_COMPRESSED))
        except EOFError:
            # Upstream decodes as it reads: what is wrong before the end of the stream is no mere hang-up.
            rest = self._use(len(self._buffer))
            try:
                return Compress.decode(rest)
            except WireError as error:
                if error.reason == "truncated":
                    raise EOFError("the stream ended inside a compress message") from None
                raise

    def _go_on_in(self, message: bytes) -> int:
        """Read the rest from `message` instead of the stream, after its type."""
        self._recv = _nothing
        self._buffer = bytearray(message)
        self._at = 1
        return message[0]

    # -- bodies -------------------------------------------------------------------------------

    def _push_pull(self) -> PushPull:
        header = PushPullHeader.decode(self._value(_MAX_HEADER))
        if not 0 <= header.nodes <= MAX_PUSH_PULL_NODES:
            raise WireError("nodes_limit", f"{header.nodes} nodes in a push/pull")
        nodes = self._nodes(header.nodes)
        # ⚠ Only now, as upstream: a bad node before it is another error.
        if not 0 <= header.user_state_len <= MAX_USER_STATE:
            raise WireError("userstate_limit", f"{header.user_state_len} bytes of user state in a push/pull")
        return PushPull(header.join, nodes, self._take(header.user_state_len) or None)

    def _nodes(self, count: int) -> list[PushPullNode]:
        """The next `count` nodes of a push/pull."""
        nodes: list[PushPullNode] = []
        room = _MAX_NODES_SIZE
        while len(nodes) < count:
            value = self._value(min(_MAX_NODE, room))
            nodes.append(PushPullNode.decode(value))
            # With it came more, mostly. All that are whole are read at once; the scanner can wait for the others.
            begin = self._at
            more, self._at = PushPullNode.decode_many(self._buffer, begin, count - len(nodes), _MAX_NODE)
            nodes += more
            room -= len(value) + self._at - begin
            if room < 0:
                raise WireError("too_long", f"nodes of more than {_MAX_NODES_SIZE} bytes in a push/pull")
        return nodes

    def _user_message(self) -> bytes:
        size = UserMsgHeader.decode(self._value(_MAX_HEADER)).user_msg_len
        if not 0 <= size <= MAX_USER_MSG:
            raise WireError("usermsg_limit", f"user message of {size} bytes")
        return self._take(size)

    # -- bytes --------------------------------------------------------------------------------

    def _value(self, limit: int) -> bytes:
        """The next msgpack value, whole, of at most `limit` bytes. Raises EOFError, or WireError for bad msgpack."""
        scanner = ValueScanner()
        while (end := scanner.feed(self._buffer, self._at)) is None:
            if len(self._buffer) - self._at > limit:
                break
            self._receive(_CHUNK)
        if end is None or end - self._at > limit:
            raise WireError("too_long", f"a msgpack value of more than {limit} bytes")
        return self._use(end)

    def _take(self, size: int) -> bytes:
        """The next `size` bytes. Raises EOFError if the stream ends before."""
        while (missing := self._at + size - len(self._buffer)) > 0:
            self._receive(missing)
        return self._use(self._at + size)

    def _has_more(self) -> bool:
        try:
            while len(self._buffer) == self._at:
                self._receive(_CHUNK)
        except EOFError:
            return False
        return True

    def _use(self, end: int) -> bytes:
        taken = bytes(self._buffer[self._at : end])
        self._at = end
        return taken

    def _receive(self, most: int) -> None:
        """Wait for up to `most` more bytes."""
        if self._at > _CHUNK:
            del self._buffer[: self._at]
            self._at = 0
        data = self._recv(min(most, _CHUNK))
        if not data:
            raise EOFError("the stream ended inside a message")
        self._buffer += data


_TOLD_APART = frozenset(
    ("enc_unconfigured", "plaintext_refused", "too_large", "enc_short", "enc_version", "no_key", "algo", "decomp_empty")
)
"What `read_type` reports by name."

_Read = TypeVar("_Read")


def _as(reason: str, read: Callable[[], _Read]) -> _Read:
    """`read()`, with every error but a broken limit called `reason`, and a stream that ends too early as well."""
    try:
        return read()
    except EOFError as error:
        raise WireError(reason, str(error)) from None
    except WireError as error:
        if error.reason.endswith("_limit"):
            raise
        raise WireError(reason, str(error)) from None


def _nothing(_: int) -> bytes:
    return b""
