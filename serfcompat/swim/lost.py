"""Nodes that died and were forgotten, so that a cluster torn apart for long grows together again.

Upstream forgets a dead node soon after `gossip_to_the_dead_time`. If a network is broken
for longer, each side forgets the other, and nothing ever brings them together again once
it works. So their addresses are kept, and from time to time one of them is asked to join
us, just as Serf does with failed members (spec serf §4.9). A node that left is not lost.
"""

from __future__ import annotations

from collections import OrderedDict

from serfcompat.swim.dice import Dice
from serfcompat.wire.address import Address

_REMEMBERED = 1024
"Lost nodes remembered; one of them is enough to find the others."


class LostNodes:
    """Names and addresses, the longest lost first."""

    __slots__ = ("_keep_ns", "_lost")

    def __init__(self, keep_ns: int) -> None:
        """Remember each for `keep_ns`; 0: remember none."""
        self._keep_ns = keep_ns
        self._lost: OrderedDict[bytes, tuple[Address, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._lost)

    def remember(self, name: bytes, address: Address, now_ns: int) -> None:
        """A node died, and the table forgets it now."""
        if self._keep_ns <= 0:
            return
        self._lost[name] = address, now_ns
        if len(self._lost) > _REMEMBERED:
            self._lost.popitem(last=False)

    def found(self, name: bytes) -> None:
        """A node of that name is known again."""
        self._lost.pop(name, None)

    def pick(self, dice: Dice, members: int, now_ns: int) -> tuple[bytes, Address] | None:
        """One to try, or None. Each of `members` nodes that lost the same ones tries less often the more they are."""
        while self._lost and now_ns - next(iter(self._lost.values()))[1] > self._keep_ns:
            self._lost.popitem(last=False)
        if not self._lost or dice.random() * members >= len(self._lost):
            return None
        name = list(self._lost)[dice.randrange(len(self._lost))]
        return name, self._lost[name][0]
