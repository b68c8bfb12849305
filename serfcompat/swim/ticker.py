"""A regular tick that drops what it missed, like Go's `time.Ticker` (spec memberlist §6.15)."""

from __future__ import annotations

from collections.abc import Callable

from serfcompat.swim.effects import Effect


class Ticker:
    """Runs `body` at fixed multiples of its interval after `begin`. An interval of 0 never ticks."""

    __slots__ = ("_body", "_pace", "interval_ns", "next_ns")

    def __init__(
        self, interval_ns: int, body: Callable[[int], list[Effect]], pace: Callable[[], int] = lambda: 1
    ) -> None:
        """`pace` is asked at each tick: how many parts of the interval there are until the next one."""
        self.interval_ns = interval_ns
        self._body = body
        self._pace = pace
        self.next_ns = 0

    def begin(self, start_ns: int) -> int:
        """When the first tick is due: one interval after `start_ns`, as upstream."""
        self.next_ns = start_ns + self.interval_ns
        return self.next_ns

    def tick(self, now_ns: int) -> list[Effect]:
        """Run the body once, however many ticks were missed, and set `next_ns` to the next one still to come."""
        late = max(0, now_ns - self.next_ns)
        step_ns = max(1, self.interval_ns // self._pace())
        self.next_ns += (late // step_ns + 1) * step_ns
        return self._body(now_ns)
