"""What was heard at recent Lamport times, to recognise repetitions (spec serf §5.2, §6.4).

One slot per Lamport time modulo the ring's size. A newer time evicts the slot's old one,
so the ring remembers about as many times as it has slots.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Slot(Generic[K, V]):
    """Everything heard at one Lamport time, in order of arrival."""

    __slots__ = ("entries", "ltime", "weight")

    def __init__(self, ltime: int) -> None:
        self.ltime = ltime
        self.entries: dict[K, V] = {}
        self.weight = 0


class LTimeRing(Generic[K, V]):
    """A ring of slots. Bounded in bytes as well: upstream lets anybody fill one slot without end."""

    def __init__(self, size: int, max_weight: int) -> None:
        self.slots: list[Slot[K, V] | None] = [None] * size
        self.weight = 0
        "Sum of the weights of all that is remembered."
        self._max_weight = max_weight

    def is_old(self, ltime: int, clock: int) -> bool:
        """Whether a time is so long past that repetitions of it can't be told any more."""
        size = len(self.slots)
        return clock > size and ltime < clock - size

    def knows(self, ltime: int, key: K) -> bool:
        slot = self.slots[ltime % len(self.slots)]
        return slot is not None and slot.ltime == ltime and key in slot.entries

    def add(self, ltime: int, key: K, value: V, weight: int = 1) -> bool:
        """Remember something that is not known yet; False if there is no room for it."""
        index = ltime % len(self.slots)
        slot = self.slots[index]
        if slot is None or slot.ltime != ltime:
            if slot is not None:
                self.weight -= slot.weight
            slot = self.slots[index] = Slot(ltime)
        if self.weight + weight > self._max_weight:
            return False
        slot.entries[key] = value
        slot.weight += weight
        self.weight += weight
        return True

    def __iter__(self) -> Iterator[Slot[K, V] | None]:
        return iter(self.slots)
