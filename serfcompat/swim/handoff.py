"""Two bounded queues between the receive path and the claims (spec memberlist §1.9.1).

Alive claims come before all else, so that an overloaded node hears of refutations
first. Within a queue the newest comes first: the parts of one compound are normally
handled in reverse.
"""

from __future__ import annotations


class HandoffQueue:
    """Messages waiting to be handled."""

    __slots__ = ("_depth", "_high", "_low")

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self._high: list[bytes] = []
        self._low: list[bytes] = []

    def put(self, message: bytes, *, high: bool) -> bool:
        """Queue a message; False if its queue is full and the message is lost."""
        queue = self._high if high else self._low
        if len(queue) >= self._depth:
            return False
        queue.append(message)
        return True

    def pop(self) -> bytes | None:
        """The next message to handle, or None."""
        if self._high:
            return self._high.pop()
        if self._low:
            return self._low.pop()
        return None
