"""Which events a script or a stream is for: `member-join,user:deploy` (spec agent §3.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from serfcompat.serf.events import EventType

_KINDS = frozenset(str(kind) for kind in EventType)
_NAMED = ("user", "query")


class Described(Protocol):
    """As much of an event as a filter looks at."""

    @property
    def type(self) -> EventType: ...


@dataclass(frozen=True, slots=True)
class EventFilter:
    """One element of a filter."""

    event: str
    "A kind of event, or `*` for all."
    name: str = ""
    "Only user events or queries of this name; empty: of any."

    @property
    def valid(self) -> bool:
        return self.event == "*" or self.event in _KINDS

    def matches(self, event: Described) -> bool:
        if self.event == "*":
            return True
        if str(event.type) != self.event:
            return False
        return not self.name or getattr(event, "name", None) == self.name

    def __str__(self) -> str:
        return f"{self.event}:{self.name}" if self.name else self.event


def parse_filter(text: str) -> list[EventFilter]:
    """The elements, valid or not; an empty text stands for `*`."""
    found = []
    for element in (text or "*").split(","):
        kind, colon, name = element.partition(":")
        named = colon and kind in _NAMED
        found.append(EventFilter(kind, name) if named else EventFilter(element))
    return found
