"""From what a user types to addresses: `host`, `host:port`, `[v6]:port`, `name/host:port` (spec memberlist §6.14).

Beyond upstream, `srv+_service._tcp.domain` stands for the targets of an SRV record.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NamedTuple

from gevent import socket
from gevent.hub import get_hub

from serfcompat.runtime import srv
from serfcompat.wire.address import Address, ip_bytes

DNS_TIMEOUT = 2.0
"Seconds for the look-up over TCP; after that the system's resolver is asked."


Lookup = Callable[[str, int, str, logging.Logger], list[bytes]]
"(host name, port, DNS configuration, log) → addresses. Raises OSError."


class ResolveError(Exception):
    """An address that can't be understood or found; the text says why."""


class Target(NamedTuple):
    """One address to try."""

    address: Address
    name: bytes
    "The node name given with it; empty if none was."


def split_target(text: str, default_port: int) -> tuple[str, str, int]:
    """Node name, host and port of an address string. Raises ResolveError."""
    name, slash, rest = text.partition("/")
    if not slash:
        name, rest = "", text
    elif not name:
        raise ResolveError(f"empty node name provided in '{text}'")
    if not _has_port(rest):
        rest = f"[{host}]:{default_port}" if ":" in (host := rest.strip("[]")) else f"{host}:{default_port}"
    host, port_text = split_host_port(rest)
    if not port_text.isascii() or not port_text.isdigit() or int(port_text) > 65535:
        raise ResolveError(f"address {text}: invalid port '{port_text}'")
    if not host:
        raise ResolveError(f"address {text}: no host given")
    return name, host, int(port_text)


def split_host_port(text: str) -> tuple[str, str]:
    """Host and port text of `host:port` or `[v6]:port`. Raises ResolveError in the words that Go uses."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket:
            raise ResolveError(f"address {text}: missing ']' in address")
        if not rest.startswith(":"):
            raise ResolveError(f"address {text}: missing port in address")
        return host, rest[1:]
    if text.count(":") > 1:
        raise ResolveError(f"address {text}: too many colons in address")
    host, colon, port = text.rpartition(":")
    if not colon:
        raise ResolveError(f"address {text}: missing port in address")
    return host, port


def resolve(
    text: str, *, default_port: int, dns_config_path: str, log: logging.Logger, lookup: Lookup | None = None
) -> list[Target]:
    """Every address that a string stands for, in order. Blocks the greenlet, never the hub. Raises ResolveError.

    Args:
        lookup: Finds the addresses of a name; None: `system_lookup`.
    """
    name, host, port = split_target(text, default_port)
    encoded = name.encode("utf-8", "surrogateescape")
    if host.startswith(srv.PREFIX):
        try:
            services = srv.srv_lookup(host.removeprefix(srv.PREFIX), dns_config_path)
        except OSError as error:
            raise ResolveError(f"lookup {host}: {error}") from error
        return [Target(Address(ip, its_port), encoded) for ip, its_port in services]
    try:
        return [Target(Address(ip_bytes(host), port), encoded)]
    except ValueError:
        pass
    try:
        found = (lookup or system_lookup)(host, port, dns_config_path, log)
    except OSError as error:
        raise ResolveError(f"lookup {host}: {error.strerror or error}") from error
    return [Target(Address(ip, port), encoded) for ip in found]


def system_lookup(host: str, port: int, dns_config_path: str, log: logging.Logger) -> list[bytes]:
    """All addresses of a name, in order, each once. Blocks the greenlet, never the hub. Raises OSError."""
    if "." in host:
        # Many addresses may not fit in a datagram, so ask over TCP first.
        try:
            found = get_hub().threadpool.apply(_ask_over_tcp, (host, dns_config_path))
        except Exception as error:  # the library's many errors, or a broken resolv.conf: only a detour is lost
            log.debug("memberlist: TCP look-up of '%s' failed, asking the system: %s", host, error)
            found = []
        if found:
            return [ip_bytes(ip) for ip in found]
    infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(ip_bytes(info[4][0].partition("%")[0]) for info in infos))


def _has_port(text: str) -> bool:
    if text.startswith("["):
        return text.rfind(":") > text.rfind("]")
    return text.count(":") == 1


def _ask_over_tcp(host: str, config_path: str) -> list[str]:
    """A and AAAA answers of an ANY query to the first name server; runs in a native thread."""
    import dns.message
    import dns.name
    import dns.query
    import dns.rdatatype
    import dns.resolver

    server = dns.resolver.Resolver(filename=config_path).nameservers[0]
    query = dns.message.make_query(dns.name.from_text(host), dns.rdatatype.ANY)
    answer = dns.query.tcp(query, str(server), timeout=DNS_TIMEOUT)
    wanted = (dns.rdatatype.A, dns.rdatatype.AAAA)
    return [record.address for rrset in answer.answer if rrset.rdtype in wanted for record in rrset]
