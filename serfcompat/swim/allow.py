"""Which addresses may be members (spec memberlist §6.17, CIDRsAllowed)."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from serfcompat.errors import UsageError

_V4_MAPPED = b"\0" * 10 + b"\xff\xff"


class AllowList:
    """Networks that members' addresses must lie in; none at all allows everything.

    IPv4 networks match v4-mapped addresses and never IPv6 ones, and the reverse (M-203).
    """

    def __init__(self, cidrs: Sequence[str]) -> None:
        """Raises UsageError that names all texts that are no network."""
        bad, self._networks = [], []
        for text in cidrs:
            try:
                self._networks.append(_parse(text.strip()))
            except ValueError:
                bad.append(text)
        if bad:
            raise UsageError(f"not a network in CIDR form, e.g. 10.0.0.0/8: {', '.join(map(repr, bad))}")

    def __bool__(self) -> bool:
        return bool(self._networks)

    def allows(self, ip: bytes) -> bool:
        if not self._networks:
            return True
        if len(ip) == 16 and ip.startswith(_V4_MAPPED):
            ip = ip[12:]
        value = int.from_bytes(ip, "big")
        return any(size == len(ip) and value & mask == network for size, network, mask in self._networks)


def _parse(text: str) -> tuple[int, int, int]:
    """(bytes of an address, network, mask), of exactly the forms that Go's `ParseCIDR` takes."""
    address, _, bits = text.partition("/")
    if not (bits.isascii() and bits.isdigit()) or "%" in address:
        raise ValueError
    network = ipaddress.ip_network((address, int(bits)), strict=False)
    size, prefix, mask = network.max_prefixlen // 8, network.network_address.packed, int(network.netmask)
    if size == 16 and prefix.startswith(_V4_MAPPED):  # ::ffff:10.0.0.0/104 is 10.0.0.0/8
        size, prefix, mask = 4, prefix[12:], mask & 0xFFFFFFFF
    return size, int.from_bytes(prefix, "big"), mask
