"""One connection to an agent, shared by any number of threads, with no thread of its own.

Whoever waits for an answer reads, if nobody else does, and hands out what it finds: answers to
other threads' requests, and records of streams. When it has what it waited for, it passes the
reading on to another one that waits. So a lone caller pays for no thread switch, and what nobody
asks for stays where it is, in the socket, which tells the agent to slow down.

Nothing here is taken from `socket` or `threading` at import, so that the module works in a
program that gevent patches later.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

import msgpack

from serfcompat.errors import AgentUnreachable, RPCError
from serfcompat.rpc import codec
from serfcompat.rpc.protocol import BODYLESS_ERRORS, ReplyHeader, Request
from serfcompat.rpc.replies import Body

CLOSED = "client closed"
STREAM_CLOSED = "Stream closed"
MAX_IN_FLIGHT = 96 * 1024
"Bytes of requests that may wait for answers: what the sockets hold even if the agent reads none."
WRITE_SIZE = 4 * 1024
"Bytes of requests gathered for one write."
OVERHEAD = 768
"Bytes that the system accounts for a small write, beside its own."
MAX_QUEUED = 65536
"Records of one stream that may wait to be taken before newer ones are dropped and counted."

T = TypeVar("T")


class Waiter:
    """Something that threads wait for."""

    __slots__ = ("sleepers",)

    def __init__(self) -> None:
        self.sleepers: list[threading.Event] = []
        "Of the threads that wait for it and don't read."

    @property
    def ready(self) -> bool:
        """Whether what is waited for has come."""
        raise NotImplementedError

    def notify(self) -> None:
        for sleeper in self.sleepers:
            sleeper.set()


class Call(Waiter):
    """A request that was sent."""

    __slots__ = ("_body", "_connection", "_error", "_finished", "request", "seq", "size")

    def __init__(self, connection: Connection, request: Request, seq: int, size: int) -> None:
        self.sleepers = []
        self.request = request
        self.seq = seq
        self.size = size
        "Bytes of socket buffer that the request may take."
        self._connection = connection
        self._finished = False

    @property
    def ready(self) -> bool:
        return self._finished

    def finish(self, body: Body | None, error: RPCError | None) -> None:
        self._body = body
        self._error = error
        self._finished = True
        if self.sleepers:
            self.notify()

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the answer, and return its body.

        Raises:
            RPCError: The agent refused. `.reply` has the body of a refused join or key command.
            AgentUnreachable: The connection was lost before the answer came.
            TimeoutError: Nothing came within `timeout` seconds. Waiting again is fine.
        """
        if not self._finished and not self._connection.wait(self, timeout):
            raise TimeoutError(f"no answer to {self.request.COMMAND} within {timeout} s")
        if self._error is not None:
            raise self._error
        return self._body


class Inbox(Waiter, Generic[T]):
    """Records of one or more streams, in the order they came."""

    def __init__(self) -> None:
        super().__init__()
        self.records: deque[T] = deque()
        self.dropped = 0
        "Records that did not fit."
        self.ended = False
        "Nothing more will come."
        self.error: RPCError | None = None
        "Why it ended, unless it was the end of a query, or closed by its owner."

    @property
    def ready(self) -> bool:
        return bool(self.records) or self.ended

    def put(self, record: T) -> None:
        if len(self.records) >= MAX_QUEUED:
            self.dropped += 1
            return
        self.records.append(record)
        self.notify()

    def end(self, error: RPCError | None = None) -> None:
        self.ended = True
        self.error = self.error or error
        self.notify()


Sink = Callable[[Any], None]
"""Takes the body of one record. Raises WireError."""


class Connection:
    """Sends requests, and brings home what the agent sends."""

    def __init__(self, sock: socket.socket, timeout: float) -> None:
        """Takes a connected socket. `timeout`: seconds for each write; reads wait for ever."""
        self._socket = sock
        _bound_writes(sock, timeout)
        self._unpacker = msgpack.Unpacker(
            raw=False,
            use_list=True,
            strict_map_key=False,
            unicode_errors="surrogateescape",
            max_buffer_size=codec.MAX_REPLY,
            read_size=64 * 1024,
            max_array_len=1 << 17,
        )
        self._buffer = memoryview(bytearray(64 * 1024))
        "Where bytes are received: one new object for each read would cost more than the reading."
        self._received = 0
        "Bytes, in all."
        self._seq = 0
        self._writing = threading.Lock()
        self._reading = threading.Lock()
        self._blocked: dict[threading.Event, None] = {}
        self._calls: dict[int, Call] = {}
        self._sent = self._answered = 0
        "Bytes of requests; each is changed under its own lock."
        self._sinks: dict[int, tuple[Sink, Inbox[Any]]] = {}
        self._call: Call | None = None
        self._kind: type[Body] = Body
        self._error = ""
        self._sink: Sink | None = None
        "Whose header was read last, so that the next object is its body."
        self._resync = False
        "The last header belonged to nobody; it may have a body."
        self.closed = False

    # -- requests -----------------------------------------------------------------------------

    def submit(self, request: Request, sink: Sink | None = None, inbox: Inbox[Any] | None = None) -> Call:
        """Send a request, without waiting for the answer.

        Args:
            sink: For a command that opens a stream: gets the body of each record.
            inbox: The stream's end: is told when the connection is.

        Raises:
            AgentUnreachable: The connection is closed, or takes nothing for so long that it was closed.
        """
        if self._sent - self._answered > MAX_IN_FLIGHT:
            self._wait_for_room()
        with self._writing:
            call, data = self._number(request)
            if sink is not None and inbox is not None:
                self._sinks[call.seq] = (sink, inbox)
            try:
                self._socket.sendall(data)
            except OSError as error:
                raise self._unwritten(error) from error
        return call

    def call(self, request: Request, timeout: float | None = None) -> Any:
        """Send a request and wait for its answer: `submit` and `result`, for less. Raises what they raise.

        Who finds nobody reading becomes the reader before the request is sent. Then its answer can't
        come to anybody else, and the bookkeeping is done while the agent works.
        """
        if self._sent - self._answered > MAX_IN_FLIGHT or not self._reading.acquire(False):
            return self.submit(request).result(timeout)
        try:
            with self._writing:
                if self.closed:
                    raise AgentUnreachable(CLOSED)
                self._seq = seq = self._seq + 1
                data = request.encode_with(seq)
                try:
                    self._socket.sendall(data)
                except OSError as error:
                    raise self._unwritten(error) from error
                self._sent += (size := len(data) + OVERHEAD)
            call = self._calls[seq] = Call(self, request, seq, size)
            if self.closed:  # by another thread, perhaps before the call was among those that it told
                raise AgentUnreachable(CLOSED)
            if timeout is None:
                while not call._finished:
                    self._read()
                if call._error is None:
                    return call._body
        finally:
            self._reading.release()
            if self._blocked:
                self._pass_on()
        return call.result(timeout)

    def submit_all(self, requests: Iterable[Request]) -> list[Call]:
        """Send many requests in few writes, which costs both sides much less. Raises AgentUnreachable."""
        calls: list[Call] = []
        gathered = bytearray()
        for request in requests:
            with self._writing:
                call, data = self._number(request)
            calls.append(call)
            gathered += data
            if len(gathered) > WRITE_SIZE:
                self._write(gathered)
                gathered.clear()
                self._wait_for_room()
        if gathered:
            self._write(gathered)
        return calls

    def _wait_for_room(self) -> None:
        while self._sent - self._answered > MAX_IN_FLIGHT and (oldest := list(self._calls.values())[:1]):
            self.wait(oldest[0])

    def _number(self, request: Request) -> tuple[Call, bytes]:
        if self.closed:
            raise AgentUnreachable(CLOSED)
        self._seq += 1
        data = request.encode_with(self._seq)
        call = Call(self, request, self._seq, len(data) + OVERHEAD)
        self._calls[call.seq] = call
        self._sent += call.size
        return call, data

    def _write(self, data: bytearray) -> None:
        with self._writing:
            try:
                self._socket.sendall(data)
            except OSError as error:
                raise self._unwritten(error) from error

    def _unwritten(self, error: OSError) -> AgentUnreachable:
        self._fail(error)
        return AgentUnreachable(CLOSED)

    def forget(self, seq: int) -> None:
        """Drop what still comes for a stream."""
        self._sinks.pop(seq, None)

    def close(self) -> None:
        """Give up at once; calls and streams that wait end with an error. May be called again."""
        self._fail(None)

    def abandon(self) -> None:
        """In a forked child: close this process's copy of the socket, and leave the parent's alone."""
        self.closed = True
        with contextlib.suppress(OSError):
            os.close(self._socket.detach())

    # -- reading ------------------------------------------------------------------------------

    def wait(self, waiter: Waiter, timeout: float | None = None) -> bool:
        """Block until the waiter is ready; False if `timeout` seconds ran out. Raises AgentUnreachable."""
        deadline = None if timeout is None else time.monotonic() + timeout
        slept = False
        try:
            while not waiter.ready:
                if self.closed:
                    raise AgentUnreachable(CLOSED)
                if self._reading.acquire(False):
                    try:
                        while not waiter.ready and not self.closed:
                            if deadline is not None and not self._readable(deadline):
                                return False
                            self._read()
                    finally:
                        self._reading.release()
                        if self._blocked:  # another one's turn comes
                            self._pass_on()
                    continue
                slept = True
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    return False
                self._sleep(waiter, left)
            return True
        finally:
            if slept:  # the reading may just have been passed on to us, who need it no more
                self._pass_on()

    def _sleep(self, waiter: Waiter, seconds: float | None) -> None:
        """Until the waiter is ready, or the reading is passed on to us."""
        sleeper = threading.Event()
        waiter.sleepers.append(sleeper)
        self._blocked[sleeper] = None
        try:
            # Both may have changed before we could be woken.
            if not waiter.ready and self._reading.locked():
                sleeper.wait(seconds)
        finally:
            waiter.sleepers.remove(sleeper)
            self._blocked.pop(sleeper, None)

    def look(self) -> None:
        """Read what has come, without waiting: tells a lost connection before a request is trusted to it."""
        if self._reading.acquire(blocking=False):
            try:
                while not self.closed and self._readable(time.monotonic()):
                    self._read()
            finally:
                self._reading.release()
                self._pass_on()

    def _pass_on(self) -> None:
        """If nobody reads, wake one of those that wait, to do it."""
        if self._reading.locked():
            return
        for sleeper in list(self._blocked):
            if not sleeper.is_set():
                sleeper.set()
                return

    def _readable(self, deadline: float) -> bool:
        poll = select.poll()
        try:
            poll.register(self._socket, select.POLLIN)
        except (OSError, ValueError):
            return True  # closed: reading will say so
        return bool(poll.poll(max(0.0, deadline - time.monotonic()) * 1000))

    def _read(self) -> None:
        try:
            size = self._socket.recv_into(self._buffer)
        except TimeoutError:
            return  # gevent's, which is meant for writes
        except OSError as error:
            self._fail(error)
            return
        if not size:
            self._fail(None)
            return
        try:
            unpacker = self._unpacker
            unpacker.feed(self._buffer[:size])
            self._received = received = self._received + size
            for item in unpacker:
                if (call := self._call) is not None:
                    self._call = None
                    self._finish(call, self._error, self._kind.decode(item))
                elif self._sink is not None:
                    take, self._sink = self._sink, None
                    take(item)
                else:
                    self._on_header(item)
                if unpacker.tell() == received:  # to ask it for one more, in vain, costs as much as an object
                    break
        except Exception as error:  # the unpacker's errors share no base class; all mean that sync is lost
            self._fail(error)

    def _on_header(self, item: Any) -> None:
        if self._resync:
            self._resync = False
            if not (isinstance(item, dict) and "Seq" in item):
                return
        seq, error = ReplyHeader.fields(item)
        call = self._calls.get(seq)
        if call is not None:
            reply = call.request.REPLY
            if reply is None or (error and (not call.request.BODY_ON_ERROR or error in BODYLESS_ERRORS)):
                self._finish(call, error)
            else:
                self._call, self._kind, self._error = call, reply, error
        elif (open_ := self._sinks.get(seq)) is not None:
            self._sink = open_[0]
        else:
            self._resync = True

    def _finish(self, call: Call, error: str, body: Body | None = None) -> None:
        del self._calls[call.seq]
        self._answered += call.size
        if error:
            self._sinks.pop(call.seq, None)
            call.finish(body, RPCError(error, reply=body))
        else:
            call.finish(body, None)

    def _fail(self, cause: BaseException | None) -> None:
        if self.closed:
            return
        self.closed = True
        # Wakes a thread that reads; only closing would leave it waiting.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        calls, self._calls = self._calls, {}
        sinks, self._sinks = self._sinks, {}
        for call in calls.values():
            call.finish(None, _unreachable(STREAM_CLOSED if call.seq in sinks else CLOSED, cause))
        for _, inbox in sinks.values():
            inbox.end(_unreachable(CLOSED, cause))
        for sleeper in list(self._blocked):
            sleeper.set()


def _bound_writes(sock: socket.socket, timeout: float) -> None:
    """Let writes give up after `timeout` seconds, at no cost to reads."""
    if hasattr(sock, "hub"):  # gevent's: it never blocks underneath, and its own timeout is for free
        sock.settimeout(timeout)
        return
    # Python's own timeout would cost one more system call for each read and write.
    sock.settimeout(None)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", int(timeout), int(timeout % 1 * 1e6)))


def _unreachable(text: str, cause: BaseException | None) -> AgentUnreachable:
    error = AgentUnreachable(text)
    error.__cause__ = cause
    return error
