"""The timers that engines set, run by one greenlet: no wake-up unless one is due."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

import gevent
from gevent.event import Event

from serfcompat.runtime.clock import Clock
from serfcompat.swim.effects import TimerKey

LATE_NS = 1_000_000_000
"A timer so late means that the hub did not turn: others may believe us dead."


class Timers:
    """Named one-shot timers. Moving or cancelling one leaves a dead heap entry, dropped when it surfaces."""

    def __init__(
        self,
        clock: Clock,
        fire: Callable[[TimerKey, int], None],
        late: Callable[[int, int], None] = lambda late_ns, now_ns: None,
    ) -> None:
        """`fire(key, now_ns)` is called in the timers' greenlet and must not block; nor must `late(late_ns, now_ns)`.

        That is called before one that is late by more than `LATE_NS`.
        """
        self._late = late
        self._clock = clock
        self._fire = fire
        self._due: dict[TimerKey, int] = {}
        self._heap: list[tuple[int, int, TimerKey]] = []
        self._order = 0
        self._sooner = Event()
        self._sleeping_until: int | None = None
        self._stopped = False

    def set(self, key: TimerKey, at_ns: int) -> None:
        """Fire `key` at `at_ns`; replaces an earlier time."""
        self._due[key] = at_ns
        self._order += 1
        heapq.heappush(self._heap, (at_ns, self._order, key))
        if self._sleeping_until is None or at_ns < self._sleeping_until:
            self._sooner.set()
        if len(self._heap) > 64 and len(self._heap) > 4 * len(self._due):
            self._heap = [entry for entry in self._heap if self._due.get(entry[2]) == entry[0]]
            heapq.heapify(self._heap)

    def cancel(self, key: TimerKey) -> None:
        self._due.pop(key, None)

    def stop(self) -> None:
        """Fire nothing more. Safe in a forked child: it touches no hub."""
        self._stopped = True

    def run(self) -> Any:
        """Fire what is due, until stopped. Spawn it as a greenlet."""
        while not self._stopped:
            now_ns = self._clock.now_ns()
            while self._heap and self._heap[0][0] <= now_ns and not self._stopped:
                at_ns, _, key = heapq.heappop(self._heap)
                if self._due.get(key) == at_ns:
                    del self._due[key]
                    if now_ns - at_ns > LATE_NS:
                        self._late(now_ns - at_ns, now_ns)
                    self._fire(key, now_ns)
            self._sooner.clear()
            self._sleeping_until = self._heap[0][0] if self._heap else None
            if self._sleeping_until is None:
                self._sooner.wait()
            else:
                self._sooner.wait(max(0.0, (self._sleeping_until - self._clock.now_ns()) / 1e9))
            # A burst of work must not starve other greenlets.
            gevent.sleep(0)
