"""Lamport clocks: which of two things said in the cluster is the newer one (spec serf §3).

A node keeps three: for members, user events and queries. Where each is touched is a
closed list in the spec; the rules cite it.
"""

from __future__ import annotations

LTIME_MAX = 2**64 - 1
"""The last Lamport time there is. ⚠ Upstream wraps to 0 when it hears of it, and then takes
all that comes for old news (defect D-6); here nothing that carries it is believed."""


class LamportClock:
    """A counter that runs ahead of every time it hears of. It never goes backwards."""

    __slots__ = ("time",)

    def __init__(self, time: int = 0) -> None:
        self.time = time
        "The current time, 0 to `LTIME_MAX`. Not used by anyone yet."

    def increment(self) -> int:
        """Advance by one and return the new time."""
        self.time = min(self.time + 1, LTIME_MAX)
        return self.time

    def witness(self, time: int) -> None:
        """Hear of a time: whatever comes next here is later. Earlier times change nothing."""
        if self.time <= time < LTIME_MAX:
            self.time = time + 1
