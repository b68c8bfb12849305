"""Who waits for a broadcast to be finished, and how long (leave, force-leave, tag updates).

A wait has a token, which rides with the broadcast through a queue, and a timer. What
comes first ends it; what comes second is ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

Then = Callable[[bool, int], None]
"(whether the broadcast was finished in time, now in nanoseconds)"


class Waits:
    """The waits of one node."""

    def __init__(self) -> None:
        self._then: dict[Hashable, Then] = {}
        self._next = 0

    def begin(self, then: Then) -> int:
        """A fresh token; `then` is called once, when `end` is called for it."""
        self._next += 1
        self._then[self._next] = then
        return self._next

    def end(self, token: Hashable) -> Then | None:
        """Take what is to be done next; None if the wait is over already."""
        return self._then.pop(token, None)
