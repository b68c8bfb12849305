"""What is still to happen, in order: a heap of (time, sequence number)."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

Entry = tuple[int, int, Callable[..., None], tuple[Any, ...]]
"(world time, sequence number, function, its arguments). Entries of one time come in the order they were made."


class Agenda:
    """Virtual time. It moves to whatever comes next; between two things nothing passes."""

    __slots__ = ("_count", "_heap", "done", "now_ns")

    def __init__(self) -> None:
        self.now_ns = 0
        self.done = 0
        "Entries carried out so far."
        self._heap: list[Entry] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._heap)

    def at(self, at_ns: int, function: Callable[..., None], *args: Any) -> Entry:
        """Call `function(*args)` at a world time; at once, but after what is due already, if that has passed."""
        self._count += 1
        entry = (at_ns if at_ns > self.now_ns else self.now_ns, self._count, function, args)
        heapq.heappush(self._heap, entry)
        return entry

    def after(self, delay_ns: int, function: Callable[..., None], *args: Any) -> Entry:
        return self.at(self.now_ns + delay_ns, function, *args)

    def step(self, end_ns: int) -> bool:
        """Carry out the next entry; False if none is due until `end_ns`, and then it is `end_ns`."""
        heap = self._heap
        if not heap or heap[0][0] > end_ns:
            self.now_ns = max(self.now_ns, end_ns)
            return False
        self.now_ns, _, function, args = heapq.heappop(heap)
        self.done += 1
        function(*args)
        return True

    def run(self, end_ns: int) -> None:
        """Carry out everything that is due until `end_ns`."""
        heap, pop = self._heap, heapq.heappop
        while heap and heap[0][0] <= end_ns:
            self.now_ns, _, function, args = pop(heap)
            self.done += 1
            function(*args)
        self.now_ns = max(self.now_ns, end_ns)
