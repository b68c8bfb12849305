"""Clusters that are measured beside one another: so many agents of given kinds, started and joined."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

from interop.demo import PEERS
from serfcompat.serf.member import Member, MemberStatus
from serfcompat.testing.processes import (
    GOSSIP_PORT,
    READY,
    Agent,
    AgentError,
    Cluster,
    Kind,
    go_agent,
    serfcompat_agent,
)
from serfcompat.testing.relay import Relay

GO_VERSIONS = ("0.9.4", "0.10.1")
LIMIT = 75.0
"Seconds within which everybody knows everything, even where gossip was lost: some push/pulls."
GOSSIP_INTERVAL = 0.2
"Seconds between an agent's rounds of gossip (LAN). They tick from its start on, so agents shall not start in step."
LOOK_AGAIN = 0.005

T = TypeVar("T")


def go_only(count: int, peers: Path = PEERS) -> list[Kind]:
    """That many Go agents, of both versions in turn."""
    kinds = [go_agent(version, peers) for version in GO_VERSIONS]
    return [kinds[number % len(kinds)] for number in range(count)]


def half_ours(count: int, peers: Path = PEERS) -> list[Kind]:
    """Ours and Go's in turn, the latter of both versions in turn. The first is Go's."""
    go, ours = go_only(count, peers), serfcompat_agent()
    return [ours if number % 2 else go[number // 2] for number in range(count)]


def ours_only(count: int) -> list[Kind]:
    """That many of ours."""
    return [serfcompat_agent()] * count


class Group:
    """A cluster under measurement. It isn't joined yet when it is made."""

    def __init__(
        self,
        name: str,
        kinds: Sequence[Kind],
        stack: ExitStack,
        *,
        flags: Sequence[str] = (),
        dice: random.Random,
        relay: Relay | None = None,
    ) -> None:
        """
        Args:
            stack: What is entered there is stopped by it.
            dice: Draw when each agent starts within the gossip interval.
            relay: What all traffic goes through; None: directly.
        """
        self.name = name
        self._dice = dice
        self._relay = relay
        self._stack = stack
        self._kinds = {f"{name}-{number}": kind for number, kind in enumerate(kinds)}
        self._address: dict[str, str] = {}
        self.cluster = stack.enter_context(Cluster(flags=flags))
        self.agents = {node: self._launch(node) for node in self._kinds}
        for agent in self.agents.values():
            agent.wait_for_log(READY, limit=LIMIT)

    def __len__(self) -> int:
        return len(self._kinds)

    def is_ours(self, node: str) -> bool:
        """Whether a node is no Go agent."""
        return not self._kinds[node].label.startswith("Go")

    def join(self, known: str | None = None) -> float:
        """All join one of them at once, the first unless told otherwise; seconds until all see all alive."""
        known = known or next(iter(self.agents))
        others = [agent for agent in self.agents.values() if agent.name != known]
        for agent in self.agents.values():
            agent.client.stats()  # connects
        began = time.monotonic()
        together(lambda agent: agent.client.join([self._address[known]]), others)
        self.wait_until_all_know()
        return time.monotonic() - began

    def wait_until_all_know(self) -> None:
        """Look at one after the other until it sees all alive."""
        for agent in self.agents.values():
            deadline = time.monotonic() + LIMIT
            while (count := alive(agent.client.members())) < len(self):
                if time.monotonic() > deadline:
                    raise AgentError(f"{agent.kind.label} agent {agent.name} sees {count} of {len(self)} alive")
                time.sleep(LOOK_AGAIN)

    def restart(self, node: str) -> None:
        """Start a killed agent again at its old address, and let it join."""
        host = self.agents.pop(node).host
        self.agents[node] = self.cluster.start(self._kinds[node], node, *self._advertise(node), host=host, limit=LIMIT)
        known = next(other for other in self.agents if other != node)
        self.agents[node].client.join([self._address[known]])
        self.wait_until_all_know()

    def address(self, node: str) -> str:
        """Where the others reach a node: `host:port`, the relay's if there is one."""
        return self._address[node]

    def reserve(self, node: str) -> tuple[str, str]:
        """A host to bind for a node, and the address to advertise."""
        host = self.cluster.free_host()
        self._address[node] = f"{host}:{GOSSIP_PORT}"
        if self._relay is not None:
            self._address[node] = f"{self.cluster.free_host()}:{GOSSIP_PORT}"
            self._relay.serve(node, listen=self._address[node], target=f"{host}:{GOSSIP_PORT}")
        return host, self._address[node]

    def _launch(self, node: str) -> Agent:
        time.sleep(self._dice.uniform(0, GOSSIP_INTERVAL))
        host, _ = self.reserve(node)
        return self.cluster.launch(self._kinds[node], node, *self._advertise(node), host=host)

    def _advertise(self, node: str) -> list[str]:
        return [] if self._relay is None else [f"-advertise={self._address[node]}"]


def together(act: Callable[[Agent], T], agents: Sequence[Agent]) -> list[T]:
    """Do something with several agents at the same time, one thread each."""
    with ThreadPoolExecutor(max(1, len(agents))) as pool:
        return list(pool.map(act, agents))


def alive(members: Sequence[Member]) -> int:
    """How many are."""
    return sum(member.status is MemberStatus.ALIVE for member in members)
