"""What a node finds around it: time, chance and a network.

The real ones, unless the hub on which the node lives brings its own, as the virtual one
of `serfcompat.testing` does. So the same code runs in both, and nobody passes a clock around.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol

import gevent

from serfcompat.runtime import advertise, resolve, tcp, udp
from serfcompat.wire.address import Address


class Datagrams(Protocol):
    """A bound datagram socket, see `udp.UdpSocket`."""

    port: int

    def run(self, receive: Callable[[bytes, Address], None]) -> Any: ...

    def send(self, data: bytes, to: Address) -> bool: ...

    def fileno(self) -> int: ...

    def close(self) -> None: ...


class Surroundings:
    """The real ones: the system's clock, dice and sockets."""

    virtual = False
    "Whether time is made up: then a node must live on this hub, and nowhere else."

    now_ns = staticmethod(time.monotonic_ns)
    "Monotonic nanoseconds; only differences mean anything."

    def dice(self) -> random.Random:
        """Dice for one node."""
        return random.Random()

    def datagrams(self, host: str, port: int) -> Datagrams:
        """A datagram socket; port 0 for any. Raises OSError."""
        return udp.UdpSocket(host, port)

    def listen(self, host: str, port: int) -> Any:
        """A listening stream socket; port 0 for any. Raises OSError."""
        return tcp.listen(host, port)

    def dial(self, to: Address, timeout: float, listener: Any) -> AbstractContextManager[tcp.Connection]:
        """An open stream, to be used in a `with` block. Raises OSError.

        Args:
            listener: The dialler's own. Real streams don't come from its address, so it tells nothing here.
        """
        return tcp.Dialled(to, timeout)

    def lookup(self, host: str, port: int, dns_config_path: str, log: logging.Logger) -> list[bytes]:
        """All addresses of a name, in order. Raises OSError."""
        return resolve.system_lookup(host, port, dns_config_path, log)

    def private_ipv4(self) -> bytes:
        """What to advertise when bound to every address. Raises StartError."""
        return advertise.private_ipv4()


REAL = Surroundings()


def here() -> Surroundings:
    """Those of the current hub."""
    hub = gevent._hub_local.get_hub_if_exists()
    return REAL if hub is None else getattr(hub.loop, "surroundings", REAL)


def monotonic() -> float:
    """Seconds on the clock of the current hub; only differences mean anything."""
    return here().now_ns() / 1e9
