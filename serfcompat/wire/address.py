"""Addresses as the wire carries them: raw IP bytes and a port, and their text forms."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import NamedTuple

_V4_MAPPED = b"\0" * 10 + b"\xff\xff"


class Address(NamedTuple):
    """Where a node listens. Equality is equality of bytes, as in Go (spec memberlist §6.2, M-121)."""

    ip: bytes
    "4 or 16 bytes. An IPv4 address may come in its 16-byte, v4-mapped form; the two differ."
    port: int

    def __str__(self) -> str:
        return join_host_port(ip_text(self.ip), self.port)


def ip_text(ip: bytes) -> str:
    """The text Go prints: dotted quad also for v4-mapped bytes, RFC 5952 otherwise, `<nil>` for none."""
    if len(ip) == 4 or len(ip) == 16:
        return _proper_text(ip)
    return "?" + ip.hex() if ip else "<nil>"  # whatever a stranger sent, of any length: not worth remembering


@lru_cache(maxsize=4096)
def _proper_text(ip: bytes) -> str:
    if len(ip) == 16 and ip.startswith(_V4_MAPPED):
        ip = ip[12:]
    return ".".join(map(str, ip)) if len(ip) == 4 else ipaddress.IPv6Address(ip).compressed


def join_host_port(host: str, port: int) -> str:
    """`host:port`, with brackets around an IPv6 host. No address gives `:port` (spec serf §1.8)."""
    if host == "<nil>":
        host = ""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def ip_bytes(text: str) -> bytes:
    """The 4 or 16 bytes of an IP literal; a v4-mapped literal gives 4. Raises ValueError on anything else."""
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return address.packed
