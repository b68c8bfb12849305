"""What a case on the level of agents gets: agents, clients and ends of the wire."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from serfcompat.conformance.agents import AgentStage, Setup, ready
from serfcompat.conformance.bench import Bench
from serfcompat.conformance.case import Broken, Need, NotApplicable
from serfcompat.errors import SerfCompatError
from serfcompat.testing.listener import Listener
from serfcompat.testing.processes import Agent, Cluster, Kind

SEEN = 30.0
"Seconds within which all members know what there is to know."
COMMAND_LIMIT = 30.0


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that ended."""

    out: str
    err: str
    code: int

    def __str__(self) -> str:
        return f"exit {self.code}, stdout {self.out!r}, stderr {self.err!r}"


class Lab:
    """Everything that it starts is stopped when the case is over."""

    def __init__(self, kind: Kind, setup: Setup, stage: AgentStage) -> None:
        self.kind, self.setup = kind, setup
        self._stage = stage
        self._cluster = stage.stack.enter_context(Cluster())
        self._lock = threading.Lock()

    # -- agents -------------------------------------------------------------------------------

    def agent(self, name: str, *flags: str, key: bool = False, host: str | None = None) -> Agent:
        """A started agent. `key`: it encrypts."""
        needs = frozenset({Need.KEY} if key else ())
        arguments = [*self.setup.arguments(needs), *flags]
        agent = ready(self._cluster, self.kind, name, arguments, host=host)
        with self._lock:
            self._stage.watch(agent, own=True)
        return agent

    def agents(
        self, *names: str, key: bool = False, tags: Mapping[str, Mapping[str, str]] | None = None
    ) -> list[Agent]:
        """Started agents in one cluster, all of which know all."""
        found = [
            self.agent(name, *(f"-tag={tag}={value}" for tag, value in (tags or {}).get(name, {}).items()), key=key)
            for name in names
        ]
        self.join(*found)
        return found

    def join(self, first: Agent, *others: Agent) -> None:
        """Let the others join the first, and wait until all know all."""
        for other in others:
            other.client.join([first.gossip])
        everybody = (first, *others)
        self.await_members(everybody, {agent.name: "alive" for agent in everybody})

    def await_members(self, at: Iterable[Agent], wanted: Mapping[str, str], *, limit: float = SEEN) -> None:
        """Wait until all of these agents give the members named these statuses (`gone`: not a member)."""
        for agent in at:
            agent.wait_for_members(wanted, limit=limit)

    def free_host(self) -> str:
        """An address for an agent that is to be started later."""
        return self._cluster.free_host()

    def listen(self, agent: Agent, answers: Mapping[str, bytes | None] | None = None) -> Listener:
        """Whoever hears all events of an agent, and answers queries."""
        return self._stage.stack.enter_context(Listener(agent.rpc, answers=answers))

    def bench(self, agent: Agent, *, key: bytes | None = None) -> Bench:
        """The wire to an agent."""
        node = self.setup.node(agent, frozenset())
        if key is not None:
            node.layers.keys = (key,)
        bench = Bench(node, self._stage.trace)
        self._stage.stack.callback(bench.close)
        return bench

    # -- the command line ---------------------------------------------------------------------

    def cli(self, *args: str, agent: Agent | None = None, limit: float = COMMAND_LIMIT) -> Ran:
        """Run a command of the program's command line to its end, against an agent. Broken: it doesn't end."""
        words = [*self.kind.command, *args]
        if agent is not None:
            words.insert(len(self.kind.command) + 1, f"-rpc-addr={agent.rpc}")
        clean = {name: value for name, value in os.environ.items() if not name.startswith("SERF_")}
        try:
            process = subprocess.run(
                words, stdin=subprocess.DEVNULL, capture_output=True, env=clean, timeout=limit, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise Broken(f"{' '.join(args)} ends", f"it runs on after {limit:g} s") from error
        except OSError as error:
            raise NotApplicable(f"the command line can't be run: {error}") from error
        return Ran(_text(process.stdout), _text(process.stderr), process.returncode)

    def folder(self) -> Path:
        """An empty folder, which is deleted at the end."""
        return Path(self._stage.stack.enter_context(TemporaryDirectory(prefix="serfcompat-conformance-")))


def refusal(call: object, *args: object, **kwargs: object) -> str:
    """What an agent says when it refuses a call. Broken: it doesn't refuse."""
    assert callable(call)
    try:
        answer = call(*args, **kwargs)
    except SerfCompatError as error:
        return str(error)
    raise Broken("a refusal", f"the answer {answer!r}")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
