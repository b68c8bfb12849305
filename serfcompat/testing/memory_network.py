"""A network in memory, for nodes on virtual time: datagrams and streams with latency, loss and partitions.

It is one machine with every address there is: any IP can be bound, and a port once per
address. What happens on the way is decided by the simulator's `Network`, in which each
bound `ip:port` is a host.
"""

from __future__ import annotations

import errno
import logging
import os
import random
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Protocol, Self

import gevent
from gevent.event import Event

from serfcompat.runtime.surroundings import Surroundings
from serfcompat.sim.impairments import Changed, HostLoss, Impairment, one_way, sides
from serfcompat.sim.network import Conditions, Network
from serfcompat.testing.virtual_loop import VirtualLoop
from serfcompat.wire.address import Address, ip_bytes, ip_text, join_host_port

PRIVATE = "10.0.0.1"
"What a node advertises that is bound to every address."
_FIRST_FREE_PORT = 20000
_STALLED = 0.2
"Seconds until a stream tries again to get something through a blocked network."
_V4_MAPPED = b"\0" * 10 + b"\xff\xff"


class HasMember(Protocol):
    """A running node, as `Serf` is."""

    def local_member(self) -> Any: ...


class MemoryNetwork(Surroundings):
    """Time, dice and sockets of one virtual world."""

    virtual = True

    def __init__(self, loop: VirtualLoop, seed: int | str, conditions: Conditions | None = None) -> None:
        self.loop = loop
        self.network = Network(conditions or Conditions())
        "What happens on the way."
        self.names: dict[str, list[str]] = {"localhost": ["127.0.0.1"]}
        "Host names that can be looked up, and their addresses."
        self._seed = seed
        self._dice_made = 0
        self._dice = random.Random(f"{seed}/network")
        self._bound: dict[Address, MemoryDatagrams] = {}
        self._listening: dict[Address, MemoryListener] = {}

    # -- what users do to it ------------------------------------------------------------------

    def partition(self, *groups: Iterable[str | HasMember]) -> Impairment:
        """Cut nodes into groups that don't hear each other; bound nodes in no group form one more.

        Each is a started node, or the `ip:port` that it is bound to.
        """
        named = [[_key(node) for node in group] for group in groups]
        known = {key for group in named for key in group}
        if rest := [key for key in self.addresses if key not in known]:
            named.append(rest)
        return self._impair(sides(named))

    def block(self, source: str | HasMember, target: str | HasMember) -> Impairment:
        """Let nothing through from one node to another; the way back stays open."""
        return self._impair(one_way(_key(source), _key(target)))

    def lose(self, share: float, node: str | HasMember | None = None) -> Impairment:
        """Lose so much of one node's datagrams, both ways, or of everybody's."""
        return self._impair(Changed("loss", share) if node is None else HostLoss(_key(node), share))

    def mend(self, impairment: Impairment) -> None:
        """Take back what one of the calls above has returned."""
        self.network.mend(impairment)

    def heal(self) -> None:
        """Take back all partitions, blocks and losses of single nodes."""
        self.network.heal()

    @property
    def addresses(self) -> list[str]:
        """Every bound `ip:port`."""
        return [str(address) for address in self._bound]

    # -- surroundings -------------------------------------------------------------------------

    def now_ns(self) -> int:
        return round(self.loop.now() * 1e9)

    def dice(self) -> random.Random:
        self._dice_made += 1
        return random.Random(f"{self._seed}/{self._dice_made}")

    def datagrams(self, host: str, port: int) -> MemoryDatagrams:
        return MemoryDatagrams(self, self._free(host, port, self._bound))

    def listen(self, host: str, port: int) -> MemoryListener:
        return MemoryListener(self, self._free(host, port, self._listening))

    def dial(self, to: Address, timeout: float, listener: Any) -> MemoryStream:
        return self.connect(listener.address, to, timeout)

    def lookup(self, host: str, port: int, dns_config_path: str, log: logging.Logger) -> list[bytes]:
        if host not in self.names:
            raise OSError(errno.ENOENT, f"the virtual network has no host {host}; add it to `network.names`")
        return [ip_bytes(ip) for ip in self.names[host]]

    def private_ipv4(self) -> bytes:
        return ip_bytes(PRIVATE)

    # -- what sockets ask of it ---------------------------------------------------------------

    def after(self, seconds: float, function: Callable[..., None], *args: Any) -> None:
        """Call a function later; it must not block."""
        self.loop.timer(seconds).start(function, *args)

    def deliver(self, data: bytes, source: Address, to: Address) -> None:
        """Send one datagram on its way."""
        for delay_ns in self.network.copies(str(source), str(to), len(data), self._dice):
            self.after(delay_ns / 1e9, self._arrive, data, source, to)

    def connect(self, source: Address, to: Address, timeout: float) -> MemoryStream:
        """Open a stream; blocks for a round trip, or for `timeout` seconds if nobody answers. Raises OSError."""
        to = _canonical(to)
        if not self.network.connected(str(source), str(to)):
            gevent.sleep(timeout)
            raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
        gevent.sleep(self.flight(source, to) + self.flight(to, source))
        listener = self._listening.get(to) or self._listening.get(Address(bytes(len(to.ip)), to.port))
        if listener is None or listener.closed:
            raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
        here, there = MemoryStream(self, source, to), MemoryStream(self, to, source)
        here.peer, there.peer = there, here
        listener.offer(there, source)
        return here

    def flight(self, source: Address, to: Address) -> float:
        """Seconds that a segment of a stream takes."""
        return self.network.stream_delay(str(source), str(to), self._dice) / 1e9

    # -- inside -------------------------------------------------------------------------------

    def _impair(self, impairment: Impairment) -> Impairment:
        self.network.impair(impairment)
        return impairment

    def _free(self, host: str, port: int, taken: dict[Address, Any]) -> Address:
        ip = ip_bytes(host)
        if port == 0:
            port = _FIRST_FREE_PORT
            while Address(ip, port) in self._bound or Address(ip, port) in self._listening:
                port += 1
        address = Address(ip, port)
        if address in taken:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        return address

    def _arrive(self, data: bytes, source: Address, to: Address) -> None:
        socket = self._bound.get(to) or self._bound.get(Address(bytes(len(to.ip)), to.port))
        if socket is None:
            self.network.lost += 1
        else:
            socket.arrive(data, source)


class MemoryDatagrams:
    """A datagram socket, with the methods of `udp.UdpSocket`."""

    def __init__(self, network: MemoryNetwork, address: Address) -> None:
        self.address = address
        self.port = address.port
        self.dropped = 0
        self._network = network
        self._inbox: deque[tuple[bytes, Address]] = deque()
        self._news = Event()
        self._closed = False
        network._bound[address] = self

    def run(self, receive: Callable[[bytes, Address], None]) -> Any:
        """Hand each datagram to `receive`, until the socket is closed. Spawn it as a greenlet."""
        while not self._closed:
            self._news.wait()
            self._news.clear()
            while self._inbox:
                receive(*self._inbox.popleft())
            gevent.sleep(0)

    def send(self, data: bytes, to: Address) -> bool:
        """Send one datagram. Raises ValueError for an address of the other family, as real sockets do."""
        to = _canonical(to)
        if len(to.ip) != len(self.address.ip):
            raise ValueError(f"cannot reach {to} from {self.address}")
        self._network.deliver(data, _specific(self.address), to)
        return True

    def arrive(self, data: bytes, source: Address) -> None:
        self._inbox.append((data, source))
        self._news.set()

    def fileno(self) -> int:
        return -1

    def close(self) -> None:
        self._closed = True
        self._news.set()
        self._network._bound.pop(self.address, None)


class MemoryListener:
    """A listening socket."""

    def __init__(self, network: MemoryNetwork, address: Address) -> None:
        self.address = _specific(address)
        self.bound = address
        self.closed = False
        self._network = network
        self._waiting: deque[tuple[MemoryStream, tuple[str, int]]] = deque()
        self._news = Event()
        network._listening[address] = self

    def accept(self) -> tuple[MemoryStream, tuple[str, int]]:
        """The next stream and where it comes from; blocks. Raises OSError once the listener is closed."""
        while not self._waiting:
            if self.closed:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            self._news.clear()
            self._news.wait()
        return self._waiting.popleft()

    def offer(self, stream: MemoryStream, source: Address) -> None:
        self._waiting.append((stream, (ip_text(source.ip), source.port)))
        self._news.set()

    def getsockname(self) -> tuple[str, int]:
        return ip_text(self.bound.ip), self.bound.port

    def fileno(self) -> int:
        return -1

    def close(self) -> None:
        self.closed = True
        self._news.set()
        self._network._listening.pop(self.bound, None)


class MemoryStream:
    """One end of a stream. Bytes arrive in order; a blocked network holds them back, as retransmission does."""

    peer: MemoryStream

    def __init__(self, network: MemoryNetwork, source: Address, to: Address) -> None:
        self._network = network
        self._source = source
        self._to = to
        self._inbox = bytearray()
        self._ended = False
        "The peer has closed its end."
        self._closed = False
        self._news = Event()
        self._outbox: deque[bytes] = deque()
        "What was sent and has not arrived; b is the end."
        self._sending = False

    def recv(self, size: int, /) -> bytes:
        """1 to `size` bytes, or none at the end; blocks."""
        while not self._inbox and not self._ended:
            if self._closed:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            self._news.clear()
            self._news.wait()
        taken = bytes(self._inbox[:size])
        del self._inbox[:size]
        return taken

    def sendall(self, data: bytes, /) -> None:
        """Put bytes on their way; never blocks. Raises OSError if either end was closed."""
        if self._closed or self.peer._closed:
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
        if data:
            self._put(bytes(data))

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._news.set()
            self._put(b"")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _put(self, data: bytes) -> None:
        self._outbox.append(data)
        if not self._sending:
            self._sending = True
            self._network.after(self._network.flight(self._source, self._to), self._flush)

    def _flush(self) -> None:
        """One flight arrives: everything that waits for it, unless the network is blocked just now."""
        if not self._network.network.connected(str(self._source), str(self._to)):
            self._network.after(_STALLED, self._flush)
            return
        self._sending = False
        while self._outbox:
            data = self._outbox.popleft()
            self.peer._inbox += data
            self.peer._ended |= not data
        self.peer._news.set()


def _canonical(address: Address) -> Address:
    """An IPv4 address in its short form, as a socket sees it."""
    ip = address.ip
    return Address(ip[12:], address.port) if len(ip) == 16 and ip.startswith(_V4_MAPPED) else address


def _specific(address: Address) -> Address:
    """Where others see a socket that is bound to every address."""
    return Address(ip_bytes(PRIVATE), address.port) if address.ip == bytes(4) else address


def _key(node: str | HasMember) -> str:
    """The `ip:port` that a node is bound to."""
    if isinstance(node, str):
        return node
    member = node.local_member()
    return join_host_port(ip_text(_canonical(Address(member.addr_bytes, member.port)).ip), member.port)
