"""One socket for both families: what `0.0.0.0` and `::` mean to Go, and so to us.

Such a socket is an IPv6 one; IPv4 peers have v4-mapped addresses there. They come to the engine, and
go from it, as plain IPv4. Where the kernel has no IPv6, `0.0.0.0` is IPv4 alone.
"""

from __future__ import annotations

import socket as std_socket
from collections.abc import Callable
from typing import Protocol, TypeVar

WILDCARDS = ("0.0.0.0", "::")
_MAPPED = b"\0" * 10 + b"\xff\xff"


class Bindable(Protocol):
    """What a socket must do to be bound here."""

    def bind(self, address: tuple[str, int], /) -> object: ...

    def setsockopt(self, level: int, option: int, value: int, /) -> object: ...

    def close(self) -> object: ...


S = TypeVar("S", bound=Bindable)


def bound(make: Callable[[int], S], host: str, port: int) -> S:
    """A bound socket that `make(family)` gives; a wildcard, of both families if there are both. Raises OSError."""
    if host not in WILDCARDS:
        return _bound(make, std_socket.AF_INET6 if ":" in host else std_socket.AF_INET, host, port, only=True)
    try:
        return _bound(make, std_socket.AF_INET6, "::", port, only=False)
    except OSError as error:
        if host != "0.0.0.0" or not _no_ipv6():
            raise error
        return _bound(make, std_socket.AF_INET, host, port, only=True)


def _bound(make: Callable[[int], S], family: int, host: str, port: int, *, only: bool) -> S:
    sock = make(family)
    try:
        if family == std_socket.AF_INET6:
            sock.setsockopt(std_socket.IPPROTO_IPV6, std_socket.IPV6_V6ONLY, int(only))
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock


def _no_ipv6() -> bool:
    """Whether the kernel has none: anything else that keeps a port from being bound is worth an error."""
    try:
        with std_socket.socket(std_socket.AF_INET6, std_socket.SOCK_DGRAM) as probe:
            probe.bind(("::", 0))
    except OSError:
        return True
    return False


def plain(ip: bytes) -> bytes:
    """An IPv4 address that a dual socket shows as v4-mapped, in four bytes; any other as it is."""
    return ip[12:] if len(ip) == 16 and ip.startswith(_MAPPED) else ip


def mapped(ip: bytes) -> bytes:
    """An address as an IPv6 socket wants it, in sixteen bytes."""
    return _MAPPED + ip if len(ip) == 4 else ip
