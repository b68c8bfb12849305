"""The life of the local node (upstream `SerfState`)."""

from __future__ import annotations

from enum import IntEnum


class SerfState(IntEnum):
    """Legal transitions: alive → leaving → left → shutdown; alive or leaving → shutdown. Nothing leads back."""

    ALIVE = 0
    LEAVING = 1
    LEFT = 2
    SHUTDOWN = 3

    def __str__(self) -> str:
        return self.name.lower()
