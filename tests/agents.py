"""Agents as processes, Go's and ours alike: started, listened to and stopped the same way."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from serfcompat.rpc.client import Client
from tests.leaks import WATCH
from tests.peers import GO_VERSIONS, go_serf

GO_AGENTS = tuple(f"go-{version}" for version in GO_VERSIONS)
OURS = "serfcompat"
ALL_AGENTS = (*GO_AGENTS, OURS)
GOSSIP_PORT, RPC_PORT = 27946, 27373
PATIENCE = 60.0
"""Seconds, four push/pulls of profile local. In small clusters it gossips a message in two packets, and some
member among four or more is missed now and then; a push/pull brings it."""

_hosts = itertools.count(2)


def free_host(port: int = RPC_PORT) -> str:
    """A loopback address of this process's own, on whose port nobody listens."""
    while True:
        number = next(_hosts)
        host = f"127.20.{(os.getpid() + number // 250) % 250 + 1}.{number % 250 + 2}"
        with socket.socket() as probe:
            try:
                probe.bind((host, port))
            except OSError:
                continue
        return host


def serf_command(kind: str) -> list[str]:
    """How to call the command line of `kind`: `go-<version>` or `serfcompat`."""
    return [sys.executable, "-m", "serfcompat"] if kind == OURS else [go_serf(kind.removeprefix("go-"))]


class AgentProcess:
    """One agent in a process of its own. Use it in a `with` block, which kills what still runs."""

    def __init__(
        self,
        kind: str,
        name: str,
        *flags: str,
        host: str | None = None,
        profile: str = "local",
        cwd: Path | None = None,
        env: dict[str, str] | None = None,
        wait: bool = True,
        bare: bool = False,
    ) -> None:
        """`bare`: only `flags`, nothing of our own. `wait`: return when it serves, or has ended."""
        self.kind, self.name = kind, name
        self.host = host or free_host()
        self.gossip, self.rpc = f"{self.host}:{GOSSIP_PORT}", f"{self.host}:{RPC_PORT}"
        own = [f"-node={name}", f"-bind={self.gossip}", f"-rpc-addr={self.rpc}", f"-profile={profile}"]
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._ended = False
        self.process = subprocess.Popen(
            [*serf_command(kind), "agent", *([] if bare else own), *flags],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env=env,
        )
        WATCH.learn_from_flags(flags)
        self.stderr = b""
        self._threads = [threading.Thread(target=self._read_out), threading.Thread(target=self._read_err)]
        for thread in self._threads:
            thread.start()
        if wait:
            try:
                self.wait_for("Log data will now stream in as it occurs:")
            except BaseException:
                self.__exit__()  # nobody has it, so nobody else would
                raise

    @property
    def output(self) -> str:
        """All of stdout so far."""
        with self._changed:
            return "".join(self._lines)

    def wait_for(self, text: str, *, timeout: float = PATIENCE, count: int = 1) -> str:
        """Block until stdout has `text` in `count` lines; the last of them. AssertionError if it never comes."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                found = [line for line in self._lines if text in line]
                if len(found) >= count:
                    return found[count - 1]
                left = deadline - time.monotonic()
                if self._ended or left <= 0:
                    state = "ended" if self._ended else f"said nothing of it for {timeout} s"
                    raise AssertionError(f"no {text!r}: {self.kind} agent {self.name} {state}\n{''.join(self._lines)}")
                self._changed.wait(left)

    def client(self) -> Client:
        """A new RPC connection to it."""
        return Client(self.rpc)

    def settle(self) -> None:
        """Block until it has handled its own join: then its signal handlers are there as well."""
        with Client(self.rpc) as client, client.monitor("INFO") as monitor:
            while "agent: Received event: member-join" not in monitor.get(10):
                pass

    def wait_exit(self, timeout: float = 20.0) -> int:
        """The exit status."""
        status = self.process.wait(timeout)
        for thread in self._threads:
            thread.join(timeout)
        return status

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        self.process.kill()
        self.wait_exit()

    def __enter__(self) -> AgentProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.process.stdout.close()
        self.process.stderr.close()
        if self.kind == OURS:
            WATCH.check(self.output + self.stderr.decode("utf-8", "replace"), f"the log of {self.name}")

    def _read_out(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._changed:
                self._lines.append(line.decode("utf-8", "surrogateescape"))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _read_err(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.stderr += line


class Ran:
    """A command that ended: what it printed and how."""

    def __init__(self, process: subprocess.CompletedProcess[bytes]) -> None:
        self.out = process.stdout.decode("utf-8", "surrogateescape")
        self.err = process.stderr.decode("utf-8", "surrogateescape")
        self.code = process.returncode

    def __repr__(self) -> str:
        return f"exit {self.code}, stdout {self.out!r}, stderr {self.err!r}"


def run_serf(kind: str, *args: str | bytes, env: dict[str, str] | None = None, timeout: float = 20.0) -> Ran:
    """Run a command of `kind`'s command line to its end. The environment has no SERF_RPC_… but those in `env`."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("SERF_RPC_")}
    command: Sequence[str | bytes] = [*serf_command(kind), *args]
    return Ran(
        subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=clean | (env or {}),
            timeout=timeout,
            check=False,
        )
    )
