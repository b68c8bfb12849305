"""Queries that a client was told of and may still answer (spec agent §4.6.13)."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable

from serfcompat.serf.events import QueryEvent


class PendingQueries:
    """Numbers queries from 1, and forgets them at their deadlines."""

    def __init__(self, now_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._now_ns = now_ns
        self._last = 0
        self._queries: dict[int, QueryEvent] = {}
        self._deadlines: list[tuple[int, int]] = []

    def add(self, query: QueryEvent) -> int:
        """Its number on this connection."""
        self._forget_old()
        self._last += 1
        self._queries[self._last] = query
        heapq.heappush(self._deadlines, (query.deadline_ns, self._last))
        return self._last

    def get(self, number: int) -> QueryEvent | None:
        """The query, unless there is none of that number or its time is over."""
        self._forget_old()
        return self._queries.get(number)

    def _forget_old(self) -> None:
        now_ns = self._now_ns()
        while self._deadlines and self._deadlines[0][0] <= now_ns:
            del self._queries[heapq.heappop(self._deadlines)[1]]
