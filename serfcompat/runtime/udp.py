"""The datagram socket: bind, read in bounded batches, send without blocking."""

from __future__ import annotations

import errno
import socket as std_socket
from collections.abc import Callable, Iterator
from typing import Any

import gevent
from gevent.hub import get_hub

from serfcompat.runtime import dual_stack
from serfcompat.wire.address import Address

READ_SIZE = 65536
"UDP_READ_BUF: the largest datagram there can be (spec memberlist §1.1)."
RCVBUF_TARGET = 2 * 1024 * 1024
"Bytes of kernel buffer wanted, halved until the kernel agrees."
BATCH = 64
"Datagrams read before other greenlets get their turn."


class UdpSocket:
    """A bound, non-blocking socket. A full send buffer is a counted drop, never a wait."""

    def __init__(self, host: str, port: int) -> None:
        """Raises OSError if the address cannot be bound."""
        self._socket = dual_stack.bound(lambda family: std_socket.socket(family, std_socket.SOCK_DGRAM), host, port)
        self._socket.setblocking(False)
        self._family = self._socket.family
        self._both = self._family == std_socket.AF_INET6 and host in dual_stack.WILDCARDS
        self._grow_buffer()
        self.port: int = self._socket.getsockname()[1]
        self.dropped = 0
        "Datagrams that the kernel had no room to send."

    def run(self, receive: Callable[[bytes, Address], None]) -> Any:
        """Hand each datagram to `receive`, until the socket is closed. Spawn it as a greenlet."""
        watcher = get_hub().loop.io(self._socket.fileno(), 1)
        try:
            while self._socket.fileno() >= 0:
                get_hub().wait(watcher)
                for data, source in self._drain():
                    receive(data, source)
                gevent.sleep(0)
        finally:
            watcher.stop()
            watcher.close()

    def send(self, data: bytes, to: Address) -> bool:
        """Send one datagram; False if the network refused it (the peer is unreachable). A full buffer only counts.

        Raises:
            ValueError: `to` is no address that this socket could ever reach.
        """
        sockaddr = self._sockaddr(to)
        try:
            self._socket.sendto(data, sockaddr)
        except (BlockingIOError, InterruptedError):
            self.dropped += 1
        except OSError as error:
            if error.errno in (errno.ENOBUFS, errno.ENOMEM):
                self.dropped += 1
            else:
                return False
        return True

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def _drain(self) -> Iterator[tuple[bytes, Address]]:
        for _ in range(BATCH):
            try:
                data, source = self._socket.recvfrom(READ_SIZE)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                # A pending error of an earlier send (e.g. ICMP "refused"): it belongs to no read.
                continue
            if data:
                ip = std_socket.inet_pton(self._family, source[0].partition("%")[0])
                yield data, Address(dual_stack.plain(ip), source[1])

    def _sockaddr(self, to: Address) -> tuple[Any, ...]:
        ip = to.ip
        if self._family == std_socket.AF_INET:
            if len(ip) == 16 and ip[:12] == b"\0" * 10 + b"\xff\xff":
                ip = ip[12:]
            if len(ip) != 4:
                raise ValueError(f"cannot reach {to} from an IPv4 socket")
            return std_socket.inet_ntoa(ip), to.port
        if self._both:
            ip = dual_stack.mapped(ip)
        if len(ip) == 4:
            raise ValueError(f"cannot reach {to} from an IPv6 socket")
        if len(ip) != 16:
            raise ValueError(f"not an address: {ip.hex()}")
        return std_socket.inet_ntop(std_socket.AF_INET6, ip), to.port, 0, 0

    def _grow_buffer(self) -> None:
        size = RCVBUF_TARGET
        while size > 0:
            try:
                self._socket.setsockopt(std_socket.SOL_SOCKET, std_socket.SO_RCVBUF, size)
                return
            except OSError:
                size //= 2
