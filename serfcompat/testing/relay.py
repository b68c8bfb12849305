"""A bad network between real processes: a relay in user space that loses, delays, reorders and blocks.

    with Relay(random.Random(7)) as relay:
        relay.serve("a", listen="127.0.1.1:7946", target="127.0.0.1:7946")   # a binds 127.0.0.1, advertises 127.0.1.1
        relay.serve("b", listen="127.0.1.2:7946", target="127.0.0.2:7946")
        relay.weather = Weather(loss=0.1, delay=0.005, jitter=0.005)
        relay.block("a", "b")                                                # one way
        relay.heal()

Each agent binds a private address and advertises the relay's. Who sends is told by the
private address that a datagram comes from. ⚠ Go and we let the kernel choose the source of
an outgoing stream, on loopback 127.0.0.1: such a stream is from nobody in particular, and
is blocked while anybody is blocked from its target. Loss, duplication and reordering
are for datagrams only: a stream is repaired by the kernel before anybody could notice,
so streams are delayed and blocked, never damaged.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from typing import Any, Self

import gevent
from gevent import socket
from gevent.pool import Group

from serfcompat.errors import UsageError
from serfcompat.runtime.home import ThreadHome
from serfcompat.runtime.tcp import listen as tcp_listen
from serfcompat.runtime.udp import UdpSocket
from serfcompat.wire.address import Address, ip_bytes, ip_text

_CHUNK = 65536
"Bytes of a stream moved at a time."


@dataclass(frozen=True, slots=True)
class Weather:
    """What happens to traffic. All off by default."""

    loss: float = 0.0
    """Share of datagrams that are lost, 0 to 1."""
    duplication: float = 0.0
    """Share of datagrams that arrive twice."""
    delay: float = 0.0
    """Seconds that everything is late."""
    jitter: float = 0.0
    """Up to so many seconds later still, drawn for each datagram: enough of it reorders them."""


@dataclass(slots=True)
class _Gateway:
    """One node behind the relay."""

    name: str
    target: Address
    udp: UdpSocket
    listener: Any


class Relay:
    """Passes datagrams and streams on to the nodes that it serves, through the weather."""

    def __init__(self, dice: random.Random) -> None:
        self.weather = Weather()
        "For every link that has none of its own."
        self.counts: Counter[str] = Counter()
        "Datagrams `passed`, `lost`, `duplicated`, `blocked`; streams `connected`, `refused`."
        self._dice = dice
        self._links: dict[tuple[str, str], Weather] = {}
        self._blocked: set[tuple[str, str]] = set()
        self._gateways: list[_Gateway] = []
        self._name_of: dict[bytes, str] = {}
        self._home: ThreadHome | None = None
        self._running = Group()

    def __enter__(self) -> Self:
        self._home = ThreadHome()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._home is not None
        self._home.call(self._close)
        self._home.close()

    def serve(self, name: str, *, listen: str, target: str) -> None:
        """Stand at `listen` for the node `name`, which really is at `target` (both `ip:port`). Raises OSError."""
        if self._home is None:
            raise UsageError("use the relay in a `with` block")
        self._home.call(self._serve, name, _address(listen), _address(target))

    def set_link(self, source: str, target: str, weather: Weather | None) -> None:
        """Weather of one direction between two nodes; None: as everywhere."""
        if weather is None:
            self._links.pop((source, target), None)
        else:
            self._links[source, target] = weather

    def block(self, source: str, target: str) -> None:
        """Let nothing through from one node to another. Streams that are open already are cut."""
        self._blocked.add((source, target))

    def partition(self, *sides: set[str]) -> None:
        """Let nothing through between nodes of different sides, either way."""
        for side in sides:
            for other in sides:
                if side is not other:
                    self._blocked |= {(a, b) for a in side for b in other}

    def heal(self) -> None:
        """Lift every block and partition; the weather stays."""
        self._blocked.clear()

    # -- inside: on the relay's own hub -------------------------------------------------------

    def _serve(self, name: str, listen: Address, target: Address) -> None:
        listener = tcp_listen(ip_text(listen.ip), listen.port)
        try:
            udp = UdpSocket(ip_text(listen.ip), listen.port)
        except OSError:
            listener.close()
            raise
        gateway = _Gateway(name, target, udp, listener)
        self._gateways.append(gateway)
        self._name_of[target.ip] = name
        self._running.spawn(udp.run, lambda data, source: self._datagram(gateway, data, source))
        self._running.spawn(self._accept, gateway)

    def _close(self) -> None:
        self._running.kill()
        for gateway in self._gateways:
            gateway.udp.close()
            gateway.listener.close()

    def _link(self, source: str, target: str) -> Weather | None:
        """The weather on a link; None: it is blocked."""
        if (source, target) in self._blocked:
            return None
        return self._links.get((source, target), self.weather)

    def _stream_link(self, source: str, target: str) -> Weather | None:
        """As `_link`; a stream from nobody in particular may be from anybody who is blocked."""
        if source not in self._name_of.values() and any(to == target for _, to in self._blocked):
            return None
        return self._link(source, target)

    def _sender(self, ip: bytes) -> str:
        return self._name_of.get(ip, ip_text(ip))

    def _datagram(self, gateway: _Gateway, data: bytes, source: Address) -> None:
        weather = self._link(self._sender(source.ip), gateway.name)
        if weather is None:
            self.counts["blocked"] += 1
            return
        if self._dice.random() < weather.loss:
            self.counts["lost"] += 1
            return
        copies = 1
        if self._dice.random() < weather.duplication:
            self.counts["duplicated"] += 1
            copies = 2
        for _ in range(copies):
            late = weather.delay + weather.jitter * self._dice.random()
            self.counts["passed"] += 1
            if late > 0:
                self._running.add(gevent.spawn_later(late, gateway.udp.send, data, gateway.target))
            else:
                gateway.udp.send(data, gateway.target)

    def _accept(self, gateway: _Gateway) -> None:
        while True:
            inbound, peer = gateway.listener.accept()
            self._running.spawn(self._stream, gateway, inbound, self._sender(ip_bytes(str(peer[0]))))

    def _stream(self, gateway: _Gateway, inbound: Any, sender: str) -> None:
        """Move a stream's bytes both ways until either end closes it, or the link is blocked."""
        try:
            weather = self._stream_link(sender, gateway.name)
            if weather is None:
                self.counts["refused"] += 1
                return
            gevent.sleep(weather.delay)
            outbound = socket.create_connection((ip_text(gateway.target.ip), gateway.target.port))
        except OSError:
            self.counts["refused"] += 1
            return
        else:
            self.counts["connected"] += 1
            try:
                back = gevent.spawn(self._pump, outbound, inbound, gateway.name, sender)
                self._pump(inbound, outbound, sender, gateway.name)
                back.join()
            finally:
                outbound.close()
        finally:
            inbound.close()

    def _pump(self, source: Any, target: Any, sender: str, receiver: str) -> None:
        try:
            while data := source.recv(_CHUNK):
                weather = self._stream_link(sender, receiver)
                if weather is None:
                    break
                gevent.sleep(weather.delay)
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            target.close()


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    return Address(ip_bytes(host.strip("[]")), int(port))
