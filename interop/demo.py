"""`make demo`: two Go agents and two of ours in one encrypted cluster, and what each of them sees.

Every line that an agent contributes says who said it, and which program that is. Every check is one line,
`ok` or `FAIL`. The exit status is 0 only if all passed.

    python -m interop.demo [--break wrong-key | --break no-refute]

With --break, one of our agents is made faulty on purpose: the demo must fail then.
"""

from __future__ import annotations

import argparse
import base64
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from serfcompat.errors import SerfCompatError
from serfcompat.rpc.records import QueryRecord
from serfcompat.serf.member import Member
from serfcompat.swim.events import NodeState
from serfcompat.testing.listener import Listener
from serfcompat.testing.peek import table_of
from serfcompat.testing.processes import (
    GOSSIP_PORT,
    Agent,
    AgentError,
    Cluster,
    Kind,
    go_agent,
    loopback_addresses,
    serfcompat_agent,
)
from serfcompat.wire.messages import PushPullNode

ROOT = Path(__file__).resolve().parents[1]
PEERS = Path(os.environ.get("SERFCOMPAT_PEERS") or ROOT / ".peers")
LOGS = ROOT / "build" / "demo-logs"
GO_VERSIONS = ("0.9.4", "0.10.1")
FAULTS = ("wrong-key", "no-refute")
FAULTY = "py-b"
"Which of our agents gets the fault."
PROMPT = 5.0
"Seconds within which gossip reaches everybody, with room to spare."
DETECTION = 20.0
"Seconds within which a dead agent is reported; six are usual."
NEEDED = 2
"The first checks, without which nothing else can be tried: all agents serve, and are in one cluster."
ANSWERS = {name: f"here is {name}".encode() for name in ("go-a", "go-b", "py-a", "py-b")}


class Differs(Exception):
    """What was seen isn't what was expected."""


class Demo:
    """The cluster, the checks, and the account of both."""

    def __init__(self, kinds: Mapping[str, Kind], fault: str | None) -> None:
        """`kinds` says which program each of the four agents is."""
        self.kinds, self.fault = kinds, fault
        self.agents: dict[str, Agent] = {}
        self.listeners: dict[str, Listener] = {}
        self.passed = 0
        self._key = os.urandom(32)
        self._began = time.monotonic()
        self._width = max(len(kind.label) for kind in kinds.values())
        self._stack = ExitStack()
        self._cluster = Cluster(addresses=loopback_addresses("127.0.0"), flags=["-log-level=debug"])

    def run(self) -> bool:
        """Go through all checks; whether all passed. Stops every agent at the end, whatever happens."""
        try:
            for number, (title, check) in enumerate(CHECKS.items(), 1):
                if self.passed < min(number - 1, NEEDED):
                    self.report("FAIL", number, title, "not tried")
                    continue
                try:
                    check(self)
                except (SerfCompatError, Differs, OSError) as error:
                    self.report("FAIL", number, title, str(error))
                else:
                    self.passed += 1
                    self.report("ok", number, title)
        finally:
            # From here on nothing may interrupt: an agent left over would be in the way of the next run.
            for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(each, signal.SIG_IGN)
            self._stack.close()
            self._cluster.stop()
            self._keep_logs()
        return self.passed == len(CHECKS)

    # -- the checks ---------------------------------------------------------------------------

    def start(self) -> None:
        for name, kind in self.kinds.items():
            key = base64.b64encode(os.urandom(32) if self._has("wrong-key", name) else self._key).decode()
            speaks = "go" if name.startswith("go") else "python"
            if self._has("no-refute", name):
                kind = serfcompat_agent("interop.agent_that_never_refutes")
            agent = self.agents[name] = self._cluster.start(kind, name, f"-encrypt={key}", f"-tag=speaks={speaks}")
            self.listeners[name] = self._stack.enter_context(Listener(agent.rpc, answers={"who": ANSWERS[name]}))
            self.say(agent, f"serves at {agent.gossip}, RPC at {agent.rpc}, as process {agent.process.pid}")

    def join(self) -> None:
        for newcomer, known in (("py-a", "go-a"), ("go-b", "py-a"), ("py-b", "go-b")):
            contacted = self.agents[newcomer].client.join([self.agents[known].gossip])
            self.say(self.agents[newcomer], f"joined {known}: {contacted} agent answered")
        for agent in self.agents.values():
            agent.wait_for_members(dict.fromkeys(self.agents, "alive"), limit=PROMPT)

    def tables(self) -> None:
        views = {}
        for name in ("go-b", "py-a"):
            views[name] = table(self.agents[name].members())
            self.say(self.agents[name], *views[name])
        if views["go-b"] != views["py-a"]:
            raise Differs("the two tables differ")
        if len(views["go-b"]) != 1 + len(self.agents):
            raise Differs(f"{len(views['go-b']) - 1} members instead of {len(self.agents)}")

    def event_of_go(self) -> None:
        self._event("go-a", "deploy", b"v2.1 \x00 bytes \xff")

    def event_of_python(self) -> None:
        self._event("py-b", "restart", "café, in UTF-8".encode())

    def query(self) -> None:
        asking = self.agents["py-a"]
        self.say(asking, "asks everybody: who?")
        answers: dict[str, bytes | None] = {}
        with asking.client.query("who", timeout=PROMPT) as records:
            while len(answers) < len(self.agents):
                record = next(records, None)
                if record is None:
                    raise Differs(f"only {', '.join(answers) or 'nobody'} answered")
                if record.type == QueryRecord.RESPONSE:
                    answers[record.from_] = record.payload
                    self.say(self.agents[record.from_], f"answers {record.payload!r}")
        if answers != ANSWERS:
            raise Differs(f"the answers are {answers}")

    def tags(self) -> None:
        for name, observer in (("py-a", "go-b"), ("go-a", "py-b")):
            self.agents[name].client.update_tags({"release": "2"})
            self.say(self.agents[name], "has the tag release=2 from now on")

            def right(members: Mapping[str, Member], name: str = name) -> bool:
                return members[name].tags.get("release") == "2"

            self.agents[observer].wait_until(self.agents[observer].members, right, limit=PROMPT)
            self.say(self.agents[observer], f"sees it on {name}")

    def refute(self) -> None:
        name = FAULTY
        others = [agent for agent in self.agents.values() if agent.name != name]
        before = self._cluster.log_sizes()
        life = max(self._belief(agent, name).incarnation for agent in others)
        self.agents[name].pause()
        try:
            suspicious, line = self._cluster.wait_for_log(
                rf"(Suspect|suspecting) {name}\b", since=before, limit=DETECTION
            )
            self.say(suspicious, f"logs: {line.strip()}")
        finally:
            self.agents[name].resume()
        line = self.agents[name].wait_for_log("[Rr]efuting a susp", since=before[name], limit=PROMPT)
        self.say(self.agents[name], f"logs: {line.strip()}")
        for agent in others:

            def belief(agent: Agent = agent) -> PushPullNode:
                return self._belief(agent, name)

            def right(node: PushPullNode) -> bool:
                return node.state == NodeState.ALIVE and node.incarnation > life

            node = agent.wait_until(belief, right, described, limit=PROMPT)
            self.say(agent, f"holds {name} for {described(node)}")

    def kill(self) -> None:
        victim = self.agents.pop("go-b")
        self.listeners.pop("go-b")
        victim.kill()
        self.say(victim, "is dead: killed with SIGKILL")
        for name, listener in self.listeners.items():
            listener.wait_for_member_event("member-failed", "go-b", limit=DETECTION)
            self.say(self.agents[name], "reports: member-failed go-b")

    def leave(self) -> None:
        for name in ("py-b", "go-a"):
            leaver = self.agents.pop(name)
            self.listeners.pop(name)
            status = leaver.leave()
            self.say(leaver, f"has left and ended, with status {status}")
            if status != 0:
                raise Differs(f"{name} ended with status {status}")
            for agent in self.agents.values():
                agent.wait_for_members({name: "left"}, limit=PROMPT)
                self.say(agent, f"sees {name} as left")

    def no_false_alarm(self) -> None:
        for agent in self._cluster.agents:
            for line in agent.log:
                if "EventMemberFailed" in line and "go-b" not in line:
                    raise Differs(f"{agent.name} logged: {line.strip()}")
        for agent in self.agents.values():
            self.say(agent, *table(agent.members()))

    # -- the account --------------------------------------------------------------------------

    def say(self, agent: Agent, *lines: str) -> None:
        """Show what an agent said or did."""
        for line in lines:
            print(f"{self._time()}  {agent.name}  {agent.kind.label:{self._width}}  {line}", flush=True)

    def report(self, result: str, number: int, title: str, why: str = "") -> None:
        """Show how a check went."""
        print(
            f"{self._time()}  {result:4}  {number:2}  {title}{': ' if why else ''}{' '.join(why.split())}\n", flush=True
        )

    def _keep_logs(self) -> None:
        LOGS.mkdir(parents=True, exist_ok=True)
        for agent in self._cluster.agents:
            text = "\n".join([f"{agent.kind.label} agent {agent.name}", *agent.log, ""])
            (LOGS / f"{agent.name}.log").write_text(text, encoding="utf-8", errors="surrogateescape")

    def _time(self) -> str:
        return f"{time.monotonic() - self._began:5.1f} s"

    def _event(self, name: str, event: str, payload: bytes) -> None:
        self.agents[name].client.user_event(event, payload)
        self.say(self.agents[name], f"sends the event {event} with {payload!r}")
        for receiver, listener in self.listeners.items():
            heard = listener.wait_for_user_event(event, limit=PROMPT)
            self.say(self.agents[receiver], f"received {event} with {heard.payload!r}, Lamport time {heard.ltime}")
            if heard.payload != payload:
                raise Differs(f"{receiver} received other bytes")

    def _belief(self, agent: Agent, about: str) -> PushPullNode:
        """What an agent believes about another one."""
        return table_of(agent.host, GOSSIP_PORT, key=self._key)[about.encode()]

    def _has(self, fault: str, name: str) -> bool:
        return self.fault == fault and name == FAULTY


CHECKS: dict[str, Callable[[Demo], None]] = {
    "four agents serve": Demo.start,
    "each kind joins the other, and all four see four alive": Demo.join,
    "a Go agent and a Python agent show the same member table": Demo.tables,
    "an event of a Go agent reaches all four": Demo.event_of_go,
    "an event of a Python agent reaches all four": Demo.event_of_python,
    "a query is answered by all four": Demo.query,
    "new tags are seen by the other kind": Demo.tags,
    "a suspected Python agent refutes, and stays alive for all": Demo.refute,
    "a killed agent is reported failed by both kinds": Demo.kill,
    "agents of both kinds leave gracefully, and are seen as left": Demo.leave,
    "nobody else was ever reported failed": Demo.no_false_alarm,
}


def table(members: Mapping[str, Member]) -> list[str]:
    """A member table, sorted by name."""
    rows = [("name", "address", "status", "protocol", "tags")]
    for _, member in sorted(members.items()):
        tags = ",".join(f"{key}={value}" for key, value in sorted(member.tags.items()))
        rows.append((member.name, member.address, str(member.status), str(member.protocol_cur), tags))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def described(node: PushPullNode) -> str:
    """One node of a member table, in words."""
    return f"{NodeState(node.state).name.lower()} in incarnation {node.incarnation}"


def kinds_to_be_had() -> tuple[dict[str, Kind], str]:
    """A program for each of the four agents, and what the last line must say of it."""
    ours = serfcompat_agent()
    go = []
    for version in GO_VERSIONS:
        try:
            go.append(go_agent(version, PEERS))
        except AgentError as error:
            shout(f"{error}: `make peers` says why it can't be had")
    if not go:
        shout("WITHOUT GO AGENTS THIS RUN PROVES NOTHING ABOUT GO: all four agents are serfcompat's")
        return dict.fromkeys(ANSWERS, ours), " (Python agents only: no Go agent was to be had)"
    remark = "" if len(go) == len(GO_VERSIONS) else f" (both Go agents are {go[0].label}: the other was not to be had)"
    return {"go-a": go[0], "go-b": go[-1], "py-a": ours, "py-b": ours}, remark


def shout(text: str) -> None:
    print(f"!!! {text}", flush=True)


@contextmanager
def stopping_in_order() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the program as Ctrl-C does, so that everything is stopped."""

    def interrupt(number: int, _frame: object) -> None:
        raise KeyboardInterrupt(signal.Signals(number).name)

    for each in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, interrupt)
    yield


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--break", dest="fault", choices=FAULTS, help="make one of our agents faulty")
    fault = parser.parse_args(arguments).fault
    kinds, remark = kinds_to_be_had()
    if fault:
        shout(f"{FAULTY} is faulty on purpose ({fault}): this run must fail")
    demo = Demo(kinds, fault)
    try:
        with stopping_in_order():
            good = demo.run()
    except KeyboardInterrupt:
        print("demo: interrupted; all agents are stopped", flush=True)
        return 130
    if not good:
        print(f"What the agents logged is in {LOGS.relative_to(ROOT)}/", flush=True)
    print(f"demo: {demo.passed} of {len(CHECKS)} checks passed{remark}", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
