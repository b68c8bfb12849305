"""A pool as one of its members sees it, learned by a visit: no member, no trace (see `runtime/visit.py`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from serfcompat.contrib.consul.events import ConsulEvent, NewLeader, pool_event
from serfcompat.contrib.consul.members import ConsulMember, Kind, typed
from serfcompat.errors import VisitError, WireError
from serfcompat.runtime.visit import Visited, visit
from serfcompat.serf.events import UserEvent
from serfcompat.serf.member import MemberStatus
from serfcompat.serf.members import member
from serfcompat.serf.tags import decoded
from serfcompat.serf.text import text
from serfcompat.swim.events import NodeState
from serfcompat.wire.address import Address
from serfcompat.wire.messages import PushPullNode
from serfcompat.wire.serf_messages import SerfPushPull
from serfcompat.wire.types import SerfMessageType

LAN_PORT, WAN_PORT = 8301, 8302


@dataclass(frozen=True, slots=True)
class Pool:
    """What a member of the pool told."""

    asked: str
    "`host:port` of the member that answered."
    members: tuple[ConsulMember, ...]
    "By name. Those that failed or left are there as long as Consul remembers them, 72 hours."
    events: tuple[ConsulEvent | NewLeader | UserEvent, ...]
    "User events that it remembers, at most those of 512 event times, the oldest first."

    @property
    def datacenter(self) -> str:
        """The one that most members name; empty if none does. A WAN pool has many."""
        named = Counter(each.datacenter for each in self.members if each.kind is not Kind.UNKNOWN)
        return named.most_common(1)[0][0] if named else ""

    @property
    def segment(self) -> str:
        """Of the member that answered. In a segment's pool all clients are in that segment."""
        clients = Counter(each.segment for each in self.members if each.kind is Kind.CLIENT)
        mine = [each.segment for each in self.members if each.address == self.asked]
        return mine[0] if mine else clients.most_common(1)[0][0] if clients else ""

    @property
    def is_wan(self) -> bool:
        """Whether it is the pool between datacenters: servers only, each called NAME.DATACENTER."""
        return bool(self.members) and all(
            each.kind is Kind.SERVER and each.name.endswith(f".{each.datacenter}") for each in self.members
        )


def look(addresses: Sequence[str], *, wan: bool = False, keys: Sequence[bytes] = (), timeout: float = 10.0) -> Pool:
    """Ask a member of a pool for all that it knows. Blocks; nobody notices, beyond a line of its debug log.

    Args:
        addresses: `host` or `host:port` of members, tried in turn; without a port Consul's own.
        wan: The port is that of the WAN pool.
        keys: Of an encrypted pool, as bytes (Consul's `encrypt` in base64), the primary first.
        timeout: Seconds to connect, and again for the exchange, per address.

    Raises:
        VisitError: Nobody answered. A wrong key is told as what it is; Consul logs an error about it.
    """
    return pool_of(visit(addresses, port=WAN_PORT if wan else LAN_PORT, keys=keys, timeout=timeout))


def pool_of(visited: Visited) -> Pool:
    """What a visit found. Raises VisitError if that was memberlist, but not Serf."""
    asked, state = str(visited.address), visited.state.user_state or b""
    if state[:1] != bytes((SerfMessageType.PUSH_PULL,)):
        raise VisitError([f"{asked}: speaks memberlist, but not Serf: is it the right port?"])
    try:
        serf = SerfPushPull.decode(state[1:])
    except WireError as error:
        raise VisitError([f"{asked}: its Serf state cannot be read: {error}"]) from error
    left = frozenset(serf.left_members or ())
    # Serf's list is the one that counts. memberlist keeps who is gone for a while longer than a forgetting Serf,
    # or drops it after 30 seconds while Serf remembers the name.
    known = (serf.status_ltimes or {}).keys()
    found = [_member(node, left) for node in visited.state.nodes if node.name in known]
    for name in known - {node.name for node in visited.state.nodes}:
        status = MemberStatus.LEFT if name in left else MemberStatus.FAILED
        found.append(typed(member(name, Address(b"", 0), {}, status, b"")))
    events = [
        UserEvent(slot.ltime, text(event.name), event.payload, False)
        for slot in sorted((slot for slot in serf.events or () if slot is not None), key=lambda slot: slot.ltime)
        for event in slot.events or ()
    ]
    return Pool(asked, tuple(sorted(found, key=lambda each: each.name)), tuple(map(_user_event, events)))


def _member(node: PushPullNode, left: frozenset[bytes]) -> ConsulMember:
    tags, _ = decoded(node.meta or b"")
    match node.state:
        case NodeState.ALIVE | NodeState.SUSPECT:
            status = MemberStatus.ALIVE
        case NodeState.LEFT:
            status = MemberStatus.LEFT
        case _:
            status = MemberStatus.LEFT if node.name in left else MemberStatus.FAILED
    return typed(member(node.name, Address(node.addr or b"", node.port), tags, status, node.vsn or b""))


def _user_event(event: UserEvent) -> ConsulEvent | NewLeader | UserEvent:
    found = pool_event(event)
    assert isinstance(found, ConsulEvent | NewLeader | UserEvent)
    return found
