"""Seeds from DNS: `srv+_serf._tcp.example.org` stands for every target of that SRV record, with its port (RFC 2782)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from gevent.hub import get_hub

from serfcompat.wire.address import ip_bytes

PREFIX = "srv+"
MOST_TARGETS = 64
"Targets of one record that are looked up."
DNS_TIMEOUT = 5.0
"Seconds for each look-up, with all its repetitions."


def srv_lookup(service: str, config_path: str) -> list[tuple[bytes, int]]:
    """Addresses and ports of a service, the preferred first. Blocks the greenlet, never the hub. Raises OSError.

    Args:
        service: The record's name, e.g. `_serf._tcp.example.org`.
        config_path: Names the name servers, in the form of /etc/resolv.conf.
    """
    import dns.exception

    try:
        found: list[tuple[bytes, int]] = get_hub().threadpool.apply(_ask, (service, config_path))
    except dns.exception.DNSException as error:
        raise OSError(f"no SRV record of {service}: {error}") from error
    if not found:
        raise OSError(f"no target of the SRV record of {service} has an address")
    return found


def _ask(service: str, config_path: str) -> list[tuple[bytes, int]]:
    """Runs in a native thread."""
    import dns.resolver

    resolver = dns.resolver.Resolver(filename=config_path)
    records = sorted(
        resolver.resolve(service, "SRV", lifetime=DNS_TIMEOUT, search=False),
        key=lambda record: (record.priority, -record.weight, str(record.target)),
    )
    found: dict[tuple[bytes, int], None] = {}
    for record in records[:MOST_TARGETS]:
        for ip in _addresses(resolver, record.target):
            found[ip_bytes(ip), record.port] = None
    return list(found)


def _addresses(resolver: object, name: object) -> Iterator[str]:
    """A and AAAA records of a target; one that has none costs the others nothing."""
    import dns.exception

    for kind in ("A", "AAAA"):
        with contextlib.suppress(dns.exception.DNSException):
            for record in resolver.resolve(name, kind, lifetime=DNS_TIMEOUT, search=False):  # type: ignore[attr-defined]
                yield str(record.address)
