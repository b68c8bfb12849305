"""Which address to tell the others (spec memberlist §6.18), and whether it is safe to talk there in clear."""

from __future__ import annotations

import ipaddress
import socket as std_socket
import struct
from collections.abc import Callable
from pathlib import Path

from serfcompat.errors import StartError
from serfcompat.swim.config import MemberlistConfig
from serfcompat.wire.address import Address, ip_bytes, ip_text

_PRIVATE = [
    ipaddress.ip_network(text)
    for text in ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "198.18.0.0/15", "fc00::/7")
]
"Special-purpose networks of RFC 6890 that forward packets: fit to be advertised."
_LOCAL = [
    ipaddress.ip_network(text)
    for text in ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "::1/128", "::/128", "fe80::/10", "2001:db8::/32")
]
"Special-purpose networks that stay on the host or the link."


def advertised(config: MemberlistConfig, bound_port: int, private: Callable[[], bytes] | None = None) -> Address:
    """The address and port to advertise. Raises StartError.

    Args:
        private: Finds the host's private address; None: `private_ipv4`.
    """
    if config.advertise_addr:
        try:
            return Address(ip_bytes(config.advertise_addr), config.advertise_port)
        except ValueError:
            raise StartError(f"advertise_addr is not an IP address: {config.advertise_addr!r}") from None
    if config.bind_addr == "0.0.0.0":
        # ⚠ In 16 bytes, as Go does here: a replacement of this node must advertise the identical form.
        return Address(b"\0" * 10 + b"\xff\xff" + (private or private_ipv4)(), bound_port)
    return Address(ip_bytes(config.bind_addr), bound_port)


def is_public(address: Address) -> bool:
    """Whether strangers may reach this address: encryption is then more than advisable."""
    ip = ipaddress.ip_address(ip_text(address.ip))
    return not any(ip.version == network.version and ip in network for network in _PRIVATE + _LOCAL)


def private_ipv4() -> bytes:
    """The first private IPv4 address, the default route's interface first. Raises StartError."""
    candidates = [
        (name != _default_interface(), ip)
        for name, ip in _interface_addresses()
        if any(ipaddress.IPv4Address(ip) in network for network in _PRIVATE if network.version == 4)
    ]
    if not candidates:
        raise StartError("no private IP address found to advertise: bind to a specific address, or set advertise_addr")
    return min(candidates, key=lambda candidate: candidate[0])[1]


def _interface_addresses() -> list[tuple[str, bytes]]:
    """(interface, IPv4 address) of the interfaces that have one, in the system's order."""
    import fcntl

    found = []
    with std_socket.socket(std_socket.AF_INET, std_socket.SOCK_DGRAM) as probe:
        for _, name in std_socket.if_nameindex():
            request = struct.pack("256s", name.encode()[:15])
            try:
                answer = fcntl.ioctl(probe.fileno(), 0x8915, request)  # SIOCGIFADDR
            except OSError:
                continue
            found.append((name, answer[20:24]))
    return found


def _default_interface() -> str | None:
    try:
        lines = Path("/proc/net/route").read_text().splitlines()[1:]
    except OSError:
        return None
    return next((fields[0] for line in lines if (fields := line.split())[1] == "00000000"), None)
