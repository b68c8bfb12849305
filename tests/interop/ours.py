"""Our node inside the test's process, listened to and waited for like an agent's process."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar

from serfcompat import Config, Event, Member, QueryEvent, Serf
from tests.interop.cases import LIMIT

ASK_AGAIN = 0.1
"Seconds after which the node is asked again although nothing happened."
T = TypeVar("T")


class Ours:
    """A started node of ours."""

    def __init__(
        self, name: str, host: str, profile: str, answers: Mapping[str, bytes | None], config: Mapping[str, Any]
    ) -> None:
        """
        Args:
            profile: `local` or `lan`.
            answers: Name of a query to the payload that answers it. Other queries go unanswered.
            config: Beside name and address.
        """
        self.name, self.host, self.gossip = name, host, f"{host}:7946"
        self._answers = dict(answers)
        self._news = threading.Condition()
        self._lines: list[str] = []
        self._heard: list[Event] = []
        logger = kept_log(f"{name} at {host}", self._log_line)
        make = Config.lan if profile == "lan" else Config.local
        own = {"node_name": name, "bind_addr": host, "protocol_version": 5, "logger": logger}
        self.serf = Serf(make(**(own | config)), home="thread")
        self.serf.start()
        self._thread = threading.Thread(target=self._listen, args=(self.serf.events(maxsize=0),), name=name)
        self._thread.start()

    def __repr__(self) -> str:
        return f"<our node {self.name!r} at {self.gossip}>"

    @property
    def log(self) -> list[str]:
        """All that it logged, line by line."""
        with self._news:
            return list(self._lines)

    @property
    def heard(self) -> list[Event]:
        """All events so far."""
        with self._news:
            return list(self._heard)

    def members(self) -> dict[str, Member]:
        """Its members by name."""
        return {member.name: member for member in self.serf.members()}

    def stop(self) -> None:
        """End without a word to the others, as if killed. May be called again."""
        self.serf.shutdown()
        self._thread.join()

    # -- waiting; TimeoutError says what was waited for --------------------------------------

    def wait_for_log(self, pattern: str, *, limit: float = LIMIT, since: int = 0) -> str:
        """The first line after `since` lines that has the regular expression."""
        wanted = re.compile(pattern)
        found = self.wait_until(
            lambda: next(filter(wanted.search, self.log[since:]), None), lambda line: line is not None, limit=limit
        )
        assert found is not None
        return found

    def wait_for_members(self, wanted: Mapping[str, str], *, limit: float = LIMIT) -> dict[str, Member]:
        """Its members, once those named have these statuses."""

        def right(members: dict[str, Member]) -> bool:
            return all(name in members and str(members[name].status) == status for name, status in wanted.items())

        return self.wait_until(self.members, right, limit=limit)

    def wait_for_event(self, wanted: Callable[[Event], bool], *, limit: float = LIMIT) -> Event:
        """The first event, of those heard already and those to come, that is wanted."""
        found = self.wait_until(
            lambda: next(filter(wanted, self.heard), None), lambda event: event is not None, limit=limit
        )
        assert found is not None
        return found

    def wait_until(self, ask: Callable[[], T], right: Callable[[T], bool], *, limit: float = LIMIT) -> T:
        """Ask, now and whenever something happens, until the answer is right."""
        deadline = time.monotonic() + limit
        while not right(answer := ask()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.name}, after {limit:g} s: {answer}")
            with self._news:
                self._news.wait(ASK_AGAIN)
        return answer

    # -- inside -------------------------------------------------------------------------------

    def _listen(self, events: Any) -> None:
        for event in events:
            with self._news:
                self._heard.append(event)
                self._news.notify_all()
            if isinstance(event, QueryEvent) and event.name in self._answers:
                self.serf.respond(event, self._answers[event.name])

    def _log_line(self, line: str) -> None:
        with self._news:
            self._lines.append(line)
            self._news.notify_all()


def kept_log(name: str, keep: Callable[[str], None]) -> logging.Logger:
    """A logger that hands each line to a callable, in the form that Go agents print, and to nobody else."""
    logger = logging.Logger(name, logging.DEBUG)  # outside the tree of loggers
    logger.addHandler(_Keep(keep))
    return logger


class _Keep(logging.Handler):
    LEVELS: ClassVar = {"WARNING": "WARN", "ERROR": "ERR"}

    def __init__(self, keep: Callable[[str], None]) -> None:
        super().__init__()
        self._keep = keep

    def emit(self, record: logging.LogRecord) -> None:
        when = time.strftime("%Y/%m/%d %H:%M:%S", time.localtime(record.created))
        level = self.LEVELS.get(record.levelname, record.levelname)
        self._keep(f"{when}.{record.msecs:03.0f} [{level}] {record.getMessage()}")
