"""Coalescing: many events in a short time become few (spec serf §8.3 to §8.5).

    event → [user stage] → [member stage] → application

A stage gathers the events it handles until its period is over, or until it was quiet for
a while, and then lets go of what is still worth telling. Other events pass at once, and
so may overtake gathered ones.
"""

from __future__ import annotations

from typing import Protocol

from serfcompat.serf.config import Config
from serfcompat.serf.effects import Deliver, SerfEffect
from serfcompat.serf.events import Event, EventType, MemberEvent, UserEvent
from serfcompat.serf.member import Member
from serfcompat.swim.config import seconds_to_ns
from serfcompat.swim.effects import CancelTimer, SetTimer


class Coalescer(Protocol):
    """Decides what is left of many events."""

    def absorb(self, event: Event) -> bool:
        """Gather an event; False if it is not of the kind that this one handles."""

    def flush(self) -> list[Event]:
        """What is left of all that was gathered."""


class MemberCoalescer:
    """Keeps the last event of each member, and tells it only if it differs from what was told last.

    ⚠ An update is told again at every later flush, until the member does something else:
    upstream never forgets the last event, and updates are exempt from "differs" (S-166).
    """

    def __init__(self) -> None:
        self._latest: dict[str, tuple[EventType, Member]] = {}
        self._told: dict[str, EventType] = {}

    def absorb(self, event: Event) -> bool:
        if not isinstance(event, MemberEvent):
            return False
        for member in event.members:
            self._latest[member.name] = (event.type, member)
        return True

    def flush(self) -> list[Event]:
        groups: dict[EventType, list[Member]] = {}
        for name, (type, member) in self._latest.items():
            if self._told.get(name) != type or type is EventType.MEMBER_UPDATE:
                self._told[name] = type
                groups.setdefault(type, []).append(member)
        # What is not an update would be found told already at every later flush: it can go.
        self._latest = {name: last for name, last in self._latest.items() if last[0] is EventType.MEMBER_UPDATE}
        return [MemberEvent(type, tuple(members)) for type, members in groups.items()]


class UserCoalescer:
    """Keeps, of the user events that allow it, those of each name's newest Lamport time."""

    def __init__(self) -> None:
        self._newest: dict[str, list[UserEvent]] = {}

    def absorb(self, event: Event) -> bool:
        if not isinstance(event, UserEvent) or not event.coalesce:
            return False
        newest = self._newest.get(event.name)
        if newest is None or newest[0].ltime < event.ltime:
            self._newest[event.name] = [event]
        elif newest[0].ltime == event.ltime:
            newest.append(event)
        return True

    def flush(self) -> list[Event]:
        newest, self._newest = self._newest, {}
        return [event for events in newest.values() for event in events]


class Stage:
    """A coalescer and its two timers: the whole period, and quiet."""

    def __init__(self, name: str, coalescer: Coalescer, period_ns: int, quiescent_ns: int) -> None:
        self.name = name
        self._coalescer = coalescer
        self._period_ns = period_ns
        self._quiescent_ns = quiescent_ns
        self._gathering = False

    def push(self, event: Event, now_ns: int, out: list[SerfEffect]) -> list[Event]:
        """Gather an event, or return it to be passed on at once."""
        if not self._coalescer.absorb(event):
            return [event]
        if not self._gathering:
            self._gathering = True
            out.append(SetTimer(("serf-coalesce", self.name, "period"), now_ns + self._period_ns))
        out.append(SetTimer(("serf-coalesce", self.name, "quiet"), now_ns + self._quiescent_ns))
        return []

    def flush(self, out: list[SerfEffect]) -> list[Event]:
        """End the gathering."""
        self._gathering = False
        out += [CancelTimer(("serf-coalesce", self.name, timer)) for timer in ("period", "quiet")]
        return self._coalescer.flush()


class Coalescing:
    """The stages that the configuration asks for, in a row; none at all delivers everything at once."""

    def __init__(self, config: Config) -> None:
        self._stages = [
            Stage(name, coalescer, seconds_to_ns(period), seconds_to_ns(quiescent))
            for name, coalescer, period, quiescent in (
                ("user", UserCoalescer(), config.user_coalesce_period, config.user_quiescent_period),
                ("member", MemberCoalescer(), config.coalesce_period, config.quiescent_period),
            )
            if period > 0 and quiescent > 0
        ]

    def push(self, event: Event, now_ns: int, out: list[SerfEffect]) -> None:
        self._pass_on([event], 0, now_ns, out)

    def on_timer(self, name: str, now_ns: int, out: list[SerfEffect]) -> None:
        """One of the timers of a stage is due."""
        for index, stage in enumerate(self._stages):
            if stage.name == name:
                self._pass_on(stage.flush(out), index + 1, now_ns, out)

    def flush(self, now_ns: int, out: list[SerfEffect]) -> None:
        """Let go of everything: the node ends."""
        for stage in self._stages:
            self.on_timer(stage.name, now_ns, out)

    def _pass_on(self, events: list[Event], index: int, now_ns: int, out: list[SerfEffect]) -> None:
        for stage in self._stages[index:]:
            events = [passed for event in events for passed in stage.push(event, now_ns, out)]
        out += [Deliver(event) for event in events]
