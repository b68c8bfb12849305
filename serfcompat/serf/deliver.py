"""The way of an event to the application (spec serf §8.2).

rules → snapshot → internal queries are taken out → coalescing → application
"""

from __future__ import annotations

from serfcompat.serf.core import Core
from serfcompat.serf.events import Event, EventType, MemberEvent, QueryEvent
from serfcompat.serf.internal_queries import INTERNAL_PREFIX, on_internal_query
from serfcompat.serf.members import Entry


def deliver(core: Core, event: Event, now_ns: int) -> None:
    """Tell the snapshot and the application; Serf's own queries go no further than this node."""
    if core.snapshot is not None:
        core.out += core.snapshot.record(event, core.clock.time, now_ns)
    if isinstance(event, QueryEvent) and event.name.startswith(INTERNAL_PREFIX):
        on_internal_query(core, event, now_ns)
    else:
        core.coalescing.push(event, now_ns, core.out)


def deliver_member(core: Core, type: EventType, entry: Entry, now_ns: int) -> None:
    """Tell that something happened to one member, as it stands now."""
    deliver(core, MemberEvent(type, (entry.view(),)), now_ns)
