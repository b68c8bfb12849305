"""What happens in a Consul pool: members come and go, `consul event` fires, a server becomes leader."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from serfcompat.contrib.consul.members import ConsulMember, typed
from serfcompat.errors import WireError
from serfcompat.serf.events import Event, EventType, MemberEvent, UserEvent
from serfcompat.serf.text import text
from serfcompat.wire.gomsgpack import BYTES, INT, TEXT
from serfcompat.wire.gostruct import Message, go_struct

_EVENT_PREFIX = "consul:event:"
_NEW_LEADER = "consul:new-leader"


@dataclass(frozen=True, slots=True)
class ConsulMemberEvent:
    """Members joined, left, failed, were updated or reaped."""

    type: EventType
    members: tuple[ConsulMember, ...]


@dataclass(frozen=True, slots=True)
class ConsulEvent:
    """Somebody's `consul event`. The filters are told as they came; nobody applied them."""

    id: str
    "UUID of this event."
    name: str
    payload: bytes | None
    node_filter: str
    "Regular expression on node names; empty: all (`-node`)."
    service_filter: str
    tag_filter: str
    version: int
    ltime: int
    "Lamport time of the event clock."


@dataclass(frozen=True, slots=True)
class NewLeader:
    """A server says that it leads the datacenter now. Fired anew at each election, and now and then repeated."""

    server: str
    ltime: int


PoolEvent = ConsulMemberEvent | ConsulEvent | NewLeader | UserEvent
"A `UserEvent` is one that isn't Consul's, or that could not be read."


@go_struct(ID=TEXT, n=TEXT, p=BYTES, nf=TEXT, sf=TEXT, tf=TEXT, v=INT)
@dataclass(frozen=True, slots=True)
class _Payload(Message):
    """How Consul packs an event (its `UserEvent`)."""

    TYPE: ClassVar = None

    id: bytes
    name: bytes
    payload: bytes | None
    node_filter: bytes
    service_filter: bytes
    tag_filter: bytes
    version: int


def pool_event(event: Event) -> PoolEvent | None:
    """A Serf event as Consul means it; None for a query, which is none of its users' business."""
    match event:
        case MemberEvent(type, members):
            return ConsulMemberEvent(type, tuple(map(typed, members)))
        case UserEvent(ltime, name, payload, _):
            if name == _NEW_LEADER:
                return NewLeader(text(payload or b""), ltime)
            return _consul_event(event) if name.startswith(_EVENT_PREFIX) else event
        case _:
            return None


def _consul_event(event: UserEvent) -> ConsulEvent | UserEvent:
    try:
        found = _Payload.decode(event.payload or b"")
    except WireError:
        return event
    return ConsulEvent(
        id=text(found.id),
        name=text(found.name),
        payload=found.payload,
        node_filter=text(found.node_filter),
        service_filter=text(found.service_filter),
        tag_filter=text(found.tag_filter),
        version=found.version,
        ltime=event.ltime,
    )
