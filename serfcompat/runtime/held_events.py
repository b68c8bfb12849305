"""User events whose callers wait until the queue has room: back-pressure instead of loss."""

from __future__ import annotations

from collections import deque

from gevent.event import Event

from serfcompat.errors import EventQueueFull, StateError
from serfcompat.runtime.node import Node
from serfcompat.runtime.surroundings import monotonic
from serfcompat.serf.engine import SerfEngine
from serfcompat.swim.metrics import Metrics


class HeldEvents:
    """Callers of `Serf.user_event`, first come, first served. Everything here runs on the node's hub."""

    def __init__(self, node: Node[SerfEngine], metrics: Metrics) -> None:
        self._node = node
        self._metrics = metrics
        self._turns: deque[Event] = deque()
        self.held = 0
        "Calls that had to wait, or were refused."
        self._over = False

    def fire(self, name: str, payload: bytes | None, coalesce: bool, *, block: bool, timeout: float | None) -> None:
        """Send an event as soon as there is room for it. Raises EventQueueFull, PayloadTooLarge, StateError."""
        if self._turns or not self._node.engine.has_room(name, payload, coalesce):
            self.held += 1
            self._metrics.incr("serfcompat.user_event.held")
            if not block:
                raise EventQueueFull(
                    "as many user events wait to be sent as can be without loss: send it later, or with block=True"
                )
            self._wait(name, payload, coalesce, timeout)
        ring, engine = self._node.ring, self._node.engine
        ring.perform(engine.user_event(name, payload, coalesce, ring.clock.now_ns()))

    def look(self) -> None:
        """Something happened: there may be room for the first in the line."""
        if self._turns:
            self._turns[0].set()

    def end(self) -> None:
        """The node ends: who waits is told."""
        self._over = True
        for turn in self._turns:
            turn.set()

    def _wait(self, name: str, payload: bytes | None, coalesce: bool, timeout: float | None) -> None:
        deadline = None if timeout is None else monotonic() + timeout
        turn = Event()
        self._turns.append(turn)
        try:
            while self._turns[0] is not turn or not self._node.engine.has_room(name, payload, coalesce):
                if not turn.wait(None if deadline is None else max(0.0, deadline - monotonic())):
                    raise EventQueueFull(f"no room for a user event within {timeout} s: the cluster can't carry more")
                turn.clear()
                if self._over:
                    raise StateError("the node was shut down before there was room for the event")
        finally:
            self._turns.remove(turn)
            self.look()
