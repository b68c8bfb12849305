"""What concerns a member that waits to be pruned (spec serf §4.6).

A leaving member gets some seconds to finish its leave before it is forgotten. Upstream
sleeps under its lock for them (defect D-12). Here all others are served meanwhile, and
what comes for this one is put off until after its prune, in order.
"""

from __future__ import annotations

from collections.abc import Callable


class Deferred:
    """The prune that a member waits for, and what happened to it meanwhile."""

    LIMIT = 256
    "More than this is forgotten: memberlist and push/pull repeat what matters."

    def __init__(self, prune: Callable[[int], None]) -> None:
        self.prune = prune
        self.actions: list[Callable[[int], None]] = []

    def add(self, action: Callable[[int], None]) -> bool:
        """Put something off; False if it is forgotten instead."""
        if len(self.actions) >= self.LIMIT:
            return False
        self.actions.append(action)
        return True
