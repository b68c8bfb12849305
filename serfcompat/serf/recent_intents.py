"""Join and leave intents for members that are not known yet (spec serf §4.2).

An intent may overtake the news of its member. It is kept for some minutes and applied
when memberlist reports the member; it is not used up by that.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

_MAX_WEIGHT = 16 * 1024 * 1024
"Bytes of names, with overhead, that strangers may make us remember. Upstream has no bound."
_ENTRY_WEIGHT = 128


class IntentType(Enum):
    JOIN = "join"
    LEAVE = "leave"


class RecentIntent(NamedTuple):
    """The newest intent for one name."""

    type: IntentType
    ltime: int
    heard_ns: int


class RecentIntents:
    """At most one intent per name: the one with the highest Lamport time, whatever its type."""

    def __init__(self) -> None:
        self._by_name: dict[bytes, RecentIntent] = {}
        self._weight = 0

    def __len__(self) -> int:
        return len(self._by_name)

    def upsert(self, name: bytes, type: IntentType, ltime: int, now_ns: int) -> bool:
        """Keep an intent if it is news; the result tells whether it was (and so is worth passing on)."""
        known = self._by_name.get(name)
        if known is None:
            weight = len(name) + _ENTRY_WEIGHT
            if self._weight + weight > _MAX_WEIGHT:
                return False
            self._weight += weight
        elif ltime <= known.ltime:
            return False
        self._by_name[name] = RecentIntent(type, ltime, now_ns)
        return True

    def lookup(self, name: bytes, type: IntentType) -> int | None:
        """The Lamport time of an intent of this type, or None."""
        intent = self._by_name.get(name)
        return intent.ltime if intent is not None and intent.type is type else None

    def expire(self, timeout_ns: int, now_ns: int) -> None:
        """Forget intents that are older than `timeout_ns`."""
        old = [name for name, intent in self._by_name.items() if now_ns - intent.heard_ns > timeout_ns]
        for name in old:
            del self._by_name[name]
            self._weight -= len(name) + _ENTRY_WEIGHT
