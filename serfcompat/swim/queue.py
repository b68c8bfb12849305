"""The transmit-limited broadcast queue: what rides on packets, and how often (spec memberlist §7).

Order is: fewer transmissions first, then longer messages, then newer ones. Items live in
one sorted list per number of transmissions ("tier"), so that "the longest that still
fits" is a bisection.

⚠ Upstream restarts its ids when its tree is empty for a moment, and then loses items
without telling who waits for them (defect B-4). Ids here only grow.
"""

from __future__ import annotations

import math
from bisect import bisect_right, insort
from collections.abc import Callable, Hashable
from typing import NamedTuple


class Broadcast(NamedTuple):
    """One queued message. The first two fields order it within its tier."""

    length: int
    id: int
    message: bytes
    name: bytes | None
    unique: bool
    token: Hashable | None
    transmits: int


def retransmit_limit(mult: int, nodes: int) -> int:
    """How often a message is sent in a cluster of `nodes`: `mult * ceil(log10(nodes + 1))` (M-194)."""
    return mult * math.ceil(math.log10(nodes + 1))


class TransmitLimitedQueue:
    """Messages that each node passes on a limited number of times (upstream `TransmitLimitedQueue`)."""

    def __init__(self, retransmit_mult: int) -> None:
        self.retransmit_mult = retransmit_mult
        self.finished: list[Hashable] = []
        "Tokens of messages that are done: sent often enough, replaced, pruned or reset. The engine drains it."
        self._tiers: dict[int, list[Broadcast]] = {}
        self._named: dict[bytes, Broadcast] = {}
        self._next_id = 1
        self._count = 0
        self.size = 0
        "Bytes of all messages in it."

    def __len__(self) -> int:
        return self._count

    def put(
        self,
        message: bytes,
        *,
        name: bytes | None = None,
        unique: bool = False,
        token: Hashable | None = None,
        invalidates: Callable[[bytes], bool] | None = None,
    ) -> None:
        """Queue a message with no transmissions yet (spec §7.2).

        Args:
            name: Replaces a queued message of the same name.
            unique: Never replaces and is never replaced.
            token: Appears in `finished` when the message is done.
            invalidates: For a nameless, not unique message: which older ones of that kind it replaces.
        """
        if name:
            if replaced := self._named.get(name):
                self._remove(replaced)
                self._finish(replaced)
        elif not unique and invalidates is not None:
            for old in [b for tier in self._tiers.values() for b in tier if not b.name and not b.unique]:
                if invalidates(old.message):
                    self._remove(old)
                    self._finish(old)
        self._insert(Broadcast(len(message), self._next_id, message, name or None, unique, token, 0))
        self._next_id += 1

    def get(self, overhead: int, limit: int, node_count: int) -> list[bytes]:
        """The messages to send now, within `limit` bytes, each costing `overhead` more (spec §7.3).

        Each is returned at most once per call, and forgotten after its last transmission.
        """
        if not self._count:
            return []
        limit_tx = retransmit_limit(self.retransmit_mult, node_count)
        taken: list[Broadcast] = []
        used = 0
        for transmits in sorted(self._tiers):
            tier = self._tiers[transmits]
            while tier:
                free = limit - used - overhead
                if free <= 0:
                    break
                index = bisect_right(tier, (free, self._next_id)) - 1
                if index < 0:
                    break
                item = tier.pop(index)
                taken.append(item)
                used += overhead + item.length
            if not tier:
                del self._tiers[transmits]
        self._count -= len(taken)
        self.size -= sum(item.length for item in taken)
        for item in taken:
            if item.transmits + 1 >= limit_tx:
                if item.name:
                    del self._named[item.name]
                self._finish(item)
            else:
                self._insert(item._replace(transmits=item.transmits + 1))
        return [item.message for item in taken]

    def prune(self, keep: int) -> None:
        """Drop the most transmitted, shortest, oldest messages until `keep` are left (M-199)."""
        while self._count > max(keep, 0):
            last = self._tiers[max(self._tiers)][0]
            self._remove(last)
            self._finish(last)

    def reset(self) -> None:
        """Finish everything."""
        self.prune(0)

    def _insert(self, item: Broadcast) -> None:
        tier = self._tiers.get(item.transmits)
        if tier is None:
            self._tiers[item.transmits] = [item]
        else:
            insort(tier, item)
        if item.name:
            self._named[item.name] = item
        self._count += 1
        self.size += item.length

    def _remove(self, item: Broadcast) -> None:
        tier = self._tiers[item.transmits]
        del tier[bisect_right(tier, (item.length, item.id))]
        if not tier:
            del self._tiers[item.transmits]
        if item.name:
            del self._named[item.name]
        self._count -= 1
        self.size -= item.length

    def _finish(self, item: Broadcast) -> None:
        if item.token is not None:
            self.finished.append(item.token)
