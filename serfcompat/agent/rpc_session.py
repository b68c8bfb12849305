"""One client's connection to the agent: requests in, replies and records out (spec agent §4.3 to §4.5)."""

from __future__ import annotations

import contextlib
import hmac
import logging
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import gevent
from gevent.lock import BoundedSemaphore

from serfcompat.agent.agent import Agent
from serfcompat.agent.event_filter import EventFilter
from serfcompat.agent.logs import LogPipeline
from serfcompat.agent.pending_queries import PendingQueries
from serfcompat.agent.rpc_queue import RecordQueue
from serfcompat.errors import SerfCompatError, WireError
from serfcompat.rpc import codec, protocol
from serfcompat.rpc.protocol import REQUESTS, ReplyHeader, Request, RequestHeader
from serfcompat.rpc.records import StreamedEvent, StreamedQuery, event_fields
from serfcompat.rpc.replies import Body
from serfcompat.runtime.inheritance import let_go
from serfcompat.serf.events import Event, QueryEvent
from serfcompat.swim.metrics import Metrics

log = logging.getLogger("serfcompat.agent.ipc")
STRANGER_LIMIT = 16 * 1024
"Bytes of one object before the client has shown the token: enough for the largest useful request."
REPLY_BUFFER = 64 * 1024
"Bytes of replies gathered while more requests are there already."


class Socket(Protocol):
    """A connected stream socket whose waits let other greenlets run."""

    def recv(self, size: int, /) -> bytes: ...

    def send(self, data: bytes | bytearray, /) -> int: ...

    def sendall(self, data: memoryview, /) -> Any: ...

    def close(self) -> None: ...


class Refused(Exception):
    """The request is answered with this error; the connection stays."""

    def __init__(self, text: str, body: Body | None = None) -> None:
        super().__init__(text)
        self.body = body


class Fatal(Exception):
    """The connection is closed without an answer; the text is for the log."""


class Stream:
    """Events for one client."""

    def __init__(self, filters: list[EventFilter], queue: RecordQueue) -> None:
        self.filters = filters
        self.queue = queue


Command = Callable[["Session", int, Any], Body | None]
"""Carries out a request of one kind: (session, sequence number, request) → body of the reply."""


class Session:
    """Serves one client until it goes. Requests are carried out strictly one after the other."""

    def __init__(
        self,
        sock: Socket,
        name: str,
        agent: Agent,
        logs: LogPipeline,
        commands: Mapping[type[Request], Command],
        *,
        auth_key: str,
        metrics: Metrics,
    ) -> None:
        """`name`: the client's address, for the log."""
        self.name = name
        self.agent = agent
        self.auth_key = auth_key
        self.handshaken = False
        self.authenticated = not auth_key
        self.streams: dict[int, Stream] = {}
        self.monitor: tuple[int, RecordQueue, Callable[[str], None]] | None = None
        self.pending = PendingQueries()
        self.after: Callable[[], None] | None = None
        "What a command wants done once its reply is on its way."
        self._socket = sock
        self._logs = logs
        self._commands = commands
        self._metrics = metrics
        self._sending = BoundedSemaphore(1)
        self._objects = codec.Objects(codec.MAX_REQUEST if self.authenticated else STRANGER_LIMIT)
        self._replies = bytearray()
        self._tasks: list[gevent.Greenlet] = []
        self._closed = False

    # -- the loop -----------------------------------------------------------------------------

    def serve(self) -> None:
        """Until the client or we have enough."""
        header = RequestHeader()
        try:
            while True:
                try:
                    data = self._next_object()
                    if data is None:
                        return
                    header = RequestHeader.decode(codec.unpack(data), header)
                except WireError as error:
                    log.error("agent.ipc: failed to decode request header: %s", error)
                    return
                try:
                    self._handle(header)
                except Fatal as error:
                    log.error("agent.ipc: Failed to evaluate request: %s", error)
                    return
        except OSError as error:
            if not self._closed:
                log.error("agent.ipc: failed to decode request header: %s", (error.strerror or str(error)).lower())
        finally:
            with contextlib.suppress(OSError):
                self._flush()
            self.close()

    def close(self) -> None:
        """Take the client's streams, monitor and queries down with its connection. May be called again."""
        if self._closed:
            return
        self._closed = True
        for stream in self.streams.values():
            stream.queue.stop()
        self.streams.clear()
        self.stop_monitor()
        for task in self._tasks:
            task.kill(block=False)
        self._socket.close()

    def abandon(self) -> None:
        """In a forked child: let go of the parent's socket."""
        let_go(self._socket)

    def _next_object(self) -> bytes | None:
        """The next object's bytes, or None at the end. Replies go out before we wait."""
        while (data := self._objects.next()) is None:
            self._flush()
            received = self._socket.recv(64 * 1024)
            if not received:
                return None
            self._objects.feed(received)
        return data

    def _handle(self, header: RequestHeader) -> None:
        """Check, carry out and answer one request. Raises Fatal."""
        if not self.handshaken and header.command != protocol.HandshakeRequest.COMMAND:
            self._reply(header.seq, protocol.HANDSHAKE_REQUIRED)
            raise Fatal(protocol.HANDSHAKE_REQUIRED)
        self._metrics.incr("agent.ipc.command")
        if not self.authenticated and header.command not in ("auth", "handshake"):
            # ⚠ The body, if there is one, stays unread: it will be taken for the next header.
            log.warning("agent.ipc: Client sending commands before auth")
            self._reply(header.seq, protocol.AUTH_REQUIRED)
            return
        kind = REQUESTS.get(header.command)
        if kind is None:
            self._reply(header.seq, protocol.UNSUPPORTED_COMMAND)
            raise Fatal(f"command '{header.command}' not recognized")
        request = self._read_body(kind)
        run = self._commands[kind]
        try:
            body, error = run(self, header.seq, request), ""
        except Refused as refusal:
            body, error = refusal.body, str(refusal)
        except SerfCompatError as failure:
            body, error = None, str(failure)
        if kind.REPLY is not None and body is None and kind.BODY_ON_ERROR:
            body = kind.REPLY()
        self._reply(header.seq, error, body)
        after, self.after = self.after, None
        if after is not None:
            self._flush()
            after()

    def _read_body(self, kind: type[Request]) -> Request:
        if not kind.LAYOUT.declared:
            return kind()
        try:
            data = self._next_object()
            if data is None:
                raise Fatal("decode failed: EOF")
            return kind.decode(codec.unpack(data))
        except WireError as error:
            raise Fatal(f"decode failed: {error}") from None

    # -- sending ------------------------------------------------------------------------------

    def _reply(self, seq: int, error: str = "", body: Body | None = None) -> None:
        header = ReplyHeader(seq, error).encode() if error else ReplyHeader.success(seq)
        self._replies += header if body is None else header + body.encode()
        if len(self._replies) > REPLY_BUFFER:
            self._flush()

    def _flush(self) -> None:
        if self._replies:
            data, self._replies = self._replies, bytearray()
            self.send(data)

    def flush_before_waiting(self) -> None:
        """For commands that take long: the answers to earlier ones must not wait for them."""
        self._flush()

    def send(self, data: bytes | bytearray) -> None:
        """Whole objects, never mixed with another greenlet's. Blocks as long as the client doesn't read."""
        with self._sending:
            if self._closed:
                raise BrokenPipeError("closed")
            # ⚠ gevent's sendall costs a look at the socket's options more.
            if (sent := self._socket.send(data)) < len(data):
                self._socket.sendall(memoryview(data)[sent:])

    def spawn(self, task: Callable[[], None]) -> gevent.Greenlet:
        """Run something beside the requests, at most until the client goes."""

        def run() -> None:
            with contextlib.suppress(OSError):  # the client has gone; the reading side says so
                task()

        greenlet = gevent.spawn(run)
        self._tasks = [each for each in self._tasks if not each.dead]
        self._tasks.append(greenlet)
        return greenlet

    # -- records ------------------------------------------------------------------------------

    def deliver(self, event: Event) -> None:
        """Queue an event on every stream that wants it. Never blocks."""
        for seq, stream in self.streams.items():
            if not any(each.matches(event) for each in stream.filters):
                continue
            streamed: StreamedEvent
            if isinstance(event, QueryEvent):
                streamed = StreamedQuery(self.pending.add(event), event.ltime, event.name, event.payload)
            else:
                streamed = event
            if not stream.queue.put(self.record(seq, codec.pack(event_fields(streamed)))):
                log.warning("agent.ipc: Dropping event to ipc.client: %s", self.name)

    def open_stream(self, seq: int, filters: list[EventFilter]) -> None:
        def failed(error: OSError) -> None:
            log.error("agent.ipc: Failed to stream event to ipc.client: %s: %s", self.name, error.strerror or error)
            self.streams.pop(seq, None)

        self.streams[seq] = Stream(filters, RecordQueue(self.send, failed))

    def stop_stream(self, seq: int) -> None:
        if (stream := self.streams.pop(seq, None)) is not None:
            stream.queue.stop()

    def open_monitor(self, seq: int, take: Callable[[RecordQueue], Callable[[str], None]]) -> None:
        """`take` makes, from the queue, what takes log lines; it gets the history at once."""
        queue = RecordQueue(self.send, lambda error: self.stop_monitor())
        monitor = take(queue)
        self.monitor = (seq, queue, monitor)
        self._logs.add_monitor(monitor)

    def stop_monitor(self) -> None:
        if self.monitor is not None:
            _, queue, monitor = self.monitor
            self.monitor = None
            self._logs.remove_monitor(monitor)
            queue.stop()

    @staticmethod
    def record(seq: int, body: bytes) -> bytes:
        """A record as it goes out: the header of a success, and the body."""
        return ReplyHeader.success(seq) + body

    def check_token(self, token: str) -> bool:
        """Compare with the agent's in constant time; without one, only the empty token is right."""
        return hmac.compare_digest(_raw(token), _raw(self.auth_key))

    def trust(self) -> None:
        self.authenticated = True
        self._objects.limit = codec.MAX_REQUEST


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
