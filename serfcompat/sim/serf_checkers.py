"""Laws of the Serf level (see `watch`)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

from serfcompat.serf.effects import Deliver
from serfcompat.serf.engine import SerfEngine
from serfcompat.serf.events import EventType, MemberEvent, UserEvent
from serfcompat.serf.member import MemberStatus
from serfcompat.serf.text import shown
from serfcompat.sim.host import Host
from serfcompat.sim.watch import Broken, Law

_QUEUE_LIMIT = 4096
"Messages in one of Serf's queues: the default `max_queue_depth`. No scenario of ours says as much in 30 s."

EventKey = tuple[int, str, bytes | None]
"(Lamport time, name, payload): what makes two user events the same."


class Fired(NamedTuple):
    """A user event, and who was there to hear it."""

    key: EventKey
    host: str
    lives: dict[str, int]
    "Hosts that ran, and the life in which they did."


class EventsOnceEverywhere(Law):
    """A user event is delivered at most once in each life, and to everybody who lived on and has been within reach."""

    def __init__(self) -> None:
        self._delivered: dict[tuple[str, int], set[EventKey]] = defaultdict(set)
        self._fired: list[Fired] = []

    def on_step(self, now_ns: int, host: Host, cause: str, detail: Any, effects: Sequence[Any]) -> None:
        for effect in effects:
            if type(effect) is not Deliver or not isinstance(event := effect.event, UserEvent):
                continue
            key = (event.ltime, event.name, event.payload or None)
            delivered = self._delivered[host.name, host.life]
            if key in delivered:
                raise Broken("events once everywhere", now_ns, f"{host.name} delivers {event} a second time")
            delivered.add(key)
            if cause == "call":
                lives = {other.name: other.life for other in self.watch.driver.hosts.values() if other.running}
                self._fired.append(Fired(key, host.name, lives))

    def at_end(self, now_ns: int) -> None:
        hosts = self.watch.driver.hosts
        for fired in self._fired:
            if not _lives_on(hosts[fired.host], fired.lives[fired.host]):
                continue  # it may have died, or left, with the event still its own
            for name, life in fired.lives.items():
                if _lives_on(hosts[name], life) and fired.key not in self._delivered[name, life]:
                    raise Broken(
                        "events once everywhere", now_ns,
                        f"{name} never heard of event {fired.key[1]} of {fired.host}",
                    )  # fmt: skip


class ClocksNeverGoBack(Law):
    """Each of a node's three Lamport clocks only grows."""

    def __init__(self) -> None:
        self._clocks: dict[tuple[str, int], tuple[int, int, int]] = {}

    def on_step(self, now_ns: int, host: Host, cause: str, detail: Any, effects: Sequence[Any]) -> None:
        if not isinstance(host.engine, SerfEngine):
            return
        core = host.engine.core
        times = (core.clock.time, core.event_clock.time, core.query_clock.time)
        before = self._clocks.get((host.name, host.life), (0, 0, 0))
        if times != before:
            if any(now < then for now, then in zip(times, before, strict=True)):
                raise Broken("clocks never go back", now_ns, f"{host.name} had {before}, and has {times}")
            self._clocks[host.name, host.life] = times


class SerfQueuesAreBounded(Law):
    """What waits to be gossiped, and what is remembered of members, has bounds."""

    def on_step(self, now_ns: int, host: Host, cause: str, detail: Any, effects: Sequence[Any]) -> None:
        if not isinstance(host.engine, SerfEngine):
            return
        core = host.engine.core
        for what, queue in (
            ("intents", core.queues.intents),
            ("events", core.queues.events),
            ("queries", core.queues.queries),
        ):
            if len(queue) > _QUEUE_LIMIT:
                raise Broken("queues are bounded", now_ns, f"{host.name} has {len(queue)} {what} to gossip")
        if len(core.members) > len(self.watch.driver.hosts):
            raise Broken("queues are bounded", now_ns, f"{host.name} knows {len(core.members)} members")

    def at_end(self, now_ns: int) -> None:
        for host in self.watch.driver.hosts.values():
            if not host.running or not isinstance(host.engine, SerfEngine):
                continue
            queues = host.engine.core.queues
            if left := len(queues.intents) + len(queues.events) + len(queues.queries):
                raise Broken("queues are bounded", now_ns, f"{host.name} still has {left} messages to gossip")


class IntentsAreNotLost(Law):
    """Who was ever taken for left is, in the end, left for everybody; unless it runs again, or who knew is gone."""

    def __init__(self) -> None:
        self._heard: dict[tuple[str, int], tuple[str, int]] = {}
        "(who left, its life) → (who knew of it, its life), the last one."

    def on_step(self, now_ns: int, host: Host, cause: str, detail: Any, effects: Sequence[Any]) -> None:
        for effect in effects:
            if type(effect) is not Deliver or not isinstance(event := effect.event, MemberEvent):
                continue
            if event.type is not EventType.MEMBER_LEAVE:
                continue
            for member in event.members:
                gone = self.watch.driver.hosts[member.name]
                if gone is not host:
                    self._heard[gone.name, gone.life] = host.name, host.life

    def at_end(self, now_ns: int) -> None:
        hosts = self.watch.driver.hosts
        for (name, life), (witness, its_life) in self._heard.items():
            if hosts[name].running or hosts[name].life != life or not _lives_on(hosts[witness], its_life):
                continue
            for host in hosts.values():
                engine = host.engine
                if not host.running or not isinstance(engine, SerfEngine) or engine.state:
                    continue
                entry = engine.core.members.get(hosts[name].raw)
                if entry is not None and entry.status is not MemberStatus.LEFT:
                    raise Broken(
                        "intents are not lost", now_ns,
                        f"{witness} heard that {name} left, {host.name} sees it {entry.status}",
                    )  # fmt: skip


class StatusesAgree(Law):
    """In the end all nodes agree who is alive, who left and who failed."""

    def at_end(self, now_ns: int) -> None:
        hosts = self.watch.driver.hosts
        running = [host for host in hosts.values() if host.running]
        said: dict[bytes, tuple[str, MemberStatus]] = {}
        for host in running:
            engine = host.engine
            if not isinstance(engine, SerfEngine) or engine.state:
                continue
            for entry in engine.core.members.by_name.values():
                other = hosts[shown(entry.name)]
                if other.running != (entry.status is MemberStatus.ALIVE):
                    runs = "runs" if other.running else "does not run"
                    raise Broken(
                        "statuses agree", now_ns, f"{host.name} sees {other.name} {entry.status}, which {runs}"
                    )
                first = said.setdefault(entry.name, (host.name, entry.status))
                if first[1] is not entry.status:
                    raise Broken(
                        "statuses agree", now_ns,
                        f"{first[0]} sees {other.name} {first[1]}, {host.name} sees it {entry.status}",
                    )  # fmt: skip


def _lives_on(host: Host, life: int) -> bool:
    return host.running and host.life == life


def serf_laws() -> list[Law]:
    """One of each, for one simulation."""
    return [EventsOnceEverywhere(), ClocksNeverGoBack(), SerfQueuesAreBounded(), IntentsAreNotLost(), StatusesAgree()]
