"""A host's own clock, which may stand anywhere and run fast or slow."""

from __future__ import annotations

EXACT = 1_000_000
"Rate of a clock that is right, in millionths."


class HostClock:
    """Turns the world's time into the host's, and back. Both are integer nanoseconds; neither ever goes back."""

    __slots__ = ("_origin_ns", "_since_ns", "rate")

    def __init__(self, origin_ns: int = 0, rate: int = EXACT) -> None:
        """Show `origin_ns` at the world's time 0; `rate` is in millionths of the world's pace."""
        self._origin_ns = origin_ns
        self._since_ns = 0
        self.rate = rate

    def read(self, world_ns: int) -> int:
        """What the clock shows at `world_ns`."""
        elapsed = world_ns - self._since_ns
        if self.rate != EXACT:
            elapsed = elapsed * self.rate // EXACT
        return self._origin_ns + elapsed

    def world(self, own_ns: int) -> int:
        """The earliest world time, from the last change of rate on, at which the clock shows `own_ns` or later."""
        elapsed = own_ns - self._origin_ns
        if self.rate != EXACT:
            elapsed = -(-elapsed * EXACT // self.rate)
        return self._since_ns + max(elapsed, 0)

    def run_at(self, rate: int, world_ns: int) -> None:
        """Change the pace from `world_ns` on."""
        self._origin_ns = self.read(world_ns)
        self._since_ns = world_ns
        self.rate = rate
