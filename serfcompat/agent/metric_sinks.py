"""Metrics as lines, told to a server as they come (spec agent §7.2)."""

from __future__ import annotations

from collections import deque
from typing import Any

import gevent
from gevent import socket
from gevent.event import Event as Flag

from serfcompat.rpc.dial import port_number, split_host_port

FLUSH = 0.1
"Seconds that lines are gathered."
QUEUE = 4096
"Lines that may wait; newer ones are dropped."
DATAGRAM = 1400
"Bytes of lines in one datagram, at most."
PAUSE = 5.0
"Seconds after a failure during which lines are thrown away."


class LineSink:
    """Sends lines in its own greenlet. An unreachable server never stops the agent."""

    def __init__(self, address: str) -> None:
        """`host:port`."""
        self._address = address
        self._lines: deque[bytes] = deque()
        self._news = Flag()

    def put(self, name: str, value: float, kind: str) -> None:
        """Queue a metric: `c` counter, `g` gauge, `ms` sample. Never blocks."""
        if len(self._lines) < QUEUE:
            flat = name.replace(":", "_").replace(" ", "_")
            self._lines.append(f"{flat}:{value:.6f}|{kind}\n".encode("utf-8", "surrogateescape"))
            self._news.set()

    def run(self) -> None:
        """Send for ever."""
        while True:
            try:
                self._send_all(self._connect())
            except (OSError, ValueError, UnicodeError):
                gevent.sleep(PAUSE)
                self._lines.clear()

    def _send_all(self, connection: Any) -> None:
        with connection:
            while True:
                self._news.wait()
                gevent.sleep(FLUSH)
                self._news.clear()
                self.send(connection, [self._lines.popleft() for _ in range(len(self._lines))])

    def _target(self, kind: int) -> Any:
        host, port_text = split_host_port(self._address)
        return socket.getaddrinfo(host or "localhost", port_number(port_text), type=kind)[0]

    def _connect(self) -> Any:
        raise NotImplementedError

    def send(self, connection: Any, lines: list[bytes]) -> None:
        raise NotImplementedError


class Statsd(LineSink):
    """Over UDP, many lines to a datagram."""

    def _connect(self) -> Any:
        family, kind, protocol, _, target = self._target(socket.SOCK_DGRAM)
        connection = socket.socket(family, kind, protocol)
        connection.connect(target)
        return connection

    def send(self, connection: Any, lines: list[bytes]) -> None:
        datagram = b""
        for line in lines:
            if datagram and len(datagram) + len(line) > DATAGRAM:
                connection.send(datagram)
                datagram = b""
            datagram += line
        if datagram:
            connection.send(datagram)


class Statsite(LineSink):
    """Over TCP."""

    def _connect(self) -> Any:
        family, kind, protocol, _, target = self._target(socket.SOCK_STREAM)
        connection = socket.socket(family, kind, protocol)
        connection.connect(target)
        return connection

    def send(self, connection: Any, lines: list[bytes]) -> None:
        connection.sendall(b"".join(lines))
