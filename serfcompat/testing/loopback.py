"""Nodes as processes on 127.x addresses of this machine: no rights needed, and no program beside them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from serfcompat.testing.backends import Backend
from serfcompat.testing.capture import Capture
from serfcompat.testing.node import GOSSIP_PORT, Node
from serfcompat.testing.processes import NETWORK, Agent, Cluster, Kind
from serfcompat.testing.programs import Program
from serfcompat.testing.runs import VARIABLE, kill_leftovers, this_run


class Processes(Backend):
    """What both back ends of processes have in common."""

    def __init__(self) -> None:
        super().__init__()
        kill_leftovers()
        self._agents: list[Agent] = []
        self._capture: Capture | None = None

    def launch(self, program: Program, name: str, host: str, flags: Sequence[str]) -> Node:
        kind = program.kind()
        agent = Agent(self.wrap(kind, host), name, host, flags, news=self.news, env={VARIABLE: str(this_run())})
        self._agents.append(agent)
        return agent

    def wrap(self, kind: Kind, host: str) -> Kind:
        """How the program is called so that it lives at that address."""
        return kind

    def save_capture(self, path: Path) -> None:
        if self._capture is not None:
            self._capture.save(path)

    def close(self) -> None:
        for agent in self._agents:
            if agent.running:
                agent.process.terminate()
        for agent in self._agents:
            agent.stop()
        if self._capture is not None:
            self._capture.close()


class Loopback(Processes):
    """127.x addresses. Packets pass through a relay if they are to be lost."""

    name = "loopback"
    cannot_filter = "nodes on loopback share one network with everything on this machine: use a relay"

    def __init__(self) -> None:
        super().__init__()
        self._addresses = Cluster()  # nothing but its addresses, which other test runs pass over

    def free_host(self) -> str:
        return self._addresses.free_host()

    def relay_address(self) -> str:
        return f"{self.free_host()}:{GOSSIP_PORT}"

    def set_faults(self, node: Node, *, blocked: Collection[str], loss: float) -> None:
        raise AssertionError("a relay stands before these nodes")

    def start_capture(self) -> str:
        try:
            self._capture = Capture("lo", network=NETWORK)
        except OSError as error:
            return f"packets of loopback can't be had: {error}"
        return ""

    def close(self) -> None:
        super().close()
        self._addresses.stop()
