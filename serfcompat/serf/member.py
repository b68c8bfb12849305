"""A Serf member and its status (spec serf §4.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from serfcompat.wire.address import ip_text, join_host_port


class MemberStatus(IntEnum):
    """Legal transitions are the table of spec serf §4.7; `str()` is the word that the CLI prints."""

    NONE = 0
    ALIVE = 1
    LEAVING = 2
    LEFT = 3
    FAILED = 4

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Member:
    """A member as it stood when it was asked for (upstream `serf.Member`). Text is `str` with surrogateescape."""

    name: str
    addr: str
    "IP address as text; IPv4-mapped ones print as IPv4."
    port: int
    tags: Mapping[str, str]
    status: MemberStatus
    protocol_min: int
    protocol_max: int
    protocol_cur: int
    "memberlist protocol versions."
    delegate_min: int
    delegate_max: int
    delegate_cur: int
    "Serf protocol versions."
    addr_bytes: bytes = b""
    "The raw 4 or 16 bytes, as they came."

    @property
    def address(self) -> str:
        """`host:port`, with brackets around an IPv6 host."""
        return join_host_port(ip_text(self.addr_bytes), self.port)
