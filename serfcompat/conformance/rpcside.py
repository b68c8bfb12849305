"""The RPC port of an agent, without a client library in between: requests and replies as values."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any, Self

import msgpack

from serfcompat.conformance.case import Broken
from serfcompat.conformance.stranger import split_address

LIMIT = 10.0
_CHUNK = 65536


class RawClient:
    """One connection. Use it in a `with` block."""

    def __init__(self, address: str, *, handshake: bool = True) -> None:
        """`handshake`: begin with it."""
        self._socket = socket.create_connection(split_address(address), LIMIT)
        self._unpacker = msgpack.Unpacker(raw=False, unicode_errors="surrogateescape", strict_map_key=False)
        if handshake:
            self.succeed("handshake", {"Version": 1}, seq=0)

    def send(self, *values: Any) -> None:
        """Values one after the other."""
        self.send_raw(b"".join(msgpack.packb(value, use_bin_type=True) for value in values))

    def send_raw(self, data: bytes) -> None:
        self._socket.sendall(data)

    def request(self, command: str, body: Mapping[str, Any] | None = None, *, seq: int = 1) -> str:
        """Send a request; the error of its reply. Broken: no reply, or one with another number."""
        values: list[Any] = [{"Command": command, "Seq": seq}]
        if body is not None:
            values.append(dict(body))
        self.send(*values)
        return self.reply(seq)

    def reply(self, seq: int) -> str:
        """The error of the next reply's header."""
        header = self.value(f"the header of a reply with number {seq}")
        if not isinstance(header, dict) or header.get("Seq") != seq or not isinstance(header.get("Error"), str):
            raise Broken(f"a header with Seq {seq} and Error", header)
        return str(header["Error"])

    def succeed(self, command: str, body: Mapping[str, Any] | None = None, *, seq: int = 1) -> None:
        """A request that must succeed. Broken: it doesn't."""
        error = self.request(command, body, seq=seq)
        if error:
            raise Broken(f"success of {command}", error)

    def value(self, what: str = "a value") -> Any:
        """The next value. Broken: none comes."""
        while True:
            try:
                return next(self._unpacker)
            except StopIteration:
                pass
            try:
                data = self._socket.recv(_CHUNK)
            except TimeoutError as error:
                raise Broken(what, f"nothing within {LIMIT:g} s") from error
            except ConnectionError:
                data = b""
            if not data:
                raise Broken(what, "the agent hung up")
            self._unpacker.feed(data)

    def is_closed(self, after: str) -> None:
        """Broken unless the agent hangs up without another word."""
        try:
            value = self.value()
        except Broken as error:
            if error.seen == "the agent hung up":
                return
            raise Broken(f"the agent hangs up after {after}", error.seen) from error
        raise Broken(f"the agent hangs up after {after}", value)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
