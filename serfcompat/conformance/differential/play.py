"""A cluster that plays scripts, and notes down after each step what its agents see."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import Self

from serfcompat.conformance.agents import Setup, ready
from serfcompat.conformance.differential.script import NAMES, Script, Step
from serfcompat.errors import SerfCompatError
from serfcompat.rpc.records import QueryRecord
from serfcompat.serf.events import MemberEvent, UserEvent
from serfcompat.serf.member import Member
from serfcompat.testing.listener import Listener
from serfcompat.testing.node import AgentError
from serfcompat.testing.processes import Agent, Cluster, Kind

SETTLED = 40.0
"Seconds within which all agents know what a step did."
HEARD = 12.0
"Seconds within which an event reaches whom it ever does."
QUIET = 2.5
"Seconds of silence after which agents have told all: they collect events for at most 3 s, and 1 s without new ones."
QUERY_LIMIT = 1.0
ATTEMPTS = 3
"For what only gossip spreads, and may miss somebody."

Notes = list[str]
"What was seen, in lines that two clusters must agree on."


class Player:
    """Three agents in one cluster. Use it in a `with` block."""

    def __init__(self, kind: Kind, setup: Setup) -> None:
        self._kind, self._setup = kind, setup
        self._stack = ExitStack()
        self._cluster = self._stack.enter_context(Cluster())
        self._hosts = {name: self._cluster.free_host() for name in NAMES}
        self._agents: dict[str, Agent] = {}
        self._listeners: dict[str, Listener] = {}
        self._expected: dict[str, str] = {}
        self._tags: dict[str, dict[str, str]] = {}

    def play(self, script: Script) -> list[Notes]:
        """The notes of each step, and those of the end. SerfCompatError: the cluster doesn't get ready."""
        self._make_ready()
        began = {name: (listener, len(listener.heard)) for name, listener in self._listeners.items()}
        notes = [[str(step), *self._do(step)] for step in script.steps]
        return [*notes, ["end", *self._tables(), *self._member_events(began)]]

    # -- before a script ----------------------------------------------------------------------

    def _make_ready(self) -> None:
        """All agents alive in one cluster, with no tags, and nothing more to be told of how that came about."""
        fresh = [name for name in NAMES if name not in self._agents]
        for name in fresh:
            self._start(name)
        first, *others = self._agents.values()
        for other in others:
            other.client.join([first.gossip])
        for name, agent in self._agents.items():
            if tags := self._tags.get(name):
                agent.client.update_tags({}, delete=list(tags))
                fresh.append(name)
            self._tags[name], self._expected[name] = {}, "alive"
        self._await_tables(SETTLED)
        if fresh:
            self._await_quiet()

    def _await_quiet(self) -> None:
        """Wait until nothing has been told for a while: agents collect events of members before they tell them."""
        deadline = time.monotonic() + SETTLED
        heard, since = -1, 0.0
        while time.monotonic() < deadline:
            now = sum(len(listener.heard) for listener in self._listeners.values())
            if now != heard:
                heard, since = now, time.monotonic()
            elif time.monotonic() - since > QUIET:
                return
            time.sleep(0.05)

    def _start(self, name: str) -> None:
        agent = ready(self._cluster, self._kind, name, self._setup.arguments(frozenset()), host=self._hosts[name])
        self._agents[name], self._tags[name] = agent, {}
        self._listeners[name] = self._stack.enter_context(
            Listener(agent.rpc, answers={f"q{number}": name.encode() for number in range(10)})
        )

    # -- steps --------------------------------------------------------------------------------

    def _do(self, step: Step) -> Notes:
        if step.node not in self._agents and step.kind != "restart":
            return ["skipped"]
        try:
            return list(self._steps()[step.kind](step))
        except SerfCompatError as error:
            return [f"failed: {type(error).__name__}", *self._tables()]

    def _steps(self) -> Mapping[str, Callable[[Step], Sequence[str]]]:
        return {
            "event": self._event,
            "query": self._query,
            "tags": self._retag,
            "untag": self._retag,
            "kill": self._kill,
            "leave": self._leave,
            "restart": self._restart,
            "force-leave": self._force_out,
            "prune": self._force_out,
        }

    def _event(self, step: Step) -> Notes:
        """A user event: who hears it, how often, with which payload; or the refusal."""
        name, payload = step.arguments
        agent = self._agents[step.node]
        before = {each: len(listener.heard) for each, listener in self._listeners.items()}
        try:
            agent.client.user_event(name, payload.encode() or None)
        except SerfCompatError as error:
            return [f"refused: {error}"]

        def heard(observer: str) -> list[UserEvent]:
            news = self._listeners[observer].heard[before[observer] :]
            return [event for event in news if isinstance(event, UserEvent) and event.name == name]

        deadline = time.monotonic() + HEARD
        while time.monotonic() < deadline and not all(heard(observer) for observer in self._listeners):
            time.sleep(0.02)
        # A push/pull may still bring what gossip missed; and what was heard once isn't heard again.
        return [
            f"{observer} hears {len(found)} times {found[0].payload if found else None!r}, coalesce {_coalesce(found)}"
            for observer in sorted(self._listeners)
            for found in [heard(observer)]
        ]

    def _query(self, step: Step) -> Notes:
        """A query: who acknowledges, and who answers what. The most of some attempts counts."""
        name, what = step.arguments
        how, _, value = what.partition(":")
        nodes = value.split(",") if how == "name" else []
        tags = dict([value.split("=")]) if how == "tag" else {}
        best: tuple[list[str], list[str]] = ([], [])
        for _ in range(ATTEMPTS):
            acks, answers = [], []
            with self._agents[step.node].client.query(
                name,
                b"?",
                filter_nodes=nodes,
                filter_tags=tags,
                request_ack=True,
                relay_factor=1 if how == "relay" else 0,
                timeout=QUERY_LIMIT,
            ) as records:
                for record in records:
                    if record.type == QueryRecord.ACK:
                        acks.append(record.from_)
                    else:
                        answers.append(f"{record.from_} says {record.payload!r}")
            best = max(best, (sorted(acks), sorted(answers)), key=lambda found: (len(found[0]), len(found[1])))
            if len(best[0]) == len(best[1]) >= (len(self._agents) if not nodes and not tags else 1):
                break
        return [f"acknowledged by {', '.join(best[0])}", *best[1]]

    def _retag(self, step: Step) -> Notes:
        """Tags that are set or deleted."""
        tags = dict(pair.split("=") for pair in step.arguments) if step.kind == "tags" else {}
        delete = list(step.arguments) if step.kind == "untag" else []
        old = self._tags[step.node]
        self._tags[step.node] = {key: value for key, value in old.items() if key not in delete} | tags
        self._agents[step.node].client.update_tags(tags, delete=delete)
        if self._tags[step.node] != old:
            self._await_event("member-update", step.node, lambda m: dict(m.tags) == self._tags[step.node])
        return self._settle()

    def _kill(self, step: Step) -> Notes:
        """An agent ends without a word."""
        self._take(step.node).kill()
        self._expected[step.node] = "failed"
        notes = self._settle()
        self._await_event("member-failed", step.node)
        return notes

    def _leave(self, step: Step) -> Notes:
        """An agent leaves."""
        status = self._take(step.node).leave(30.0)
        self._expected[step.node] = "left"
        notes = self._settle()
        self._await_event("member-leave", step.node)
        return [f"exit status {status}", *notes]

    def _restart(self, step: Step) -> Notes:
        """An agent that is gone comes back, by way of another."""
        (by,) = step.arguments
        if step.node in self._agents or by not in self._agents:
            return ["skipped"]
        self._start(step.node)
        self._agents[step.node].client.join([self._agents[by].gossip])
        self._expected[step.node] = "alive"
        notes = self._settle()
        self._await_event("member-join", step.node)
        return notes

    def _force_out(self, step: Step) -> Notes:
        """A member that is gone is made to have left, or is forgotten."""
        (gone,) = step.arguments
        if gone in self._agents:
            return ["skipped"]
        wanted = "gone" if step.kind == "prune" else "left"
        for _ in range(ATTEMPTS):
            self._agents[step.node].client.force_leave(gone, prune=step.kind == "prune")
            self._expected[gone] = wanted
            try:
                self._await_tables(5.0)
                break
            except AgentError:
                continue
        return self._settle()

    def _take(self, name: str) -> Agent:
        self._listeners.pop(name)
        return self._agents.pop(name)

    # -- what is seen -------------------------------------------------------------------------

    def _settle(self) -> Notes:
        """The member tables once they are as they should be, or what they are in the end."""
        with suppress(AgentError):
            self._await_tables(SETTLED)
        return self._tables()

    def _await_tables(self, limit: float) -> None:
        """AgentError: some agent doesn't see what it should."""
        statuses = {name: status for name, status in self._expected.items() if status != "gone"}
        tags = {name: self._tags[name] for name, status in statuses.items() if status == "alive"}

        def right(members: dict[str, Member]) -> bool:
            seen = {name: str(member.status) for name, member in members.items()}
            return seen == statuses and all(dict(members[name].tags) == value for name, value in tags.items())

        deadline = time.monotonic() + limit
        for agent in self._agents.values():
            agent.wait_until(agent.members, right, limit=max(0.0, deadline - time.monotonic()))

    def _await_event(self, kind: str, name: str, right: Callable[[Member], bool] = lambda _: True) -> None:
        """Wait until all listeners have heard of it: events come later than the member table tells."""

        def wanted(event: object) -> bool:
            return (
                isinstance(event, MemberEvent)
                and str(event) == kind
                and any(member.name == name and right(member) for member in event.members)
            )

        for observer, listener in self._listeners.items():
            if observer != name:
                try:
                    listener.wait_for(wanted, limit=HEARD)
                except TimeoutError:
                    return  # the sequence of events tells

    def _tables(self) -> Notes:
        """What each agent thinks of each member."""
        return [
            f"{name} sees {member.name} {member.status} {sorted(member.tags.items())}"
            for name, agent in sorted(self._agents.items())
            for member in sorted(agent.members().values(), key=lambda member: member.name)
        ]

    def _member_events(self, began: Mapping[str, tuple[Listener, int]]) -> Notes:
        """What each agent that was there all along told of each member, in order."""
        lines = []
        for observer, (listener, since) in sorted(began.items()):
            if self._listeners.get(observer) is not listener:
                continue  # it was restarted meanwhile, or is gone
            told: dict[str, list[str]] = {}
            for event in listener.heard[since:]:
                if isinstance(event, MemberEvent):
                    for member in event.members:
                        told.setdefault(member.name, []).append(str(event).removeprefix("member-"))
            lines += [f"{observer} tells of {name}: {' '.join(kinds)}" for name, kinds in sorted(told.items())]
        return lines

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def _coalesce(events: Sequence[UserEvent]) -> bool | None:
    return events[0].coalesce if events else None


def differences(one: Sequence[Notes], other: Sequence[Notes]) -> list[str]:
    """Lines that only one side has, marked with - and +, under the step that they belong to."""
    found: list[str] = []
    for left, right in zip(one, other, strict=True):
        only_left, only_right = Counter(left) - Counter(right), Counter(right) - Counter(left)
        if only_left or only_right:
            found.append(left[0])
            found += [f"  - {line}" for line in only_left]
            found += [f"  + {line}" for line in only_right]
    return found
