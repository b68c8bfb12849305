"""Consul agents for tests: two datacenters, on addresses of their own."""

from __future__ import annotations

import base64
import re
import signal
import subprocess
from collections import Counter
from pathlib import Path

from serfcompat.testing.agent_logs import log_classes
from tests.agents import free_host
from tests.foreign.program import Program
from tests.peers import peer

VERSION = "1.8.7"
_UUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
# What makes elections and first joins quick. Failure detection stays as Consul sets it.
_QUICK = "performance { raft_multiplier = 1 } disable_update_check = true"


class Consul(Program):
    """One agent, with Consul's own ports on an address of its own."""

    def __init__(self, name: str, folder: Path, *flags: str, key: bytes | None = None) -> None:
        self.host = free_host(8301)
        self.folder = folder / name
        encrypt = [] if key is None else [f"-encrypt={base64.b64encode(key).decode()}"]
        super().__init__(
            f"consul {name}",
            [
                *(peer("consul", VERSION), "agent", f"-node={name}", f"-bind={self.host}", f"-client={self.host}"),
                *(f"-data-dir={self.folder}", "-hcl", _QUICK, "-log-level=debug"),
                *("-retry-interval=1s", "-retry-interval-wan=1s", *encrypt, *flags),
            ],
        )

    def cli(self, *arguments: str) -> str:
        """What a command of Consul's prints, asked of this agent."""
        command, *rest = arguments
        words = command.split()
        done = subprocess.run(
            [peer("consul", VERSION), *words, f"-http-addr={self.host}:8500", *rest],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.stdout + done.stderr

    def members(self, *flags: str) -> list[list[str]]:
        """The rows of `consul members`, as words."""
        return [line.split() for line in self.cli("members", *flags).splitlines()[1:]]

    def status_of(self, name: str, *flags: str) -> str | None:
        """Of a member; None if it isn't known."""
        return next((row[2] for row in self.members(*flags) if row[0] == name), None)

    def wait_for_status(self, name: str, status: str | None, *flags: str, limit: float = 40.0) -> None:
        self.wait_until(
            lambda: self.status_of(name, *flags),
            lambda found: found == status,
            limit=limit,
            what=f"{name} should be {status}",
        )

    def leave(self) -> None:
        """Let it leave and end."""
        self.signal(signal.SIGINT if "-server" in self.process.args else signal.SIGTERM)
        self.wait_exit()


def complaints(lines: list[str], *names: str) -> Counter[str]:
    """Kinds of WARN and ERROR lines."""
    return log_classes([_UUID.sub("<uuid>", line) for line in lines], names)


def gossip(lines: list[str]) -> list[str]:
    """What an operator who doesn't debug reads about members, but for those that tests made and ended."""
    told = [line for line in lines if "[DEBUG]" not in line and ("serf" in line or "memberlist" in line)]
    return [line for line in told if not re.search(r"\bx\d\b|\bs3", line)]


class Datacenters:
    """A server and a client in dc1, and a server in dc2; both servers in one WAN pool."""

    def __init__(self, folder: Path, key: bytes | None) -> None:
        self.key = key
        self._started: list[Consul] = []
        self._folder = folder
        self.server = self.start("s1", "-server", "-bootstrap")
        self.client = self.start("c1", f"-retry-join={self.server.host}")
        self.far = self.start("s2", "-server", "-bootstrap", "-datacenter=dc2", f"-retry-join-wan={self.server.host}")

    def start(self, name: str, *flags: str) -> Consul:
        agent = Consul(name, self._folder, *flags, key=self.key)
        self._started.append(agent)
        return agent

    def settle(self) -> None:
        """Wait until all know each other and both datacenters have a leader."""
        self.server.wait_for_status("c1", "alive")
        self.client.wait_for_status("s1", "alive")
        self.server.wait_for_status("s2.dc2", "alive", "-wan")
        for server in (self.server, self.far):
            server.wait_for("member joined, marking health alive: member=" + ("c1" if server is self.server else "s2"))

    def stop(self) -> None:
        for agent in self._started:
            agent.stop()
