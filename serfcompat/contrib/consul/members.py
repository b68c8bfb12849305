"""Consul's members: Serf members whose tags say what Consul runs there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from serfcompat.serf.member import Member, MemberStatus

_DIGITS = 10
"Of a number in a tag. Longer ones are no port, version or count."


class Kind(StrEnum):
    """What `consul members` calls the type."""

    SERVER = "server"
    CLIENT = "client"
    UNKNOWN = "unknown"
    "A Serf member without Consul's tags, or a server without a usable port."


@dataclass(frozen=True, slots=True)
class ConsulServer:
    """What only servers tell."""

    port: int
    "Of its RPC."
    bootstrap: bool
    "Started with `-bootstrap`: it may elect itself."
    expect: int
    "`-bootstrap-expect`; 0 without."
    raft_vsn: int | None
    read_replica: bool
    "Without a vote in Raft (called non-voter before Consul 1.9)."
    wan_join_port: int | None
    "Its port in the WAN pool, told in the LAN pool."


@dataclass(frozen=True, slots=True)
class ConsulMember:
    """A member of a pool, as it stood when it was asked for."""

    name: str
    address: str
    "`host:port`; empty for one that is long gone, of which only the name is left."
    status: MemberStatus
    kind: Kind
    datacenter: str
    segment: str
    "Network segment; empty: the default one, and all of them for a server."
    id: str
    "The node's UUID; empty if it tells none."
    build: str
    "Consul's version without what comes after the colon; empty if it tells none."
    vsn: int | None
    "Consul protocol that it speaks."
    vsn_min: int | None
    vsn_max: int | None
    server: ConsulServer | None
    "None unless `kind` is server."
    tags: Mapping[str, str]
    "All of them, also those above."


def typed(member: Member) -> ConsulMember:
    """A Serf member read as Consul reads it. Nothing is refused: what makes no sense is missing.

    Source: Consul's `metadata.IsConsulServer` and the columns of `consul members`.
    """
    tags = member.tags
    server = _server(tags)
    role = tags.get("role")
    kind = Kind.SERVER if server else Kind.CLIENT if role == "node" else Kind.UNKNOWN
    return ConsulMember(
        name=member.name,
        address=member.address if member.port else "",
        status=member.status,
        kind=kind,
        datacenter=tags.get("dc", ""),
        segment=tags.get("segment", ""),
        id=tags.get("id", ""),
        build=tags.get("build", "").partition(":")[0],
        vsn=_number(tags.get("vsn")),
        vsn_min=_number(tags.get("vsn_min")),
        vsn_max=_number(tags.get("vsn_max")),
        server=server,
        tags=tags,
    )


def _server(tags: Mapping[str, str]) -> ConsulServer | None:
    port = _number(tags.get("port"))
    if tags.get("role") != "consul" or port is None:
        return None
    return ConsulServer(
        port=port,
        bootstrap="bootstrap" in tags,
        expect=_number(tags.get("expect")) or 0,
        raft_vsn=_number(tags.get("raft_vsn")),
        read_replica="nonvoter" in tags or "read_replica" in tags,
        wan_join_port=_number(tags.get("wan_join_port")),
    )


def _number(text: str | None) -> int | None:
    if text is None or not text.isascii() or not text.isdigit() or len(text) > _DIGITS:
        return None
    return int(text)
