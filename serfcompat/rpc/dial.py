"""Open a connection to an agent; failures read as Go's do, because operators grep for them (spec agent §1.1.4)."""

from __future__ import annotations

import errno
import os
import socket

from serfcompat.errors import AgentUnreachable
from serfcompat.wire.address import join_host_port

UNIX = "unix://"


def dial(address: str, timeout: float) -> socket.socket:
    """A connected socket that waits `timeout` seconds at most, also when it is used later.

    Args:
        address: `host:port`, `[v6]:port`, or `unix:///path/of/socket`. No host means this machine.

    Raises:
        AgentUnreachable: The address makes no sense, or nobody answers there. `__cause__` has the system's error.
    """
    if address.startswith(UNIX):
        return _dial_unix(address.removeprefix(UNIX), timeout)
    try:
        host, port_text = split_host_port(address)
        port = port_number(port_text)
    except ValueError as error:
        raise AgentUnreachable(f"dial tcp: {error}") from None
    try:
        found = socket.getaddrinfo(host or "localhost", port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise AgentUnreachable(f"dial tcp: lookup {host}: no such host") from error
    first: tuple[str, OSError] | None = None
    for family, kind, protocol, _, target in found:
        connection = socket.socket(family, kind, protocol)
        connection.settimeout(timeout)
        try:
            connection.connect(target)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            connection.close()
            first = first or (join_host_port(str(target[0]), int(target[1])), error)
        else:
            return connection
    assert first is not None
    raise AgentUnreachable(f"dial tcp {first[0]}: {reason('connect', first[1])}") from first[1]


def _dial_unix(path: str, timeout: float) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(timeout)
    try:
        connection.connect(path)
    except OSError as error:
        connection.close()
        raise AgentUnreachable(f"dial unix {path}: {reason('connect', error)}") from error
    return connection


def split_host_port(address: str) -> tuple[str, str]:
    """Host and port as text. Raises ValueError in Go's words."""
    if not address:
        raise ValueError("missing address")
    if address.startswith("["):
        host, bracket, rest = address[1:].partition("]")
        if not bracket:
            raise ValueError(f"address {address}: missing ']' in address")
        if not rest:
            raise ValueError(f"address {address}: missing port in address")
        if not rest.startswith(":") or ":" in rest[1:]:
            raise ValueError(f"address {address}: too many colons in address")
        port = rest[1:]
    else:
        host, colon, port = address.rpartition(":")
        if not colon:
            raise ValueError(f"address {address}: missing port in address")
        if ":" in host:
            raise ValueError(f"address {address}: too many colons in address")
    for bracket in "[]":
        if bracket in host or bracket in port:
            raise ValueError(f"address {address}: unexpected '{bracket}' in address")
    return host, port


def port_number(text: str) -> int:
    """A port's number, also for a service's name. Raises ValueError in Go's words."""
    if not text:
        return 0
    if text.isascii() and text.lstrip("+-").isdigit():
        if not 0 <= int(text) <= 65535:
            raise ValueError(f"address {text}: invalid port")
        return int(text)
    try:
        return socket.getservbyname(text, "tcp")
    except (OSError, UnicodeError):
        raise ValueError(f"lookup tcp/{text}: unknown port") from None


def reason(call: str, error: OSError) -> str:
    """What went wrong in a system call, as Go words it: `connect: connection refused`."""
    if isinstance(error, TimeoutError) or error.errno == errno.ETIMEDOUT:
        return "i/o timeout" if error.errno is None else f"{call}: connection timed out"
    text = os.strerror(error.errno) if error.errno else str(error)
    return f"{call}: {text[:1].lower()}{text[1:]}"
