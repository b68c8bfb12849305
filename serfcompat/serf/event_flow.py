"""How many user events may wait to be gossiped before those who send more have to wait.

Upstream queues what it is given and forgets the oldest when its queue is too long. Long before that
it loses events: members are sent different parts of a queue that does not fit into one packet, and a
message may use up its transmissions on one of them. What fits into one packet goes to every
target of a gossip tick, and is sent as fast as the protocol can; so that much may wait, of
everybody's events together. A small share is always ours, lest others keep us silent.
"""

from __future__ import annotations

from typing import Final

from serfcompat.swim.queue import TransmitLimitedQueue

ENTRY_OVERHEAD: Final = 3
"Bytes that a message costs in a packet beside its own: its length in the compound, and memberlist's type."
OWN_SHARE: Final = 4
"A quarter of a packet is ours, whatever the others send."


class OwnEvent:
    """Rides with an event of ours through the queue, and comes back when it was sent often enough."""

    __slots__ = ("cost",)

    def __init__(self, cost: int) -> None:
        self.cost = cost


class EventFlow:
    """Watches the queue of user events."""

    def __init__(self, queue: TransmitLimitedQueue) -> None:
        self._queue = queue
        self._own = 0
        "Bytes of our events in the queue."

    def put(self, message: bytes, packet: int) -> None:
        """Queue an event of ours. What no packet can hold waits for ever, as upstream's; it holds up nobody."""
        cost = len(message) + ENTRY_OVERHEAD
        token = OwnEvent(cost) if cost <= packet else None
        if token is not None:
            self._own += cost
        self._queue.put(message, unique=True, token=token)

    def sent(self, token: OwnEvent) -> None:
        """An event of ours was sent often enough."""
        self._own -= token.cost

    def has_room(self, size: int, packet: int, most: int) -> bool:
        """Whether an event of ours may be queued now without risk for it or those that wait already.

        Args:
            size: Bytes of the encoded event.
            packet: Bytes for messages in a gossip packet.
            most: Messages that the queue keeps when it is looked at.
        """
        if not len(self._queue):
            return True
        cost = size + ENTRY_OVERHEAD
        waiting = self._queue.size + ENTRY_OVERHEAD * len(self._queue)
        if len(self._queue) >= most:
            return False
        return waiting + cost <= packet or self._own + cost <= packet // OWN_SHARE
