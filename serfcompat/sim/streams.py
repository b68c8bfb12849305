"""Streams between simulated hosts: one request, at most one answer, with the delays of real ones.

The bytes are the real ones: label header, encryption frame, compression. What a stream
does on the way is reduced to its times: connect, request, answer. The server's half
follows spec memberlist §2.3, the client's §2.6 and §2.8.
"""

from __future__ import annotations

from collections.abc import Callable

from serfcompat.errors import MergeRefused, WireError
from serfcompat.sim.host import Engine, Host
from serfcompat.wire.address import Address
from serfcompat.wire.messages import ErrorReply
from serfcompat.wire.stream import PushPull, StreamReader, label_header, seal
from serfcompat.wire.types import MessageType

TIMEOUT = "i/o timeout"
REFUSED = "connection refused"
RESET = "connection reset by peer"
NO_ANSWER = "the peer closed the connection without an answer"


class Connection:
    """One stream, seen from the host that opened it. It ends once: with an answer, or with a reason."""

    __slots__ = ("client", "done", "life", "open", "request", "to")

    def __init__(self, client: Host, to: Address, request: bytes, done: Callable[[bytes, str | None], None]) -> None:
        self.client = client
        self.life = client.life
        self.to = to
        self.request = request
        self.done = done
        "(answer, None), or (b, why not)."
        self.open = True

    def end(self, answer: bytes, failure: str | None) -> None:
        """The client hears of the end, if it still is the one that asked."""
        if self.open:
            self.open = False
            if self.client.running and self.client.life == self.life:
                self.done(answer, failure)


def reader(data: bytes, engine: Engine) -> StreamReader:
    """A reader over everything that a peer wrote before it waited or hung up."""
    left = memoryview(data)

    def recv(size: int) -> bytes:
        nonlocal left
        taken, left = bytes(left[:size]), left[size:]
        return taken

    return StreamReader(recv, engine.layers)


def dial(engine: Engine, message: bytes, nonce: Callable[[], bytes]) -> bytes:
    """A request as it goes out: label header, then the sealed message."""
    return label_header(engine.layers.label) + seal(message, engine.layers, nonce)


class Served:
    """What a server makes of a request: the answer's bytes, and what is to be merged or delivered."""

    __slots__ = ("answer", "payload", "remote")

    def __init__(self, answer: bytes = b"", *, remote: PushPull | None = None, payload: bytes = b"") -> None:
        self.answer = answer
        self.remote = remote
        self.payload = payload


def serve(engine: Engine, request: bytes, source: Address, nonce: Callable[[], bytes]) -> Served:
    """Answer one inbound stream. Merging is left to the caller, because its effects are to be performed."""
    stream = reader(request, engine)
    try:
        stream.read_label_header()
    except WireError as error:
        engine.drop(error.reason, source)
        return Served()
    try:
        kind = stream.read_type()
    except EOFError:
        return Served()
    except WireError as error:
        engine.drop(error.reason, source)
        return Served(seal(ErrorReply(str(error).encode()).encode(), engine.layers, nonce))
    try:
        match kind:
            case MessageType.PUSH_PULL:
                remote = stream.read_push_pull()
                return Served(seal(engine.local_state(remote.join), engine.layers, nonce), remote=remote)
            case MessageType.PING:
                ack = engine.on_stream_ping(stream.read_ping())
                return Served() if ack is None else Served(seal(ack.encode(), engine.layers, nonce))
            case MessageType.USER:
                return Served(payload=stream.read_user_message())
    except (WireError, EOFError) as error:
        engine.drop(error.reason if isinstance(error, WireError) else "truncated", source)
    return Served()


def acknowledged(engine: Engine, answer: bytes, seq_no: int) -> bool:
    """Whether an answer is the ack of a ping over TCP."""
    stream = reader(answer, engine)
    try:
        return stream.read_type() == MessageType.ACK and stream.read_ack().seq_no == seq_no
    except (WireError, EOFError):
        return False


def remote_state(engine: Engine, answer: bytes) -> PushPull:
    """The other half of a push/pull. Raises MergeRefused, with the reason why there is none."""
    stream = reader(answer, engine)
    try:
        kind = stream.read_type()
        if kind == MessageType.ERROR:
            raise MergeRefused(f"remote error: {stream.read_error().error.decode('utf-8', 'backslashreplace')}")
        if kind != MessageType.PUSH_PULL:
            raise MergeRefused(f"received message type {kind} where a push/pull was expected")
        return stream.read_push_pull()
    except EOFError:
        raise MergeRefused(NO_ANSWER) from None
    except WireError as error:
        raise MergeRefused(str(error)) from error
