"""A worker's own copy of the list of members: looked up without I/O, replaced whole at each change.

One thread writes, any number read. Readers take no lock: they see the list before a change
or after it, never in between. What they look up often is looked up anew by the writer at
each change, so that no reader waits for it.
"""

from __future__ import annotations

import time
from bisect import insort
from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Any

from serfcompat.serf.events import EventType, MemberEvent
from serfcompat.serf.member import Member, MemberStatus
from serfcompat.serf.selection import matching

MOST_LOOKUPS = 1024
"Different look-ups whose results are kept."
MOST_IDLE = 100
"Changes that the result of a look-up is kept up to date for, without anybody asking for it."

Key = tuple[MemberStatus | str | None, tuple[tuple[str, str], ...], str | None]


class Lookup:
    """What is asked for again and again, and the answer among the members of one moment."""

    __slots__ = ("found", "idle", "matches")

    def __init__(self, matches: Callable[[Member], bool], found: list[Member], idle: int = 0) -> None:
        self.matches = matches
        self.found = found
        "In the order of their names. Never changed: readers copy it."
        self.idle = idle
        "Changes since it was last asked for."

    def after(self, changed: Mapping[str, Member | None]) -> Lookup:
        """The same look-up when these members have become what they are now, None for those that are gone."""
        new = [member for member in changed.values() if member is not None and self.matches(member)]
        found = self.found
        if new or any(member.name in changed for member in found):
            found = [member for member in found if member.name not in changed]
            for member in new:
                insort(found, member, key=_NAME)
        return Lookup(self.matches, found, self.idle + 1)


_NAME = attrgetter("name")


class View:
    """Members by name."""

    def __init__(self) -> None:
        self._now: tuple[dict[str, Member], dict[Key, Lookup]] = ({}, {})
        "The members in the order of their names, and look-ups among just these."
        self.filled = False
        "Whether there ever was a list."
        self.confirmed = float("-inf")
        "When the list was last known to be true; seconds of the monotonic clock."

    def select(
        self, status: MemberStatus | str | None, tags: Mapping[str, str] | None, name: str | None
    ) -> list[Member]:
        """Members in the order of their names, for `serf.selection.matching`'s arguments."""
        members, known = self._now
        key = (status, tuple(tags.items()) if tags else (), name)
        lookup = known.get(key)
        if lookup is None:
            matches = matching(status=status, tags=tags, name=name)
            lookup = Lookup(matches, [member for member in members.values() if matches(member)])
            if len(known) < MOST_LOOKUPS:
                known[key] = lookup
        lookup.idle = 0
        return lookup.found.copy()

    def get(self, name: str) -> Member | None:
        return self._now[0].get(name)

    def replace(self, members: Iterable[Member]) -> None:
        """The whole list, anew."""
        old, new = self._now[0], {member.name: member for member in members}
        changed: dict[str, Member | None] = dict.fromkeys(old.keys() - new.keys())
        changed |= {name: member for name, member in new.items() if old.get(name) != member}
        self._change(changed)
        self.filled = True
        self.confirm()

    def apply(self, event: Any) -> None:
        """What an event changes, if it is one of members."""
        self.confirm()
        if isinstance(event, MemberEvent):
            gone = event.type is EventType.MEMBER_REAP
            self._change({member.name: None if gone else member for member in event.members})

    def confirm(self) -> None:
        """The agent answered just now: what it didn't tell hasn't changed."""
        self.confirmed = time.monotonic()

    def _change(self, changed: Mapping[str, Member | None]) -> None:
        if not changed:
            return
        members, lookups = self._now
        kept = {name: member for name, member in members.items() if name not in changed}
        kept |= {name: member for name, member in changed.items() if member is not None}
        in_use = [(key, lookup) for key, lookup in list(lookups.items()) if lookup.idle < MOST_IDLE]
        self._now = (dict(sorted(kept.items())), {key: lookup.after(changed) for key, lookup in in_use})
