"""Handlers of events: who wants which, and the thread in which they run, one after the other."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from serfcompat.agent.event_filter import EventFilter, parse_filter
from serfcompat.errors import SerfCompatError, UsageError
from serfcompat.rpc.client import Client
from serfcompat.serf.events import EventType, MemberEvent, UserEvent

log = logging.getLogger("serfcompat.contrib")
MOST_WAITING = 65536
"Events that may wait for slow handlers. What comes then is dropped, and told as a gap."

Handler = Callable[[Any], Any]
Per = Literal["worker", "host"]


@dataclass(frozen=True, slots=True)
class Gap:
    """Events may have been missed: the connection to the member was lost and is back, or handlers were too slow."""

    seconds: float
    "How long nothing was heard; 0 if handlers were too slow."


@dataclass(frozen=True, slots=True)
class Query:
    """A question that somebody asked the cluster."""

    name: str
    payload: bytes | None
    ltime: int
    id: int
    "Its number on the connection that it came by."
    client: Client = field(repr=False, compare=False)
    "That connection: no other knows the number."

    @property
    def type(self) -> EventType:
        return EventType.QUERY

    def respond(self, payload: bytes | None = None) -> None:
        """Answer for this host. Only the first answer of all its workers counts; the others get RPCError."""
        self.client.respond(self.id, payload)

    def __str__(self) -> str:
        return f"query: {self.name}"


LocalEvent = MemberEvent | UserEvent | Query | Gap


@dataclass(frozen=True, slots=True)
class Wish:
    """One handler, and what it is for."""

    filters: tuple[EventFilter, ...]
    "None: gaps."
    handler: Handler
    per: Per


class Handlers:
    """Those of one process. They are told events in order, in a thread of their own that starts with the first one."""

    def __init__(self, leads: Callable[[], bool]) -> None:
        """`leads`: whether this worker speaks for its host."""
        self._leads = leads
        self._wishes: tuple[Wish, ...] = ()
        self.forget_thread()

    def forget_thread(self) -> None:
        """In a forked child: the thread stayed with the parent, and what waited for it is the parent's."""
        self._waiting: queue.Queue[LocalEvent] = queue.Queue(MOST_WAITING)
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._missed = False

    def add(self, filters: str, handler: Handler, per: Per) -> None:
        """`filters` as for streams: `user:deploy,member-failed`; a bare name means a user event of that name.

        Raises UsageError for a filter that can't match.
        """
        if per not in ("worker", "host"):
            raise UsageError(f'a handler is for each worker or one for each host: per="worker" or "host", not {per!r}')
        parsed = tuple(each if each.valid else _named(each.event) for each in parse_filter(filters))
        self._wishes += (Wish(parsed, handler, per),)

    def add_for_gaps(self, handler: Handler) -> None:
        self._wishes += (Wish((), handler, "worker"),)

    def put(self, event: LocalEvent) -> None:
        """Hand an event to whoever wants it. Never blocks."""
        if not any(_wants(wish, event) for wish in self._wishes):
            return
        if self._missed and not self._waiting.full():
            self._missed = False
            self._waiting.put_nowait(Gap(0.0))
        try:
            self._waiting.put_nowait(event)
        except queue.Full:
            self._missed = True
        self._ensure_thread()

    def _ensure_thread(self) -> None:
        if self._thread is None:
            with self._starting:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="serfcompat-handlers", daemon=True)
                    self._thread.start()

    def _run(self) -> None:
        waiting = self._waiting
        while True:
            event = waiting.get()
            for wish in self._wishes:
                if _wants(wish, event) and (wish.per == "worker" or self._leads()):
                    self._call(wish.handler, event)

    def _call(self, handler: Handler, event: LocalEvent) -> None:
        try:
            answer = handler(event)
        except Exception:  # one event must not be the last one
            log.exception("contrib: a handler failed for %s", event)
            return
        if isinstance(event, Query) and isinstance(answer, (bytes, str)):
            try:
                event.respond(answer.encode() if isinstance(answer, str) else answer)
            except SerfCompatError as error:  # most often: another worker of this host was faster
                log.debug("contrib: no answer to %s: %s", event, error)


def _wants(wish: Wish, event: LocalEvent) -> bool:
    if isinstance(event, Gap):
        return not wish.filters
    return any(each.matches(event) for each in wish.filters)


def _named(name: str) -> EventFilter:
    if not name or ":" in name or name.startswith(("member-", "user", "query")):
        raise UsageError(
            f"no such event: {name!r}; say the name of a user event, or user:NAME, query:NAME, member-join, "
            "member-leave, member-failed, member-update, member-reap, or *"
        )
    return EventFilter("user", name)
