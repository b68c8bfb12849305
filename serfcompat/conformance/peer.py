"""A member that the kit plays: it answers what members answer, remembers all it hears, and can be told to misbehave."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self, TypeVar

from serfcompat.conformance.stranger import Stranger, nonce
from serfcompat.conformance.trace import Trace
from serfcompat.errors import WireError
from serfcompat.wire.address import Address
from serfcompat.wire.layers import Layers
from serfcompat.wire.messages import Ack, Alive, Dead, IndirectPing, Ping, PushPullNode, Suspect
from serfcompat.wire.packet import build, peel
from serfcompat.wire.stream import PushPull, StreamReader, push_pull_message, seal
from serfcompat.wire.types import MessageType

_LOOK = 0.2
"Seconds after which a thread looks whether it shall end."
_STREAM_LIMIT = 10.0
_ATTEMPTS = 20

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Heard:
    """A message that a packet brought."""

    at: float
    "Monotonic seconds."
    message: bytes
    "Type byte and body."
    datagram: bytes
    "The packet that it was in."
    position: int
    "In the packet: 0 for the first message."
    of: int
    "Messages in that packet."
    source: tuple[str, int]
    "Where it came from."

    @property
    def kind(self) -> int:
        return self.message[0]

    @property
    def body(self) -> bytes:
        return self.message[1:]


class Peer(Stranger):
    """Listens on UDP and TCP of one port, in two threads, until it is closed."""

    def __init__(
        self,
        host: str,
        layers: Layers,
        name: str,
        *,
        vsn: bytes,
        meta: bytes | None = None,
        trace: Trace | None = None,
    ) -> None:
        self._tcp = _listening(host)
        super().__init__(host, layers, who=name, trace=trace)
        self._take_port_of(host)
        self.name, self.vsn, self.meta = name.encode(), vsn, meta
        self.incarnation = 1
        self.answers_packets = True
        "Whether pings are acknowledged."
        self.answers_streams = True
        "Whether pings over TCP and push/pulls are answered."
        self.ack_payload: bytes | None = None
        "What its acks carry."
        self.refutes = False
        "Whether it contradicts who suspects it."
        self.on_ping: Callable[[Ping], bool] | None = None
        "Asked for each ping by packet; True: it was dealt with, don't answer."
        self.on_indirect_ping: Callable[[IndirectPing], None] | None = None
        "Told of each request to ping somebody else, which a peer never does by itself."
        self.streams: list[tuple[int, object]] = []
        "Type and body of each message that a stream brought."
        self._heard: list[Heard] = []
        self._news = threading.Condition()
        self._closing = False
        self._threads = [
            threading.Thread(target=target, name=f"{name} {target.__name__}", daemon=True)
            for target in (self._hear_packets, self._hear_streams)
        ]
        for thread in self._threads:
            thread.start()

    # -- what it says -------------------------------------------------------------------------

    @property
    def alive(self) -> Alive:
        """Its claim that it lives."""
        return Alive(self.incarnation, self.name, self.ip, self.port, self.meta, self.vsn)

    @property
    def entry(self) -> PushPullNode:
        """What it says about itself in a push/pull."""
        return PushPullNode(self.name, self.ip, self.port, self.meta, self.incarnation, 0, self.vsn)

    def suspect(self, name: bytes, incarnation: int) -> Suspect:
        """Its accusation of somebody."""
        return Suspect(incarnation, name, self.name)

    def dead(self, name: bytes, incarnation: int) -> Dead:
        """Its claim that somebody is dead; of itself, that it leaves."""
        return Dead(incarnation, name, self.name)

    def join(self, to: str, *, others: Sequence[PushPullNode] = ()) -> PushPull:
        """Become a member by exchanging state with `host:port`."""
        return self.push_pull(to, [self.entry, *others], join=True)

    # -- what it hears ------------------------------------------------------------------------

    @property
    def heard(self) -> list[Heard]:
        """All messages so far that packets brought."""
        with self._news:
            return list(self._heard)

    def forget(self) -> None:
        """Begin anew to remember what is heard."""
        with self._news:
            self._heard.clear()

    def wait_for(self, kind: int, right: Callable[[Heard], bool] = lambda _: True, *, limit: float = 10.0) -> Heard:
        """The first message of this type, of those heard and those to come, that is right. TimeoutError: none was."""
        return self.wait_until(lambda heard: next((h for h in heard if h.kind == kind and right(h)), None), limit=limit)

    def wait_until(self, found: Callable[[Sequence[Heard]], T | None], *, limit: float = 10.0) -> T:
        """What `found` gives of all that was heard, as soon as it isn't None. TimeoutError: it always was."""
        deadline = time.monotonic() + limit
        with self._news:
            while (result := found(self._heard)) is None:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"{self.who} heard {len(self._heard)} other messages in {limit:g} s")
                self._news.wait(left)
        return result

    def wait_for_stream(self, kind: int, *, limit: float = 10.0) -> object:
        """The body of the first message of this type that a stream brought. TimeoutError: none did."""

        def found(_: object) -> object:
            return next((body for of, body in self.streams if of == kind), None)

        return self.wait_until(found, limit=limit)

    def close(self) -> None:
        """Hear nothing more. May be called again."""
        self._closing = True
        for thread in self._threads:
            thread.join()
        self._tcp.close()
        super().close()

    # -- threads ------------------------------------------------------------------------------

    def _take_port_of(self, host: str) -> None:
        """Let UDP listen where TCP does; another pair of ports if that one is taken."""
        for _ in range(_ATTEMPTS):
            self._udp.close()
            self._udp = socket.socket(self._tcp.family, socket.SOCK_DGRAM)
            try:
                self._udp.bind(self._tcp.getsockname()[:2])
                break
            except OSError:
                self._tcp.close()
                self._tcp = _listening(host)
        self._udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.port = self._udp.getsockname()[1]
        self.address = Address(self.ip, self.port)

    def _hear_packets(self) -> None:
        self._udp.settimeout(_LOOK)
        while not self._closing:
            try:
                datagram, source = self._udp.recvfrom(65536)
            except TimeoutError:
                continue
            except OSError:
                return
            now = time.monotonic()
            self._trace.add(self.who, False, "packet", datagram, self.layers)
            messages = peel(datagram, self.layers).messages
            for message in messages:
                self._answer(message, source)
            with self._news:
                self._heard += [
                    Heard(now, message, datagram, position, len(messages), source)
                    for position, message in enumerate(messages)
                ]
                self._news.notify_all()

    def _answer(self, message: bytes, source: tuple[str, int]) -> None:
        try:
            if message[0] == MessageType.PING:
                ping = Ping.decode(message[1:])
                if ping.node in (b"", self.name) and not (self.on_ping and self.on_ping(ping)) and self.answers_packets:
                    self.acknowledge(ping, source)
            elif message[0] == MessageType.INDIRECT_PING and self.on_indirect_ping:
                self.on_indirect_ping(IndirectPing.decode(message[1:]))
            elif message[0] == MessageType.SUSPECT and self.refutes:
                accusation = Suspect.decode(message[1:])
                if accusation.node == self.name and accusation.incarnation >= self.incarnation:
                    self.incarnation = accusation.incarnation + 1
                    self._udp.sendto(build(self.alive.encode(), self.layers, crc=False, nonce=nonce), source)
        except WireError:
            pass  # whoever waits for it says that it can't be read

    def acknowledge(self, ping: Ping, source: tuple[str, int]) -> None:
        """Say that we are here, to where the ping wants it."""
        if ping.source_addr and ping.source_port:
            source = (socket.inet_ntop(_family(ping.source_addr), ping.source_addr), ping.source_port)
        datagram = build(Ack(ping.seq_no, self.ack_payload).encode(), self.layers, crc=False, nonce=nonce)
        self._trace.add(self.who, True, "packet", datagram, self.layers)
        self._udp.sendto(datagram, source)

    def _hear_streams(self) -> None:
        self._tcp.settimeout(_LOOK)
        while not self._closing:
            try:
                connection, _ = self._tcp.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            with connection:
                connection.settimeout(_STREAM_LIMIT)
                try:
                    self._serve(connection)
                except (OSError, EOFError, WireError):
                    continue

    def _serve(self, connection: socket.socket) -> None:
        read = bytearray()

        def recv(size: int) -> bytes:
            data = connection.recv(size)
            read.extend(data)
            return data

        reader = StreamReader(recv, self.layers)
        try:
            reader.read_label_header()
            kind = reader.read_type()
            body: object = None
            answer: bytes | None = None
            if kind == MessageType.PING:
                body = ping = reader.read_ping()
                answer = Ack(ping.seq_no, None).encode()
            elif kind == MessageType.PUSH_PULL:
                body = state = reader.read_push_pull()
                answer = push_pull_message(state.join, [self.entry], None)
            elif kind == MessageType.USER:
                body = reader.read_user_message()
        finally:
            self._trace.add(self.who, False, "stream", bytes(read), self.layers)
        with self._news:
            self.streams.append((kind, body))
            self._news.notify_all()
        if answer is not None and self.answers_streams:
            connection.sendall(seal(answer, self.layers, lambda: os.urandom(12)))

    def __enter__(self) -> Self:
        return self


def _listening(host: str) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listener.bind((host, 0))
    listener.listen(64)
    return listener


def _family(ip: bytes) -> socket.AddressFamily:
    return socket.AF_INET6 if len(ip) == 16 else socket.AF_INET
