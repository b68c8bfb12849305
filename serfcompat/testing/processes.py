"""Serf agents as processes on this machine's loopback addresses, Go's and ours alike.

    with Cluster() as cluster:
        go = cluster.start(go_agent("0.10.1"), "go1")
        ours = cluster.start(serfcompat_agent(), "py1", f"-join={go.gossip}")
        go.wait_for_members({"go1": "alive", "py1": "alive"})

Each agent has an address of its own. One waits for what an agent logs or answers, never for time to
pass. Leaving the block stops every agent; if it is left by an exception, their logs are printed first.
Needs Linux, where all of 127.0.0.0/8 is there without further ado.
"""

from __future__ import annotations

import errno
import itertools
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Self, TextIO

from serfcompat.testing.node import GOSSIP_PORT, READY, RPC_PORT, AgentError, Node

STOP_LIMIT = 5.0
"Seconds an agent has to end after SIGTERM before it is killed."

_SPAWN_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Kind:
    """A program that is a Serf agent."""

    label: str
    "What a reader calls it, such as `Go serf 0.9.4`."
    command: Sequence[str]
    "How it is called; the subcommand and flags follow."

    def agent_command(self, name: str, gossip: str, rpc: str, flags: Sequence[str]) -> list[str]:
        """What starts an agent of this kind: its name, where it listens, and further flags of Serf's."""
        return [*self.command, "agent", f"-node={name}", f"-bind={gossip}", f"-rpc-addr={rpc}", *flags]


def go_agent(version: str, peers: Path = Path(".peers")) -> Kind:
    """The Go agent of that version, as `interop/fetch-peers` unpacks it. AgentError: it isn't there."""
    path = peers.resolve() / f"serf-{version}" / "serf"
    if not os.access(path, os.X_OK):
        raise AgentError(f"no Go agent at {path}")
    return Kind(f"Go serf {version}", (str(path),))


def serfcompat_agent(module: str = "serfcompat") -> Kind:
    """This project's agent; `module` may be another one that runs it."""
    return Kind(f"serfcompat {metadata.version('serfcompat')}", (sys.executable, "-m", module))


class Agent(Node):
    """One agent's process. Made by `Cluster.start`."""

    def __init__(
        self,
        kind: Kind,
        name: str,
        host: str,
        flags: Sequence[str],
        *,
        cwd: Path | None = None,
        news: threading.Condition | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """
        Args:
            news: Notified of every line that is logged; several agents may share it.
            env: Variables beside those of this process.
        """
        super().__init__(kind.label, name, host, news)
        self.kind = kind
        self.process = _spawn(kind.agent_command(name, self.gossip, self.rpc, flags), cwd, env)
        self._reader = threading.Thread(target=self._read, name=f"log of {name}", daemon=True)
        self._reader.start()

    def __repr__(self) -> str:
        return f"<{self.label} agent {self.name!r} at {self.gossip}, pid {self.process.pid}>"

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def wait_for_exit(self, limit: float = 15.0) -> int:
        """Its exit status. AgentError: it runs on."""
        try:
            status = self.process.wait(limit)
        except subprocess.TimeoutExpired as error:
            raise AgentError(f"{self.label} agent {self.name} still runs after {limit:g} s") from error
        self._reader.join(limit)
        return status

    def kill(self) -> None:
        """End it at once, without a word to anybody (SIGKILL)."""
        self.process.kill()
        self.wait_for_exit()

    def pause(self) -> None:
        """Stop its execution (SIGSTOP); what is sent to it waits in its sockets."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on (SIGCONT)."""
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """Make sure that it has ended. May be called again."""
        self._hang_up()
        if self.running:
            self.process.terminate()
            self.process.send_signal(signal.SIGCONT)
            try:
                self.process.wait(STOP_LIMIT)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._reader.join(STOP_LIMIT)
        assert self.process.stdout is not None
        if not self._reader.is_alive():  # else a child of the agent holds it open, and so does the reader
            self.process.stdout.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._heard(line)
        self._silent()


def _spawn(command: Sequence[str], cwd: Path | None, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start a program whose output is read.

    Tried a few times if the kernel says EFAULT: small virtual machines whose host takes
    memory back have been seen to say so while they map a large binary.
    """
    for attempt in range(_SPAWN_ATTEMPTS):
        try:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env=None if env is None else os.environ | env,
                # A session of its own: Ctrl-C is for whoever started it, who then stops it in order.
                start_new_session=True,
            )
        except OSError as error:
            if error.errno != errno.EFAULT or attempt == _SPAWN_ATTEMPTS - 1:
                raise
    raise AssertionError("every attempt returns or raises")


class Cluster:
    """Agents that are stopped together."""

    def __init__(self, *, addresses: Iterator[str] | None = None, flags: Sequence[str] = ()) -> None:
        """
        Args:
            addresses: Where the agents live; those that somebody listens on are passed over.
            flags: For every agent, before its own ones.
        """
        self.agents: list[Agent] = []
        self._addresses = addresses if addresses is not None else loopback_addresses()
        self._flags = tuple(flags)
        self._news = threading.Condition()
        self._reservations: list[socket.socket] = []

    def start(
        self,
        kind: Kind,
        name: str,
        *flags: str,
        host: str | None = None,
        cwd: Path | None = None,
        limit: float = 15.0,
    ) -> Agent:
        """Start an agent and wait until it serves. AgentError: it ended instead, or took too long."""
        agent = self.launch(kind, name, *flags, host=host, cwd=cwd)
        agent.wait_for_log(re.escape(READY), limit=limit)
        return agent

    def launch(self, kind: Kind, name: str, *flags: str, host: str | None = None, cwd: Path | None = None) -> Agent:
        """Start an agent and don't wait for anything. `host` None: an address of its own."""
        host = host or self.free_host()
        agent = Agent(kind, name, host, [*self._flags, *flags], cwd=cwd, news=self._news)
        self.agents.append(agent)
        return agent

    def free_host(self) -> str:
        """The next address that nobody listens on, and that no other `Cluster` on this machine has chosen."""
        return next(address for address in self._addresses if self._reserve(address))

    def log_sizes(self) -> dict[str, int]:
        """How many lines each agent has logged so far, for `since` of `wait_for_log`."""
        return {agent.name: len(agent.log) for agent in self.agents}

    def wait_for_log(self, pattern: str, *, since: Mapping[str, int], limit: float = 10.0) -> tuple[Agent, str]:
        """The first line after those of `since` that has the regular expression, and who logged it.

        AgentError: nobody did in time.
        """
        wanted = re.compile(pattern)
        deadline = time.monotonic() + limit
        with self._news:
            while True:
                for agent in self.agents:
                    for line in agent.log[since.get(agent.name, 0) :]:
                        if wanted.search(line):
                            return agent, line
                left = deadline - time.monotonic()
                if left <= 0:
                    raise AgentError(f"some agent should log {pattern!r} but none has in {limit:g} s")
                self._news.wait(left)

    def stop(self) -> None:
        """Stop every agent. May be called again."""
        for agent in self.agents:
            if agent.running:
                agent.process.terminate()
        for agent in self.agents:
            agent.stop()
        for reservation in self._reservations:
            reservation.close()
        self._reservations.clear()

    def print_logs(self, file: TextIO | None = None) -> None:
        """Print each agent's log, to stderr unless told otherwise."""
        for agent in self.agents:
            state = "running" if agent.running else f"ended with status {agent.process.returncode}"
            print(f"---- {agent!r}, {state}", *agent.log, sep="\n", file=file or sys.stderr)

    def _reserve(self, host: str) -> bool:
        """Whether the address is free; if so it is ours until `stop`, also before an agent listens there."""
        reservation = socket.socket(socket.AF_UNIX)
        try:
            # An abstract name: no file, and gone with us, however we end.
            reservation.bind(f"\0serfcompat.testing {host}")
        except OSError:
            reservation.close()
            return False
        self._reservations.append(reservation)
        return _is_free(host)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and issubclass(kind, Exception):  # an interrupt is no failure
            self.print_logs()
        self.stop()


def loopback_addresses(prefix: str | None = None) -> Iterator[str]:
    """Addresses for agents: 127.0.0.11 … with the prefix `127.0.0`, or some that other processes hardly try."""
    if prefix is not None:
        return (f"{prefix}.{number}" for number in range(11, 255))
    return (f"127.{_OWN}.{number // 250}.{number % 250 + 2}" for number in _numbers)


_OWN = 30 + os.getpid() % 220
"Second byte of the addresses of this process's agents, so that test runs side by side don't meet."
NETWORK = f"127.{_OWN}.0.0/16"
"The network of these addresses."
_numbers = itertools.count()


def _is_free(host: str) -> bool:
    """Whether nobody listens on the ports of an agent there."""
    for port, kind in (
        (GOSSIP_PORT, socket.SOCK_STREAM),
        (GOSSIP_PORT, socket.SOCK_DGRAM),
        (RPC_PORT, socket.SOCK_STREAM),
    ):
        with socket.socket(socket.AF_INET, kind) as probe:
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a closed connection's rest is no harm
            try:
                probe.bind((host, port))
            except OSError:
                return False
    return True
