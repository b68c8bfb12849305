"""Addresses in the agent's settings: bind, advertise, interface (spec agent §2.5)."""

from __future__ import annotations

import ipaddress
import socket

from serfcompat.agent.config import DEFAULT_BIND_PORT, AgentConfig, ConfigError
from serfcompat.agent.interfaces import interface_addresses
from serfcompat.rpc.dial import port_number, split_host_port
from serfcompat.wire.address import ip_bytes, ip_text, join_host_port

ANY = "0.0.0.0"


def parse_address(text: str) -> tuple[str, int]:
    """IP and port; the port is 7946 unless given. Names are looked up. Raises ValueError in Go's words."""
    try:
        host, port_text = split_host_port(text)
    except ValueError as error:
        if not str(error).endswith("missing port in address"):
            raise
        host, port_text = split_host_port(f"{text}:{DEFAULT_BIND_PORT}")
    port = port_number(port_text)
    if not host:
        return ANY, port
    try:
        return ip_text(ip_bytes(host)), port
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise ValueError(f"lookup {host}: no such host") from None
    # Go prefers IPv4 here, whatever the system's order is.
    found.sort(key=lambda info: info[0] != socket.AF_INET)
    return str(found[0][4][0]), port


def bind_address(config: AgentConfig) -> tuple[str, int]:
    """Where to listen, by address alone. Raises ConfigError."""
    try:
        return parse_address(config.bind)
    except ValueError as error:
        raise ConfigError(f"Invalid bind address: {error}") from None


def advertise_address(config: AgentConfig) -> tuple[str, int] | None:
    """What to tell others, if it was set. Raises ConfigError."""
    if not config.advertise:
        return None
    try:
        return parse_address(config.advertise)
    except ValueError as error:
        raise ConfigError(f"Invalid advertise address: {error}") from None


def interface_address(name: str, bind_ip: str) -> str:
    """The IP of an interface to bind to: its first one, or `bind_ip` itself, which must be one of its own.

    Raises ConfigError.
    """
    try:
        found = interface_addresses(name)
    except OSError as error:
        raise ConfigError(f"Failed to get interface addresses: {(error.strerror or str(error)).lower()}") from None
    if not found:
        raise ConfigError(f"Interface '{name}' has no addresses")
    if bind_ip != ANY:
        if bind_ip not in found:
            raise ConfigError(f"Interface '{name}' has no '{bind_ip}' address")
        return bind_ip
    for ip in found:
        if not ipaddress.ip_address(ip).is_link_local:
            return ip
    raise ConfigError(f"Failed to find usable address for interface '{name}'")


def shown(ip: str, port: int) -> str:
    """`ip:port`, with brackets around IPv6."""
    return join_host_port(ip, port)
