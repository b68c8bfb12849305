"""What Consul demands of who joins (its merge delegates), asked beforehand: a refusal would only be in its log."""

from __future__ import annotations

from collections.abc import Mapping

from serfcompat.contrib.consul.members import ConsulMember
from serfcompat.contrib.consul.pool import Pool
from serfcompat.errors import UsageError
from serfcompat.serf.member import MemberStatus

SERVER_ROLE = "consul"


def observer_tags(pool: Pool, build: str) -> dict[str, str]:
    """The least that makes a member of this LAN pool one that Consul knows how to treat: a client.

    ⚠ A member without these tags is taken as well, but the leader warns of it once a minute for as long as it
    is remembered ("skipping reconcile of node").
    """
    tags = {"role": "node", "dc": pool.datacenter, "build": f"{build}:serfcompat"}
    if pool.segment:
        tags["segment"] = pool.segment
    return tags


def check_tags(tags: Mapping[str, str]) -> None:
    """Raise UsageError for tags that would make Consul take us for a server, and ask us to vote."""
    if tags.get("role") == SERVER_ROLE:
        raise UsageError("an observer must not have the tag role=consul: Consul would take it for a server")


def refusal(name: str, tags: Mapping[str, str], pool: Pool) -> str | None:
    """Why this pool would not take a member with these tags, or None if nothing speaks against it.

    Source: Consul's `lanMergeDelegate` and `wanMergeDelegate`; and one thing that it doesn't check, see `_clash`.
    """
    if pool.is_wan:
        return (
            f"{pool.asked} is in a WAN pool, which takes servers only: "
            "follow it with Watch(…, wan=True), or join its LAN pool on port 8301"
        )
    dc = tags.get("dc", "")
    if tags.get("role") == "node" and dc != pool.datacenter:
        return f"{pool.asked} is in datacenter '{pool.datacenter}', not in '{dc}'"
    if (segment := tags.get("segment", "")) != pool.segment:
        return f"{pool.asked} is in segment '{pool.segment}', not in '{segment}'"
    for member in pool.members:
        if member.name != name and member.id and member.id == tags.get("id"):
            return f"node ID {member.id} is that of {member.name}"
        if member.name == name and _clash(member):
            return f"there is a member {name} already, at {member.address}: choose another name"
    return None


def _clash(member: ConsulMember) -> bool:
    """Two members of one name would accuse each other in everybody's log; one that has left makes place."""
    return member.status is MemberStatus.ALIVE
