"""An agent of a test cluster, wherever it runs: what it logs and answers, and how one waits for that."""

from __future__ import annotations

import re
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TypeVar

from serfcompat.errors import AgentUnreachable, SerfCompatError
from serfcompat.rpc.client import Client
from serfcompat.serf.member import Member

GOSSIP_PORT, RPC_PORT = 7946, 7373
READY = "Log data will now stream in as it occurs:"
"The last line of an agent's start: its RPC answers, its `-join` is done (spec agent §1.2)."
ASK_AGAIN = 0.1
"Seconds after which an agent is asked again that hasn't logged anything meanwhile."

T = TypeVar("T")


class AgentError(SerfCompatError):
    """An agent didn't start, ended by itself, or what was waited for didn't happen in time."""


class Node(ABC):
    """One agent. It may have ended: then its log is still there."""

    def __init__(self, label: str, name: str, host: str, news: threading.Condition | None = None) -> None:
        """
        Args:
            label: What a reader calls the program, such as `Go serf 0.9.4`.
            host: Its IP address.
            news: Notified of every line that is logged; several agents may share it.
        """
        self.label, self.name, self.host = label, name, host
        self.gossip = f"{host}:{GOSSIP_PORT}"
        "Where other nodes reach it."
        self.rpc = f"{host}:{RPC_PORT}"
        "Where we reach it."
        self._lines: list[str] = []
        self._news = threading.Condition() if news is None else news
        self._ended = False
        self._client: Client | None = None

    def __repr__(self) -> str:
        return f"<{self.label} agent {self.name!r} at {self.gossip}>"

    @property
    def log(self) -> list[str]:
        """All that it has printed so far, line by line."""
        with self._news:
            return list(self._lines)

    @property
    @abstractmethod
    def running(self) -> bool:
        """Whether it has not ended; one that is paused has not."""

    @property
    def client(self) -> Client:
        """A connection to its RPC port; the same one until it is lost. AgentError: nobody answers there."""
        if self._client is None or self._client.closed:
            try:
                self._client = Client(self.rpc)
            except AgentUnreachable as error:
                raise AgentError(f"{self.name}: {error}") from error
        return self._client

    def members(self) -> dict[str, Member]:
        """Its members by name."""
        return {member.name: member for member in self.client.members()}

    # -- waiting ------------------------------------------------------------------------------

    def wait_until_serving(self, limit: float = 15.0) -> None:
        """Return when its RPC answers. AgentError: it ended instead, or took too long."""
        deadline = time.monotonic() + limit
        while True:
            try:
                self.client.stats()
            except (AgentError, AgentUnreachable) as error:
                with self._news:
                    if self._ended or time.monotonic() > deadline:
                        why = "ended" if self._ended else f"does not serve after {limit:g} s ({error})"
                        raise AgentError(f"{self.label} agent {self.name} {why}, saying {self._lines[-3:]}") from error
                    self._news.wait(ASK_AGAIN)
            else:
                return

    def wait_for_log(self, pattern: str, *, limit: float = 10.0, since: int = 0) -> str:
        """The first line after `since` lines that has the regular expression. AgentError: it didn't come in time."""
        wanted = re.compile(pattern)
        deadline = time.monotonic() + limit
        seen = since
        with self._news:
            while True:
                for line in self._lines[seen:]:
                    if wanted.search(line):
                        return line
                seen = len(self._lines)
                left = deadline - time.monotonic()
                if self._ended or left <= 0:
                    why = f"ended, saying {self._lines[-3:]}" if self._ended else f"has not in {limit:g} s"
                    raise AgentError(f"{self.label} agent {self.name} should log {pattern!r} but {why}")
                self._news.wait(left)

    def wait_for_members(self, wanted: Mapping[str, str], *, limit: float = 30.0) -> dict[str, Member]:
        """Its members, once those named have these statuses. AgentError: they don't get them in time.

        A name with the status `gone` must not be among the members any more.
        """

        def right(members: dict[str, Member]) -> bool:
            return all(_status(members, name) == status for name, status in wanted.items())

        def wrong(members: dict[str, Member]) -> str:
            return ", ".join(f"{name} is {_status(members, name)}, not {status}" for name, status in wanted.items())

        return self.wait_until(self.members, right, wrong, limit=limit)

    def wait_until(
        self, ask: Callable[[], T], right: Callable[[T], bool], wrong: Callable[[T], str] = str, *, limit: float = 30.0
    ) -> T:
        """Ask, now and after whatever it logs, until the answer is right. AgentError says what it was last."""
        deadline = time.monotonic() + limit
        while True:
            answer = ask()
            if right(answer):
                return answer
            if time.monotonic() > deadline:
                raise AgentError(f"{self.label} agent {self.name}, after {limit:g} s: {wrong(answer)}")
            with self._news:
                self._news.wait(ASK_AGAIN)

    # -- ending and disturbing ----------------------------------------------------------------

    @abstractmethod
    def wait_for_exit(self, limit: float = 15.0) -> int:
        """Its exit status. AgentError: it runs on."""

    def leave(self, limit: float = 15.0) -> int:
        """Let it leave the cluster and end; its exit status (spec agent §4.6.9)."""
        self.client.leave()
        return self.wait_for_exit(limit)

    @abstractmethod
    def kill(self) -> None:
        """End it at once, without a word to anybody (SIGKILL)."""

    @abstractmethod
    def pause(self) -> None:
        """Stop its execution; what is sent to it waits in its sockets."""

    @abstractmethod
    def resume(self) -> None:
        """Let it go on."""

    @abstractmethod
    def stop(self) -> None:
        """Make sure that it has ended. May be called again."""

    # -- for those that feed it ---------------------------------------------------------------

    def _heard(self, line: bytes) -> None:
        """It logged a line."""
        with self._news:
            self._lines.append(line.decode("utf-8", "surrogateescape").rstrip("\n"))
            self._news.notify_all()

    def _silent(self) -> None:
        """It will never log anything again."""
        with self._news:
            self._ended = True
            self._news.notify_all()

    def _hang_up(self) -> None:
        """Close our connection to it."""
        if self._client is not None:
            self._client.close()


def _status(members: Mapping[str, Member], name: str) -> str:
    return str(members[name].status) if name in members else "gone"
