"""Watching Consul pools: as a member of a LAN pool, or by visits that nobody notices (docs/consul.md)."""

from serfcompat.contrib.consul.events import ConsulEvent, ConsulMemberEvent, NewLeader, PoolEvent
from serfcompat.contrib.consul.members import ConsulMember, ConsulServer, Kind
from serfcompat.contrib.consul.observer import Observer
from serfcompat.contrib.consul.pool import Pool, look
from serfcompat.contrib.consul.watch import Watch

__all__ = [
    "ConsulEvent",
    "ConsulMember",
    "ConsulMemberEvent",
    "ConsulServer",
    "Kind",
    "NewLeader",
    "Observer",
    "Pool",
    "PoolEvent",
    "Watch",
    "look",
]
