"""A client that sends any bytes and shows every object that comes, for tests of agents."""

from __future__ import annotations

import contextlib
import socket
from typing import Any

from serfcompat.rpc import codec
from serfcompat.rpc.protocol import AuthRequest, HandshakeRequest, Request

CLOSED = object()
"What `next` gives when the agent has hung up."


class RawClient:
    """One connection; nothing is sent by itself unless `handshake` is called."""

    def __init__(self, address: str, timeout: float = 10.0) -> None:
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout)
        self._objects = codec.Objects(codec.MAX_REPLY)

    def __enter__(self) -> RawClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def handshake(self, auth_key: str = "") -> RawClient:
        self.request(0, HandshakeRequest(1))
        if auth_key:
            self.request(0, AuthRequest(auth_key))
        return self

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def send_map(self, *objects: Any) -> None:
        self.send(b"".join(codec.pack(item) for item in objects))

    def request(self, seq: int, request: Request) -> Any:
        """Send it and return the error text of its reply; a body, if one follows, is left."""
        self.send(request.encode_with(seq))
        return self.reply(seq)

    def reply(self, seq: int) -> str:
        header = self.next()
        assert header is not CLOSED, "the agent hung up"
        assert header["Seq"] == seq, header
        error: str = header["Error"]
        return error

    def next_bytes(self, timeout: float | None = None) -> bytes | None:
        """The next object as it came; None when the agent has hung up."""
        if timeout is not None:
            self.socket.settimeout(timeout)
        while (item := self._objects.next()) is None:
            try:
                data = self.socket.recv(65536)
            except ConnectionResetError:
                return None
            if not data:
                return None
            self._objects.feed(data)
        return item

    def next(self, timeout: float | None = None) -> Any:
        """The next object, or CLOSED. TimeoutError if none comes."""
        data = self.next_bytes(timeout)
        return CLOSED if data is None else codec.unpack(data)

    def rest(self) -> list[Any]:
        """What still comes, until nothing does for a while."""
        found: list[Any] = []
        before = self.socket.gettimeout()
        with contextlib.suppress(TimeoutError):
            while CLOSED not in found:
                found.append(self.next(0.3))
        self.socket.settimeout(before)
        return found

    def quiet(self, seconds: float = 0.3) -> bool:
        """Whether nothing comes for so long."""
        before = self.socket.gettimeout()
        try:
            self.next(seconds)
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(before)
        return False
