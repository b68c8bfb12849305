"""A TCP connection to the node under test, as bytes or as messages."""

from __future__ import annotations

import os
import socket
import time
from typing import Self

from serfcompat.conformance.case import Broken
from serfcompat.conformance.trace import Trace
from serfcompat.wire.layers import Layers
from serfcompat.wire.stream import StreamReader, label_header, seal

MAX_ANSWER = 64 << 20
"Bytes that any node may say before it hangs up; its whole state is far smaller."
_CHUNK = 65536


class Stream:
    """An open connection; use it in a `with` block.

    Everything is traced when the connection is closed, one entry for either direction.
    """

    def __init__(self, to: tuple[str, int], layers: Layers, *, who: str, trace: Trace, limit: float) -> None:
        """`limit`: seconds for each step. OSError: nobody listens."""
        self.layers = layers
        self._who, self._trace, self._limit = who, trace, limit
        self._written, self._read = bytearray(), bytearray()
        self._socket = socket.create_connection(to, limit)

    def send(self, message: bytes) -> None:
        """A message with label header, compression and encryption as the layers say."""
        self.send_raw(label_header(self.layers.label) + seal(message, self.layers, lambda: os.urandom(12)))

    def send_raw(self, data: bytes) -> None:
        """Bytes as they are. OSError: the other end hung up."""
        self._written += data
        self._socket.sendall(data)

    def send_unsealed(self, data: bytes) -> None:
        """Bytes as they are, after the label header."""
        self.send_raw(label_header(self.layers.label) + data)

    def receive_some(self, size: int = _CHUNK) -> bytes:
        """1 to `size` bytes; b"" if the other end is done, or has reset the connection. TimeoutError: nothing came."""
        self._socket.settimeout(self._limit)
        try:
            data = self._socket.recv(size)
        except ConnectionError:
            return b""
        self._read += data
        return data

    def reader(self) -> StreamReader:
        """Reads the answer as a message."""
        return StreamReader(self.receive_some, self.layers)

    def rest(self, limit: float | None = None) -> bytes:
        """All that still comes until the other end hangs up. TimeoutError: it doesn't; Broken: it says too much."""
        deadline = time.monotonic() + (self._limit if limit is None else limit)
        found = bytearray()
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("the connection stays open")
            self._socket.settimeout(left)
            try:
                data = self._socket.recv(_CHUNK)
            except ConnectionError:
                data = b""
            if not data:
                return bytes(found)
            found += data
            if len(found) > MAX_ANSWER:
                raise Broken(f"an answer of at most {MAX_ANSWER} bytes", f"{len(found)} bytes, and more to come")
            self._read += data

    def fileno(self) -> int:
        """For `select`."""
        return self._socket.fileno()

    def finish(self) -> None:
        """Say that nothing more will be written."""
        self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """May be called again."""
        self._socket.close()
        if self._written:
            self._trace.add(self._who, True, "stream", bytes(self._written), self.layers)
            self._written.clear()
        if self._read:
            self._trace.add(self._who, False, "stream", bytes(self._read), self.layers)
            self._read.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
