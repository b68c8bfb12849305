"""Following a pool by visits: what changed between two looks.

For a WAN pool there is no other way: it takes servers only.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Self

from serfcompat.contrib.consul.events import ConsulMemberEvent, PoolEvent
from serfcompat.contrib.consul.members import ConsulMember
from serfcompat.contrib.consul.pool import Pool, look
from serfcompat.errors import VisitError
from serfcompat.runtime.waiting import Wake, waiter
from serfcompat.serf.events import EventType
from serfcompat.serf.member import MemberStatus

_NO_HOME = 0
"No thread runs a node here, so a plain thread may block."
_HAPPENED = {
    MemberStatus.ALIVE: EventType.MEMBER_JOIN,
    MemberStatus.LEFT: EventType.MEMBER_LEAVE,
    MemberStatus.FAILED: EventType.MEMBER_FAILED,
}


class Watch:
    """Looks at a pool now and again. Iterating gives what happened since the first look; `close()` ends it.

        with Watch(["10.0.0.1"], wan=True) as watch:
            for event in watch:
                ...

    What came and went between two looks is missed, and so are all but the last of a member's changes.
    """

    def __init__(
        self,
        addresses: Sequence[str],
        *,
        wan: bool = False,
        keys: Sequence[bytes] = (),
        every: float = 5.0,
        timeout: float = 10.0,
        on_error: Callable[[VisitError], object] = lambda error: None,
    ) -> None:
        """
        Args:
            addresses: As for `look`.
            every: Seconds between two looks.
            on_error: Told when nobody answered; the next look is tried all the same. To end it, call `close`.

        Raises:
            VisitError: Nobody answers the first look.
        """
        self._look: Callable[[], Pool] = lambda: look(addresses, wan=wan, keys=keys, timeout=timeout)
        self._every = every
        self._on_error = on_error
        self._closed = threading.Event()
        self._wake: Wake = _nobody
        self.pool = self._look()
        "As it was at the last look that succeeded."

    def __iter__(self) -> Iterator[PoolEvent]:
        while self._rest():
            try:
                now = self._look()
            except VisitError as error:
                self._on_error(error)
                continue
            before, self.pool = self.pool, now
            yield from changes(before, now)

    def close(self) -> None:
        """Wakes whoever iterates. May be called again, from any thread."""
        self._closed.set()
        self._wake()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _rest(self) -> bool:
        """Wait for the time of the next look; whether there shall be one."""
        wait, self._wake = waiter(_NO_HOME)
        if not self._closed.is_set():
            wait(self._every)
        return not self._closed.is_set()


def _nobody() -> None:
    """Nobody waits."""


def changes(before: Pool, now: Pool) -> list[PoolEvent]:
    """What must have happened between two looks: members first, by name, then user events in their order."""
    found: list[PoolEvent] = []
    old = {each.name: each for each in before.members}
    for each in now.members:
        if (type := _change(old.get(each.name), each)) is not None:
            found.append(ConsulMemberEvent(type, (each,)))
    present = {each.name for each in now.members}
    found += [ConsulMemberEvent(EventType.MEMBER_REAP, (each,)) for each in before.members if each.name not in present]
    known = set(before.events)
    return found + [event for event in now.events if event not in known]


def _change(before: ConsulMember | None, now: ConsulMember) -> EventType | None:
    if before is None or before.status is not now.status:
        return _HAPPENED.get(now.status)
    if now.address and (before.address, before.tags) != (now.address, now.tags):
        # One that is long gone has lost all but its name; that is no change of its own.
        return EventType.MEMBER_UPDATE
    return None
