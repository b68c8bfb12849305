"""Streams: one exchange per connection, as straight blocking code (spec memberlist §2).

Each function takes an open connection, or opens one, and an engine that decides. None
needs a state machine: read, ask the engine, write, hang up. Every exchange has one
deadline for all of it, so a peer that sends a byte a minute costs a greenlet, not a leak.
"""

from __future__ import annotations

import dataclasses
import hashlib
import socket as std_socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, Self

import gevent
from gevent import socket

from serfcompat.errors import MergeRefused, WireError
from serfcompat.runtime import dual_stack
from serfcompat.swim.config import MemberlistConfig
from serfcompat.wire.address import Address, ip_text
from serfcompat.wire.large_answer import MAX_ANSWER, PIECE, Fetch, Reference
from serfcompat.wire.layers import Layers
from serfcompat.wire.messages import Ack, ErrorReply, Ping
from serfcompat.wire.stream import PushPull, StreamReader, label_header, seal, user_message
from serfcompat.wire.types import MAX_FRAME, WARN_FRAME, MessageType

PUSH_PULL_LIMIT = 127
"Inbound push/pulls served at once; one more is refused (M-069)."
LISTEN_BACKLOG = 128
MOST_PIECES = 2 * MAX_ANSWER // PIECE
"Pieces of large answers that one stream may ask for."


class StreamEngine(Protocol):
    """What an exchange asks of an engine."""

    @property
    def layers(self) -> Layers: ...

    @property
    def config(self) -> MemberlistConfig: ...

    def local_state(self, join: bool) -> bytes: ...

    def on_stream_ping(self, ping: Ping) -> Ack | None: ...

    def drop(self, reason: str, source: Address) -> None: ...


class Connection(Protocol):
    """An open stream; `recv(n)` gives 1 to n bytes, or none at its end."""

    def recv(self, size: int, /) -> bytes: ...

    def sendall(self, data: bytes, /) -> None: ...


class ExchangeFailed(Exception):
    """An exchange that we started did not come to its end; the text says why."""


@dataclass(slots=True)
class Sinks:
    """Where what was read is handed to: the ring steps the engine and performs its effects."""

    user_message: Callable[[bytes], None]
    merge: Callable[[PushPull, bool], None]
    "(remote, join); raises MergeRefused."
    log_error: Callable[[str], None]
    log_warning: Callable[[str], None]
    nonce: Callable[[], bytes]
    count: Callable[[str, float], None]
    sample: Callable[[str, float], None]
    renew_deadline: Callable[[], None] = lambda: None
    piece: Callable[[bytes, int], bytes] | None = None
    "(digest, offset) → a piece of a large answer, empty if there is none; None: this node has no answers."


class Gate:
    """Counts the push/pulls being served."""

    __slots__ = ("serving",)

    def __init__(self) -> None:
        self.serving = 0

    def __enter__(self) -> bool:
        self.serving += 1
        return self.serving <= PUSH_PULL_LIMIT

    def __exit__(self, *_: object) -> None:
        self.serving -= 1


def serve(connection: Connection, source: Address, engine: StreamEngine, sinks: Sinks, gate: Gate) -> None:
    """Answer the one request of an inbound connection (spec §2.3)."""
    layers = engine.layers
    reader = StreamReader(connection.recv, layers)
    try:
        reader.read_label_header()
    except WireError as error:
        engine.drop(error.reason, source)
        return
    try:
        kind = _read_type(reader, source, sinks)
    except EOFError:
        return
    except WireError as error:
        engine.drop(error.reason, source)
        # The one place where a server explains itself. ⚠ Replies carry no label header (M-045).
        _send(connection, ErrorReply(str(error).encode()).encode(), layers, sinks)
        return
    match kind:
        case MessageType.USER:
            _serve_user(reader, source, engine, sinks)
        case MessageType.PUSH_PULL:
            with gate as room:
                if room:
                    _serve_push_pull(connection, reader, source, engine, sinks)
                else:
                    engine.drop("push_pull_limit", source)
                    sinks.log_error("memberlist: too many pending push/pull requests")
        case MessageType.FETCH if sinks.piece is not None:
            _serve_pieces(connection, reader, source, engine, sinks)
        case MessageType.PING:
            _serve_ping(connection, reader, source, engine, sinks)
        case _:
            engine.drop("invalid_type", source)


def _read_type(reader: StreamReader, source: object, sinks: Sinks) -> int:
    """The message's type; the size of an encryption frame is told, and warned of long before it is refused."""
    try:
        return reader.read_type()
    finally:
        if reader.frame_size is not None:
            sinks.sample("memberlist.size.remote", reader.frame_size)
            if WARN_FRAME < reader.frame_size <= MAX_FRAME:
                sinks.log_warning(
                    f"memberlist: remote state of {reader.frame_size} bytes from {source} comes near "
                    f"the limit of {MAX_FRAME}: fewer nodes, or less user state"
                )


def _serve_user(reader: StreamReader, source: Address, engine: StreamEngine, sinks: Sinks) -> None:
    try:
        payload = reader.read_user_message()
    except (WireError, EOFError) as error:
        engine.drop(_reason(error, "user_message"), source)
        return
    if payload:  # ⚠ unlike in packets, an empty one is not delivered (M-070)
        sinks.user_message(payload)


def _serve_push_pull(
    connection: Connection, reader: StreamReader, source: Address, engine: StreamEngine, sinks: Sinks
) -> None:
    try:
        remote = reader.read_push_pull()
    except (WireError, EOFError) as error:
        engine.drop(_reason(error, "remote_state"), source)
        return
    sinks.renew_deadline()
    # Before merging, so that the other side learns of us even if we refuse it (M-062).
    _send(connection, engine.local_state(remote.join), engine.layers, sinks)
    try:
        sinks.merge(remote, remote.join)
    except MergeRefused as error:
        engine.drop("merge_refused", source)
        sinks.log_error(f"memberlist: failed push/pull merge: {error} (from {source})")


def _serve_ping(
    connection: Connection, reader: StreamReader, source: Address, engine: StreamEngine, sinks: Sinks
) -> None:
    try:
        ping = reader.read_ping()
    except (WireError, EOFError) as error:
        engine.drop(_reason(error, "ping_decode"), source)
        return
    ack = engine.on_stream_ping(ping)
    if ack is None:
        engine.drop("ping_wrong_node", source)
        return
    _send(connection, ack.encode(), engine.layers, sinks)


def _serve_pieces(
    connection: Connection, reader: StreamReader, source: Address, engine: StreamEngine, sinks: Sinks
) -> None:
    """Piece after piece of a large answer, as long as the other side asks for them."""
    layers = _uncompressed(engine.layers)
    for _ in range(MOST_PIECES):
        try:
            fetch = reader.read_fetch()
        except (WireError, EOFError) as error:
            engine.drop(_reason(error, "fetch_decode"), source)
            return
        assert sinks.piece is not None
        piece = sinks.piece(fetch.digest or b"", fetch.offset)
        _send(connection, user_message(piece), layers, sinks)
        if not piece:
            return
        sinks.renew_deadline()
        # The other side says nothing before it has the piece: no reader can have taken bytes of the next request.
        reader = StreamReader(connection.recv, layers)
        try:
            if reader.read_type() != MessageType.FETCH:
                engine.drop("invalid_type", source)
                return
        except EOFError:
            return
        except WireError as error:
            engine.drop(error.reason, source)
            return


def fetch(connection: Connection, reference: Reference, layers: Layers, sinks: Sinks) -> bytes:
    """A large answer, from who referred to it. Raises ExchangeFailed, also if it is another than was told."""
    layers = _uncompressed(layers)
    digest, answer, header = hashlib.sha256(), bytearray(), True
    while len(answer) < reference.size:
        _send(connection, Fetch(reference.digest, len(answer)).encode(), layers, sinks, header=header)
        header = False
        reader = StreamReader(connection.recv, layers)
        try:
            kind = reader.read_type()
            piece = reader.read_user_message() if kind == MessageType.USER else b""
        except (EOFError, WireError) as error:
            raise ExchangeFailed(f"the answer was not sent to its end: {error}") from error
        if not piece or len(answer) + len(piece) > reference.size:
            raise ExchangeFailed("the node has no such answer any more")
        digest.update(piece)
        answer += piece
    if digest.digest() != reference.digest:
        raise ExchangeFailed("the answer is not the one that was referred to")
    return bytes(answer)


def _uncompressed(layers: Layers) -> Layers:
    """⚠ LZW would take seconds for an answer, on the hub."""
    return dataclasses.replace(layers, compress=False)


def push_pull(connection: Connection, engine: StreamEngine, sinks: Sinks, *, join: bool) -> None:
    """Exchange full state with whoever answers on an open connection (spec §2.6, client side).

    Raises:
        ExchangeFailed: The peer refused, or did not speak the protocol.
        MergeRefused: We refuse what the peer told.
    """
    layers = engine.layers
    sinks.count("memberlist.tcp.connect", 1)
    _send(connection, engine.local_state(join), layers, sinks, header=True)
    sinks.renew_deadline()
    reader = StreamReader(connection.recv, layers)
    sinks.merge(read_answer(reader, lambda: _read_type(reader, "a peer that we asked", sinks)), join)


def read_answer(reader: StreamReader, read_type: Callable[[], int]) -> PushPull:
    """What a peer tells whom we sent our half of a push/pull. Raises ExchangeFailed, which says what to do."""
    try:
        kind = read_type()
        if kind == MessageType.ERROR:
            raise ExchangeFailed(f"remote error: {reader.read_error().error.decode('utf-8', 'backslashreplace')}")
        if kind != MessageType.PUSH_PULL:
            raise ExchangeFailed(f"received message type {kind} where a push/pull was expected")
        return reader.read_push_pull()
    except EOFError:
        raise ExchangeFailed(
            "the peer closed the connection without an answer (is its label or key another?)"
        ) from None
    except WireError as error:
        raise ExchangeFailed(_explain(error)) from error


def tcp_ping(connection: Connection, message: bytes, seq_no: int, layers: Layers, sinks: Sinks) -> bool:
    """Whether the peer acknowledges this ping over its stream (spec §2.8)."""
    _send(connection, message, layers, sinks, header=True)
    reader = StreamReader(connection.recv, layers)
    try:
        return reader.read_type() == MessageType.ACK and reader.read_ack().seq_no == seq_no
    except (EOFError, WireError):
        return False


def send_user(connection: Connection, payload: bytes, layers: Layers, sinks: Sinks) -> None:
    """Deliver one user message; there is no reply (spec §2.7)."""
    _send(connection, user_message(payload), layers, sinks, header=True)


def _send(connection: Connection, message: bytes, layers: Layers, sinks: Sinks, *, header: bool = False) -> None:
    sealed = seal(message, layers, sinks.nonce)
    sinks.count("memberlist.tcp.sent", len(sealed))
    if header:
        sealed = label_header(layers.label) + sealed
    connection.sendall(sealed)


def _reason(error: WireError | EOFError, fallback: str) -> str:
    if isinstance(error, WireError) and error.reason.endswith("_limit"):
        return error.reason
    return fallback


def _explain(error: WireError) -> str:
    match error.reason:
        case "enc_unconfigured":
            return "remote state is encrypted and encryption is not configured: set the cluster's key"
        case "plaintext_refused":
            return "encryption is configured but remote state is not encrypted: the peer has no key"
        case "no_key":
            return "no installed keys could decrypt the message: the peer uses another key"
        case _:
            return str(error)


class Dialled:
    """A connection of ours, closed at the end of the block."""

    def __init__(self, to: Address, timeout: float) -> None:
        """Raises OSError, also when `timeout` seconds (0: at once) were not enough."""
        family = (
            std_socket.AF_INET if len(to.ip) == 4 or to.ip[:12] == b"\0" * 10 + b"\xff\xff" else std_socket.AF_INET6
        )
        self.socket = socket.socket(family, std_socket.SOCK_STREAM)
        try:
            self.socket.settimeout(max(timeout, 0.001))
            self.socket.connect((ip_text(to.ip), to.port))
            self.socket.settimeout(None)  # from here on one deadline holds for the whole exchange
        except BaseException:
            self.socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def recv(self, size: int, /) -> bytes:
        return bytes(self.socket.recv(size))

    def sendall(self, data: bytes, /) -> None:
        self.socket.sendall(data)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises OSError.

    SO_REUSEADDR, as Go sets it: a restarted agent must not wait for its old connections in TIME_WAIT.
    """

    def make(family: int) -> socket.socket:
        listener = socket.socket(family, std_socket.SOCK_STREAM)
        listener.setsockopt(std_socket.SOL_SOCKET, std_socket.SO_REUSEADDR, 1)
        return listener

    listener = dual_stack.bound(make, host, port)
    try:
        listener.listen(LISTEN_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


class Deadline:
    """One deadline over everything inside the block; renewing it starts it again.

    Raises TimeoutError (an OSError) inside the block when it is over.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._timeout: gevent.Timeout | None = None

    def __enter__(self) -> Self:
        self.renew()
        return self

    def renew(self) -> None:
        if self._timeout is not None:
            self._timeout.close()
        self._timeout = gevent.Timeout.start_new(self._seconds, TimeoutError("i/o timeout"))

    def __exit__(self, *_: object) -> None:
        if self._timeout is not None:
            self._timeout.close()
