"""One script that a cluster of six agents goes through: three Go agents and three of some kind.

With three more Go agents it is the control: what happens there too is not ours.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TypeVar

from serfcompat.errors import SerfCompatError
from serfcompat.rpc.records import QueryRecord
from serfcompat.serf.member import Member, MemberStatus
from serfcompat.testing.agent_logs import log_classes
from serfcompat.testing.listener import Listener
from serfcompat.testing.processes import Agent, AgentError, Cluster, Kind
from tests.interop.cases import LIMIT, key_flag

GOSSIP = 5.0
"Seconds within which gossip reaches whom it ever does."
GO_NAMES, OTHER_NAMES = ("go1", "go2", "go3"), ("x1", "x2", "x3")

T = TypeVar("T")


@dataclass
class Outcome:
    """What came of a script."""

    steps: dict[str, str] = field(default_factory=dict)
    "Title of each step that was tried, to what was wrong; empty: nothing."
    logs: str = ""
    "Everything that the agents logged."
    go_complaints: Counter[str] = field(default_factory=Counter)
    "Classes of WARN and ERR lines of the Go agents."
    other_complaints: Counter[str] = field(default_factory=Counter)

    @property
    def good(self) -> bool:
        """Nothing was wrong in any step."""
        return not any(self.steps.values())

    @property
    def complaints(self) -> set[str]:
        """Classes of WARN and ERR lines of all agents."""
        return {*self.go_complaints, *self.other_complaints}


class Script:
    """A running cluster and what is to be done with it."""

    def __init__(self, go: Kind, other: Kind, key: bytes | None) -> None:
        self.outcome = Outcome()
        self._kinds = dict.fromkeys(GO_NAMES, go) | dict.fromkeys(OTHER_NAMES, other)
        self._flags = ["-log-level=debug", *key_flag(key)]

    def run(self) -> Outcome:
        """Go through all steps. A step that fails ends it, since the following ones build on it."""
        with ExitStack() as stack:
            self.cluster = stack.enter_context(Cluster(flags=self._flags))
            try:
                self._start(stack)
                for title, step in STEPS.items():
                    self.outcome.steps[title] = _complaint(lambda step=step: step(self))
                    if self.outcome.steps[title]:
                        break
            finally:
                self._keep_logs()
                # Before the streams are closed: a Go agent that loses one while it has news for it may crash.
                self.cluster.stop()
        return self.outcome

    # -- steps --------------------------------------------------------------------------------

    def join(self) -> None:
        """Each kind joins the other one, and its own."""
        # go1 <- x1 <- go2 <- x2 <- go3 <- x3
        for newcomer, known in zip(self.order[1:], self.order, strict=False):
            contacted = newcomer.client.join([known.gossip])
            assert contacted == 1, f"{newcomer.name} reached {contacted} by {known.name}"
        self._all(lambda agent: agent.wait_for_members(dict.fromkeys(self.agents, "alive"), limit=LIMIT))

    def members(self) -> None:
        """All see the same: addresses, tags, versions."""
        reference = _views(self.agents["go1"].members().values())
        assert reference["x1"] == reference["go1"] | {
            "name": "x1",
            "addr": self.agents["x1"].host,
            "tags": {"kind": "other", "n": "x1"},
        }
        for agent in self.agents.values():
            seen = _views(agent.members().values())
            assert seen == reference, f"{agent.name} sees {seen}, go1 {reference}"

    def events(self) -> None:
        """A user event of either kind reaches everybody, once, with the same payload and Lamport time."""
        for name, payload in (("go1", b"\x00\xff from Go"), ("x1", None), ("x2", b"from the other side")):
            event = f"event-{name}"
            self.agents[name].client.user_event(event, payload)
            heard = self._hear(lambda listener, event=event: listener.wait_for_user_event(event, limit=LIMIT))
            assert {each.payload for each in heard.values()} == {payload}
            assert len({each.ltime for each in heard.values()}) == 1, heard
        for listener in self.listeners.values():
            names = [event.name for event in listener.heard if str(event).startswith("user-event: event-")]
            assert len(names) == len(set(names)), names

    def queries(self) -> None:
        """A query of either kind is acknowledged and answered by everybody, also through relays."""
        for name, relay_factor in (("go2", 0), ("x1", 0), ("go3", 2), ("x2", 2)):
            _several_times(lambda name=name, relay_factor=relay_factor: self._ask(name, relay_factor))

    def tags(self) -> None:
        """New tags of either kind are seen by everybody."""
        self.agents["go1"].client.update_tags({"role": "web"}, delete=["kind"])
        self.agents["x1"].client.update_tags({"role": "db", "n": "x1, renewed"})
        expected = {"go1": {"role": "web", "n": "go1"}, "x1": {"kind": "other", "role": "db", "n": "x1, renewed"}}

        def right(members: dict[str, Member]) -> bool:
            return all(dict(members[name].tags) == tags for name, tags in expected.items())

        self._all(lambda agent: agent.wait_until(agent.members, right, limit=LIMIT))
        for name in expected:
            self._hear(lambda listener, name=name: listener.wait_for_member_event("member-update", name))

    def refute(self) -> None:
        """One that is suspected because it stood still for a moment says that it lives, and is believed."""
        for name in ("x2", "go2"):
            before = self.cluster.log_sizes()
            self.agents[name].pause()
            try:
                self.cluster.wait_for_log(rf"(Suspect|suspecting) {name}\b", since=before, limit=30.0)
            finally:
                self.agents[name].resume()
            self.agents[name].wait_for_log("[Rr]efuting a susp", since=before[name], limit=30.0)
        self._all(lambda agent: agent.wait_for_members(dict.fromkeys(self.agents, "alive"), limit=1.0))
        failures = [line for agent in self.agents.values() for line in agent.log if "EventMemberFailed" in line]
        assert not failures, failures

    def kill(self) -> None:
        """One of each kind dies without a word, and everybody reports it as failed."""
        self.dead = {name: self._take(name) for name in ("go2", "x2")}
        for agent in self.dead.values():
            agent.kill()
        self._all(lambda agent: agent.wait_for_members({"go2": "failed", "x2": "failed"}, limit=LIMIT))
        for name in ("go2", "x2"):
            self._hear(lambda listener, name=name: listener.wait_for_member_event("member-failed", name))

    def come_back(self) -> None:
        """Those that died begin a new life under their old names, and everybody sees it.

        ⚠ Not after a force-leave: Go-only clusters, too, then hold one of them to be leaving for ever now and then.
        """
        for name, known in (("go2", "x1"), ("x2", "go1")):
            self.agents[name] = self._launch(name, "-tag=life=2", host=self.dead[name].host)
            self.listeners[name] = self._stack.enter_context(Listener(self.agents[name].rpc))
            assert self.agents[name].client.join([self.agents[known].gossip]) == 1

        def right(members: dict[str, Member]) -> bool:
            found = [members[name] for name in self.dead if name in members]
            return [(member.status, dict(member.tags)) for member in found] == [(MemberStatus.ALIVE, {"life": "2"})] * 2

        self._all(lambda agent: agent.wait_until(agent.members, right, limit=LIMIT))

    def force_leave(self) -> None:
        """Those that came back die again; each kind declares one of the other kind gone, and is believed."""
        self.kill()
        self.agents["x1"].client.force_leave("go2")
        self.agents["go1"].client.force_leave("x2")
        self._all(lambda agent: agent.wait_for_members({"go2": "left", "x2": "left"}, limit=LIMIT))

    def leave(self) -> None:
        """One of each kind leaves, and everybody knows that it left."""
        self._leave(["go3", "x3"])
        self._all(lambda agent: agent.wait_for_members({"go3": "left", "x3": "left"}, limit=LIMIT))
        for name in ("go3", "x3"):
            self._hear(lambda listener, name=name: listener.wait_for_member_event("member-leave", name))

    def prune(self) -> None:
        """Each kind forgets members altogether when asked to."""

        def prune() -> None:
            self.agents["x1"].client.force_leave("go3", prune=True)
            self.agents["go1"].client.force_leave("x3", prune=True)
            self._all(lambda agent: agent.wait_for_members({"go3": "gone", "x3": "gone"}, limit=GOSSIP))

        _several_times(prune)

    def end(self) -> None:
        """The others leave as well, to the last one."""
        self._leave(list(self.agents))

    # -- below the steps ----------------------------------------------------------------------

    def _start(self, stack: ExitStack) -> None:
        self._stack = stack
        self.agents = {}
        for name in self._kinds:
            kind = "go" if name in GO_NAMES else "other"
            self.agents[name] = self._launch(name, f"-tag=kind={kind}", f"-tag=n={name}")
        self.order = [self.agents[name] for pair in zip(GO_NAMES, OTHER_NAMES, strict=True) for name in pair]
        self.listeners = {
            name: stack.enter_context(Listener(agent.rpc, answers={"who": name.encode()}))
            for name, agent in self.agents.items()
        }

    def _launch(self, name: str, *flags: str, host: str | None = None) -> Agent:
        return self.cluster.start(self._kinds[name], name, *flags, host=host, limit=30.0)

    def _ask(self, name: str, relay_factor: int) -> None:
        acks, answers = set(), {}
        with self.agents[name].client.query(
            "who", b"?", request_ack=True, relay_factor=relay_factor, timeout=GOSSIP
        ) as records:
            for record in records:
                if record.type == QueryRecord.ACK:
                    acks.add(record.from_)
                else:
                    answers[record.from_] = record.payload
                if len(acks) == len(answers) == len(self.agents):
                    break
        assert acks == set(self.agents), f"{name}'s query was acknowledged by {acks}, answered by {set(answers)}"
        assert answers == {each: each.encode() for each in self.agents}

    def _leave(self, names: Sequence[str]) -> None:
        """⚠ One after the other: Go agents that leave at once may wait in vain to be heard by one another."""
        statuses = {name: self._take(name).leave() for name in names}
        assert not any(statuses.values()), statuses

    def _take(self, name: str) -> Agent:
        """Remove an agent from those that are asked."""
        self.listeners.pop(name, None)
        return self.agents.pop(name)

    def _all(self, ask: Callable[[Agent], object]) -> None:
        with ThreadPoolExecutor(len(self.agents)) as pool:
            list(pool.map(ask, self.agents.values()))

    def _hear(self, ask: Callable[[Listener], T]) -> dict[str, T]:
        return {name: ask(listener) for name, listener in self.listeners.items()}

    def _keep_logs(self) -> None:
        text = io.StringIO()
        self.cluster.print_logs(text)
        self.outcome.logs = text.getvalue()
        names = [*GO_NAMES, *OTHER_NAMES]
        for agent in self.cluster.agents:
            of = self.outcome.go_complaints if agent.name in GO_NAMES else self.outcome.other_complaints
            of.update(log_classes(agent.log, names))


STEPS: dict[str, Callable[[Script], None]] = {
    step.__name__: step
    for step in (
        Script.join,
        Script.members,
        Script.events,
        Script.queries,
        Script.tags,
        Script.refute,
        Script.kill,
        Script.come_back,
        Script.force_leave,
        Script.leave,
        Script.prune,
        Script.end,
    )
}


def _several_times(attempt: Callable[[], None]) -> None:
    """Try what only gossip brings about, and no push/pull makes up for.

    Each of six nodes passes a message on to few random others: of some hundred messages one misses somebody.
    """
    for _ in range(4):
        try:
            return attempt()
        except (AgentError, AssertionError):
            pass
    return attempt()


def _complaint(step: Callable[[], None]) -> str:
    try:
        step()
    except (SerfCompatError, AssertionError, TimeoutError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


def _views(members: Iterable[Member]) -> dict[str, dict[str, object]]:
    """What the views of different agents must agree on."""
    return {
        member.name: {
            "name": member.name,
            "addr": member.addr,
            "port": member.port,
            "tags": dict(member.tags),
            "status": str(member.status),
            "protocols": (member.protocol_min, member.protocol_max, member.protocol_cur),
            "delegates": (member.delegate_min, member.delegate_max, member.delegate_cur),
        }
        for member in members
    }
