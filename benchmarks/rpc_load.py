"""As many requests as an agent answers, from a client that costs next to nothing."""

from __future__ import annotations

import socket
import time

import msgpack

from serfcompat.rpc import protocol
from serfcompat.rpc.protocol import Request


class Load:
    """One connection that sends the same request again and again."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._socket = socket.create_connection((host, int(port)))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._unpacker = msgpack.Unpacker(raw=True)
        self._buffer = memoryview(bytearray(1 << 18))
        self._socket.sendall(protocol.HandshakeRequest(1).encode_with(0))
        self._take(1)

    def close(self) -> None:
        self._socket.close()

    def rate(self, request: Request, depth: int, seconds: float) -> float:
        """Requests answered per second, while `depth` are under way. Raises RuntimeError if one is refused."""
        data = request.encode_with(1)
        objects = 1 if request.REPLY is None else 2
        self._socket.sendall(data)
        header = self._take(objects)[0]
        if header[b"Error"]:
            raise RuntimeError(f"the agent refuses {request.COMMAND}: {header[b'Error']!r}")
        answered = missing = 0
        self._socket.sendall(data * depth)
        began = time.perf_counter()
        while (now := time.perf_counter()) - began < seconds:
            missing += self._skip()
            done, missing = divmod(missing, objects)
            answered += done
            if done:
                self._socket.sendall(data * done)
        missing -= depth * objects
        while missing < 0:
            missing += self._skip()
        return answered / (now - began)

    def _skip(self) -> int:
        """Read once; how many objects it brought to an end."""
        size = self._socket.recv_into(self._buffer)
        if not size:
            raise RuntimeError("the agent hung up")
        self._unpacker.feed(self._buffer[:size])
        count = 0
        try:
            while True:
                self._unpacker.skip()
                count += 1
        except msgpack.OutOfData:
            return count

    def _take(self, count: int) -> list[dict[bytes, object]]:
        taken: list[dict[bytes, object]] = []
        while len(taken) < count:
            size = self._socket.recv_into(self._buffer)
            if not size:
                raise RuntimeError("the agent hung up")
            self._unpacker.feed(self._buffer[:size])
            taken.extend(self._unpacker)
        return taken
