"""Somebody who is no member: sends messages made for the occasion and sees what comes back."""

from __future__ import annotations

import dataclasses
import os
import socket
import time
from collections.abc import Sequence
from typing import Self

from serfcompat.conformance.stream import Stream
from serfcompat.conformance.trace import Trace
from serfcompat.wire import label, security
from serfcompat.wire.address import Address, ip_bytes
from serfcompat.wire.layers import Layers
from serfcompat.wire.messages import PushPullNode
from serfcompat.wire.packet import build, peel
from serfcompat.wire.stream import PushPull, push_pull_message

LIMIT = 10.0
"Seconds to wait for an answer."


def nonce() -> bytes:
    return os.urandom(12)


class Stranger:
    """A UDP socket on an address of its own, and streams on demand."""

    def __init__(self, host: str, layers: Layers, *, who: str = "stranger", trace: Trace | None = None) -> None:
        """`who`: what the trace calls it."""
        self.host, self.layers, self.who = host, layers, who
        self._trace = trace or Trace()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._udp = socket.socket(family, socket.SOCK_DGRAM)
        self._udp.bind((host, 0))
        self.ip, self.port = ip_bytes(host), self._udp.getsockname()[1]
        self.address = Address(self.ip, self.port)

    # -- packets ------------------------------------------------------------------------------

    def send(self, message: bytes, to: str, *, crc: bool = False, layers: Layers | None = None) -> None:
        """One message as a packet, to `host:port`, in our layers or others."""
        self.send_raw(build(message, layers or self.layers, crc=crc, nonce=nonce), to)

    def send_raw(self, datagram: bytes, to: str) -> None:
        """A datagram as it is."""
        self._trace.add(self.who, True, "packet", datagram, self.layers)
        self._udp.sendto(datagram, split_address(to))

    def send_raw_sealed(self, payload: bytes, to: str) -> None:
        """A payload as it is, in our label and encryption, but without compression or checksum of the kit's making."""
        layers = dataclasses.replace(self.layers, compress=False)
        self.send_raw(build(payload, layers, crc=False, nonce=nonce), to)

    def receive_datagram(self, limit: float = LIMIT) -> bytes:
        """The next datagram as it came. TimeoutError: none came."""
        self._udp.settimeout(limit)
        datagram = self._udp.recv(65536)
        self._trace.add(self.who, False, "packet", datagram, self.layers)
        return datagram

    def receive(self, kind: int, limit: float = LIMIT) -> bytes:
        """Body of the next message of this type; others are passed over. TimeoutError: it didn't come."""
        deadline = time.monotonic() + limit
        while True:
            datagram = self.receive_datagram(max(0.001, deadline - time.monotonic()))
            for message in peel(datagram, self.layers).messages:
                if message[0] == kind:
                    return message[1:]

    def receive_with(self, kind: int, limit: float = LIMIT) -> list[bytes]:
        """All messages of the next packet that has one of this type. TimeoutError: it didn't come."""
        deadline = time.monotonic() + limit
        while True:
            datagram = self.receive_datagram(max(0.001, deadline - time.monotonic()))
            messages = peel(datagram, self.layers).messages
            if any(message[0] == kind for message in messages):
                return messages

    def receive_plain(self, limit: float = LIMIT) -> bytes:
        """The next datagram with label and encryption taken off. TimeoutError: none came. WireError: it can't be."""
        found, data = label.split(self.receive_datagram(limit))
        return security.decrypt(self.layers.keys, data, found) if self.layers.keys else data

    # -- streams ------------------------------------------------------------------------------

    def dial(self, to: str, *, layers: Layers | None = None, limit: float = LIMIT) -> Stream:
        """A stream to `host:port`. OSError: nobody listens."""
        return Stream(split_address(to), layers or self.layers, who=self.who, trace=self._trace, limit=limit)

    def push_pull(
        self, to: str, nodes: Sequence[PushPullNode] = (), *, join: bool = False, user_state: bytes | None = None
    ) -> PushPull:
        """Exchange full state with `host:port`. Raises EOFError, WireError or OSError if there is none."""
        with self.dial(to) as stream:
            stream.send(push_pull_message(join, nodes, user_state))
            reader = stream.reader()
            reader.read_type()
            return reader.read_push_pull()

    def first_byte_of_state(self, at: str) -> int:
        """What an answer to a plain push/pull begins with: the type, or that of the compression around it."""
        with self.dial(at) as stream:
            stream.send_raw(push_pull_message(False, (), None))
            return stream.receive_some(1)[0]

    def state_of(self, name: str, at: str) -> int | None:
        """memberlist's state of a node in the eyes of the one at `host:port`; None if it doesn't know it."""
        return next((node.state for node in self.push_pull(at).nodes if node.name == name.encode()), None)

    def close(self) -> None:
        self._udp.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def split_address(text: str) -> tuple[str, int]:
    """`host:port` or `[v6]:port` for a socket."""
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)
