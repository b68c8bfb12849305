"""A drop-in for the package `serfclient` 1.2.0: the same classes, methods, defaults and exceptions.

    from serfcompat.compat.serfclient import SerfClient      # was: from serfclient.client import SerfClient

What was a defect there works here: `Addr` is readable text whatever msgpack is installed, an
error doesn't leave the client waiting for a body that never comes, answers that come late
don't upset later calls, records that arrive together are all seen, and one client may be
shared by threads. New programs are better served by `serfcompat.rpc.client.Client`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from serfcompat.errors import AgentUnreachable, RPCError, WireError
from serfcompat.rpc import codec, protocol
from serfcompat.rpc.connection import Call, Connection, Inbox
from serfcompat.rpc.dial import dial
from serfcompat.rpc.protocol import REQUESTS, Request
from serfcompat.rpc.records import event_fields, event_of
from serfcompat.rpc.replies import Body, MembersReply, member_fields
from serfcompat.wire.address import ip_text, join_host_port

__all__ = [
    "EnvironmentConfig",
    "SerfClient",
    "SerfConnection",
    "SerfConnectionError",
    "SerfProtocolError",
    "SerfResult",
]


class SerfConnectionError(Exception):
    """There is no connection to the agent."""


class SerfTimeout(SerfConnectionError):
    """The agent did not answer in time. What was asked may still happen."""


class SerfProtocolError(SerfConnectionError):
    """The agent or the caller does not speak the protocol."""


class SerfResult:
    """An answer: `head` with `Error` (empty on success) and `Seq`, and `body`. Iterating gives both."""

    def __init__(self, head: Any = None, body: Any = None) -> None:
        self.head, self.body = head, body

    def __iter__(self) -> Iterator[Any]:
        yield self.head
        yield self.body

    def __repr__(self) -> str:
        return f"{type(self).__name__}<head={self.head},body={self.body}>"


class SerfConnection:
    """A connection on which commands are called by their names."""

    def __init__(self, host: str = "localhost", port: int = 7373, timeout: float = 3) -> None:
        """Connects with the handshake. `timeout`: seconds for connecting and for each answer."""
        self.host = host
        self.port = port
        self.timeout = timeout
        self._connection: Connection | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}<host={self.host},port={self.port},timeout={self.timeout}>"

    def handshake(self) -> SerfResult:
        """Connect and introduce ourselves. Raises SerfConnectionError."""
        if self._connection is None:
            try:
                self._connection = Connection(dial(join_host_port(self.host, self.port), self.timeout), self.timeout)
            except AgentUnreachable as error:
                raise SerfConnectionError(self._no_connection(error)) from error
        return self.call("handshake", {"Version": protocol.VERSION}, expect_body=False)

    def auth(self, auth_key: str) -> SerfResult:
        """Show the agent's token. The result's head has an error if it is the wrong one."""
        return self.call("auth", {"AuthKey": auth_key}, expect_body=False)

    def call(
        self, command: str, params: Mapping[str, Any] | None = None, expect_body: bool = True, stream: bool = False
    ) -> SerfResult:
        """Send a command and wait for the answer. An error of the agent is in the result's head.

        Args:
            params: The body, in the protocol's own names.
            expect_body: Not needed any more: the command tells.
            stream: The result's body is an iterator over what comes.

        Raises:
            SerfConnectionError: No handshake was made, or the connection is lost.
            SerfTimeout: No answer came in time.
            SerfProtocolError: There is no such command, or `params` make no sense.
        """
        connection = self._connection
        if connection is None:
            raise SerfConnectionError("handshake must be made first")
        try:
            request = REQUESTS[command].decode(dict(params or {}))
        except (KeyError, WireError) as error:
            raise SerfProtocolError(f"the command {command!r} can't be called with {params!r}") from error
        if stream:
            return self._stream(connection, request)
        call = self._submit(connection, request)
        head, body = self._answer(call)
        return SerfResult(head, None if body is None else _plain(body))

    def close(self) -> None:
        """Hang up; may be called again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _submit(self, connection: Connection, request: Request, **options: Any) -> Call:
        try:
            return connection.submit(request, **options)
        except AgentUnreachable as error:
            raise SerfConnectionError("Connection closed by peer") from error

    def _answer(self, call: Call) -> tuple[dict[str, Any], Body | None]:
        try:
            return {"Error": "", "Seq": call.seq}, call.result(self.timeout)
        except TimeoutError as error:
            raise SerfTimeout(f"timeout while waiting for an RPC response to {call.request.COMMAND}") from error
        except AgentUnreachable as error:
            raise SerfConnectionError("Connection closed by peer") from error
        except RPCError as error:
            reply = error.reply
            return {"Error": str(error), "Seq": call.seq}, reply if isinstance(reply, Body) else None

    def _stream(self, connection: Connection, request: Request) -> SerfResult:
        inbox: Inbox[dict[str, Any]] = Inbox()
        call = self._submit(connection, request, sink=lambda item: inbox.put(_event(item)), inbox=inbox)
        head, _ = self._answer(call)
        return SerfResult(head, iter(()) if head["Error"] else self._records(connection, inbox, head))

    @staticmethod
    def _records(connection: Connection, inbox: Inbox[dict[str, Any]], head: dict[str, Any]) -> Iterator[SerfResult]:
        while True:
            try:
                connection.wait(inbox)
                yield SerfResult(dict(head), inbox.records.popleft())
            except (AgentUnreachable, IndexError) as error:
                raise SerfConnectionError("Connection closed by peer") from error

    def _no_connection(self, error: AgentUnreachable) -> str:
        cause = error.__cause__
        number, text = (cause.errno, cause.strerror) if isinstance(cause, OSError) else ("", str(error))
        return f"Error {number} connecting {self.host}:{self.port}. {text}."


class SerfClient:
    """Commands of an agent. Each returns a SerfResult; see there for errors."""

    def __init__(
        self, host: str = "localhost", port: int = 7373, rpc_auth: str | None = None, timeout: float = 3
    ) -> None:
        """Connect. Raises SerfConnectionError."""
        self.host = host
        self.port = port
        self.timeout = timeout
        self.connection: SerfConnection | None = SerfConnection(host=host, port=port, timeout=timeout)
        self.connection.handshake()
        if rpc_auth:
            self.connection.auth(rpc_auth)

    def stream(self, event_types: str | list[str] = "*") -> SerfResult:
        """Events from now on; the result's body is an iterator over results, one for each event.

        ⚠ A Go agent answers just before it begins; the answer to another call of this client shows that it has.
        """
        if isinstance(event_types, list):
            event_types = ",".join(event_types)
        return self._call("stream", {"Type": event_types}, stream=True)

    def event(self, name: str, payload: str | bytes | None = None, coalesce: bool = True) -> SerfResult:
        """Send an event to the cluster."""
        return self._call("event", {"Name": name, "Payload": payload, "Coalesce": coalesce}, expect_body=False)

    def members(
        self, name: str | None = None, status: str | None = None, tags: Mapping[str, str] | None = None
    ) -> SerfResult:
        """Members, or those that match these regular expressions."""
        filters = {"Name": name, "Status": status, "Tags": None if tags is None else dict(tags)}
        given = {key: value for key, value in filters.items() if value is not None}
        return self._call("members-filtered", given) if given else self._call("members")

    def force_leave(self, name: str) -> SerfResult:
        """Make a failed member one that left."""
        return self._call("force-leave", {"Node": name}, expect_body=False)

    def join(self, location: str | Sequence[str]) -> SerfResult:
        """Join the cluster of one or more `host:port`."""
        existing = list(location) if isinstance(location, (list, tuple)) else [location]
        return self._call("join", {"Existing": existing, "Replay": False})

    def stats(self) -> SerfResult:
        """What `serf info` shows."""
        return self._call("stats")

    def close(self) -> None:
        """Hang up; may be called again."""
        if self.connection:
            self.connection.close()
            self.connection = None

    def _call(self, command: str, params: Mapping[str, Any] | None = None, **options: bool) -> SerfResult:
        if self.connection is None:
            raise SerfConnectionError("the client is closed")
        return self.connection.call(command, params, **options)


class EnvironmentConfig:
    """Where the agent is, from SERF_RPC_ADDR and SERF_RPC_AUTH."""

    def __init__(self) -> None:
        self.host = "localhost"
        self.port = 7373
        self.auth_key: str | None = None
        if address := os.getenv("SERF_RPC_ADDR"):
            host, _, port = address.rpartition(":")
            self.host, self.port = host.strip("[]"), int(port)
        if auth := os.getenv("SERF_RPC_AUTH"):
            self.auth_key = auth


def _event(item: Any) -> dict[str, Any]:
    fields = event_fields(event_of(item))
    if "Members" in fields:
        fields["Members"] = [_readable(member) for member in fields["Members"]]
    return fields


def _plain(body: Body) -> Any:
    """A reply as the maps and lists that it came as."""
    if isinstance(body, MembersReply):
        return {"Members": [_readable(member_fields(member)) for member in body.members]}
    return codec.unpack(body.encode())


def _readable(member: dict[str, Any]) -> dict[str, Any]:
    return member | {"Addr": ip_text(member["Addr"]) if member["Addr"] else ""}
