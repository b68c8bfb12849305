"""Agents that the kit starts, by a command that somebody gave it."""

from __future__ import annotations

import base64
import shlex
import string
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from serfcompat.conformance.case import Need
from serfcompat.conformance.node import PROFILES, Node
from serfcompat.conformance.trace import Trace
from serfcompat.errors import UsageError
from serfcompat.testing.processes import Agent, Cluster, Kind
from serfcompat.wire.layers import Layers

KEY = bytes(range(32))
"Of the agents that have one."
LABEL = b"kit-label"
START_LIMIT = 30.0
"Seconds an agent has to start on a busy machine."
PLACEHOLDERS = {"name", "bind", "rpc", "extra"}


@dataclass(frozen=True, slots=True)
class Template(Kind):
    """A command with `{name}`, `{bind}`, `{rpc}` and `{extra}` in it."""

    words: Sequence[str] = ()

    @classmethod
    def parse(cls, text: str) -> Template:
        """`./my-agent agent -node={name} -bind={bind} -rpc-addr={rpc} {extra}`. Raises UsageError."""
        try:
            words = shlex.split(text)
            used = {field for word in words for _, field, _, _ in string.Formatter().parse(word) if field is not None}
        except ValueError as error:
            raise UsageError(f"--impl {text!r} can't be read as a command: {error}") from error
        if missing := {"name", "bind", "rpc"} - used:
            raise UsageError(f"--impl needs {', '.join(f'{{{name}}}' for name in sorted(missing))} somewhere in it")
        if unknown := used - PLACEHOLDERS:
            raise UsageError(f"--impl knows no {', '.join(f'{{{name}}}' for name in sorted(unknown))}")
        # The command line client is what stands before the subcommand.
        client = words[: words.index("agent")] if "agent" in words else words[:1]
        return cls(words[0], client, words)

    def agent_command(self, name: str, gossip: str, rpc: str, flags: Sequence[str]) -> list[str]:
        found: list[str] = []
        for word in self.words:
            if word == "{extra}":
                found += flags
            else:
                found.append(word.format(name=name, bind=gossip, rpc=rpc, extra=shlex.join(flags)))
        return found if any("{extra}" in word for word in self.words) else [*found, *flags]


@dataclass(frozen=True, slots=True)
class Setup:
    """How agents are started."""

    profile: str = "local"
    label_flag: str = ""
    "What gives an agent a label, such as `-label`; empty: the program has no labels."
    flags: Sequence[str] = ()
    "For every agent."

    def arguments(self, needs: frozenset[Need]) -> list[str]:
        """Flags of an agent that a case needs."""
        found = [f"-profile={self.profile}", "-log-level=debug", *self.flags]
        if Need.KEY in needs:
            found.append(f"-encrypt={base64.b64encode(KEY).decode()}")
        if Need.LABEL in needs:
            found.append(f"{self.label_flag}={LABEL.decode()}")
        return found

    def layers(self, needs: frozenset[Need]) -> Layers:
        """How to talk to it."""
        return Layers(label=LABEL if Need.LABEL in needs else b"", keys=(KEY,) if Need.KEY in needs else ())

    def node(self, agent: Agent, needs: frozenset[Need]) -> Node:
        """An agent as a node under test."""
        facts = {Need.SERF, Need.KEY if Need.KEY in needs else Need.NO_KEY}
        facts.add(Need.LABEL if Need.LABEL in needs else Need.NO_LABEL)
        layers = self.layers(needs)
        return Node(agent.gossip, layers, PROFILES[self.profile](), frozenset(facts), lambda: agent.log)


class AgentStage:
    """One attempt's agents and ends of the wire."""

    def __init__(self) -> None:
        self.trace = Trace()
        self.stack = ExitStack()
        self.own: list[Agent] = []
        "Agents of this attempt alone."
        self._agents: list[tuple[Agent, int]] = []

    def watch(self, agent: Agent, *, own: bool = False) -> None:
        """Show what this agent logs from now on."""
        if own:
            self.own.append(agent)
        self._agents.append((agent, len(agent.log)))

    def log(self) -> Sequence[str]:
        several = len(self._agents) > 1
        return [
            f"{agent.name}: {line}" if several else line
            for agent, since in self._agents
            for line in agent.log[since:][-12:]
        ]

    def abort(self) -> None:
        """End the agents that belong to it: whoever waits for their answers learns that there are none."""
        for agent, _ in self._agents:
            if agent in self.own and agent.running:
                agent.process.kill()

    def close(self) -> None:
        self.stack.close()


def ready(cluster: Cluster, kind: Kind, name: str, flags: Sequence[str], *, host: str | None = None) -> Agent:
    """A started agent that answers RPC. AgentError: it doesn't."""
    agent = cluster.launch(kind, name, *flags, host=host)
    agent.wait_until_serving(limit=START_LIMIT)
    return agent
