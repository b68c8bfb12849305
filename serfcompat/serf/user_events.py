"""User events: named payloads that reach every member once (spec serf §5)."""

from __future__ import annotations

from serfcompat.errors import PayloadTooLarge
from serfcompat.serf.core import Core
from serfcompat.serf.deliver import deliver
from serfcompat.serf.events import UserEvent
from serfcompat.serf.lamport import LTIME_MAX
from serfcompat.serf.queues import max_depth
from serfcompat.serf.text import raw, shown, text
from serfcompat.wire.serf_messages import BufferedEvent, EventSlot, UserEventMessage

_ENTRY_WEIGHT = 200
"Bytes that a remembered event costs beside its name and payload."


def fire(core: Core, name: str, payload: bytes | None, coalesce: bool, now_ns: int) -> None:
    """Send a user event (upstream `UserEvent`). There is no state check: a leaving node may still fire.

    Raises:
        PayloadTooLarge: Name and payload are over a limit, before or after encoding.
    """
    message, encoded = _encoded(core, name, payload, coalesce)
    core.event_clock.increment()
    on_user_event(core, message, now_ns)
    packet = core.swim.gossip_room()
    if core.swim.any_other_alive() or core.queues.event_flow.has_room(len(encoded), packet, _most(core)):
        core.queues.event_flow.put(encoded, packet)
    # Else nobody is there to hear it, and who comes is given the buffered events when it joins.


def has_room(core: Core, name: str, payload: bytes | None, coalesce: bool) -> bool:
    """Whether an event may be fired now without any being lost. Raises PayloadTooLarge: it may never be."""
    if not core.swim.any_other_alive():
        return True  # whether it is too large shows when it is fired
    _, encoded = _encoded(core, name, payload, coalesce)
    return core.queues.event_flow.has_room(len(encoded), core.swim.gossip_room(), _most(core))


def _most(core: Core) -> int:
    return max_depth(core.config, len(core.members))


def _encoded(core: Core, name: str, payload: bytes | None, coalesce: bool) -> tuple[UserEventMessage, bytes]:
    limit = core.config.user_event_size_limit  # upstream's cap of 9216 is checked with the configuration
    message = UserEventMessage(core.event_clock.time, raw(name), payload, coalesce)
    size = len(message.name) + len(payload or b"")
    _check_size(size, limit, f"user event exceeds configured limit of {limit} bytes before encoding")
    encoded = message.encode()
    _check_size(len(encoded), limit, f"encoded user event exceeds configured limit of {limit} bytes after encoding")
    return message, encoded


def _check_size(size: int, limit: int, message: str) -> None:
    if size > limit:
        raise PayloadTooLarge(
            message,
            limit=limit,
            size=size,
            advice="send a reference to it, or let members ask with a query, whose answers may be larger; "
            "user_event_size_limit can be up to 9216 if all members have it so, but over 1400 gossip can't carry it",
        )


def on_user_event(core: Core, message: UserEventMessage, now_ns: int) -> bool:
    """Deliver a user event unless it is old or known; True if it is worth passing on (upstream `handleUserEvent`)."""
    core.event_clock.witness(message.ltime)
    if message.ltime < core.event_min_time or message.ltime >= LTIME_MAX:
        return False
    ring = core.events
    if ring.is_old(message.ltime, core.event_clock.time):
        core.log.warning(
            "serf: received old event %s from time %d (current: %d)",
            shown(message.name), message.ltime, core.event_clock.time,
        )  # fmt: skip
        return False
    key = (message.name, message.payload or b"")
    if ring.knows(message.ltime, key):
        return False
    weight = len(message.name) + len(key[1]) + _ENTRY_WEIGHT
    if not ring.add(message.ltime, key, BufferedEvent(message.name, message.payload), weight):
        core.log.warning("serf: event buffer is full, dropping event %s", shown(message.name))
        return False
    name = text(message.name)
    core.metrics.incr("serf.events")
    core.metrics.incr(f"serf.events.{name}")
    deliver(core, UserEvent(message.ltime, name, message.payload, message.cc), now_ns)
    return True


def buffered(core: Core) -> list[EventSlot | None]:
    """The whole ring, as push/pull carries it: unused slots are nil (spec serf §5.3)."""
    return [None if slot is None else EventSlot(slot.ltime, list(slot.entries.values())) for slot in core.events]
