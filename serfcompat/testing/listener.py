"""What an agent tells its RPC clients, collected while a test does other things."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Self

from serfcompat.errors import AgentUnreachable, RPCError
from serfcompat.rpc.client import Client
from serfcompat.rpc.records import StreamedEvent, StreamedQuery
from serfcompat.serf.events import MemberEvent, UserEvent

PATIENCE = 60.0
"""Seconds, four push/pulls of profile local: they bring what gossip missed, as it does now and then."""


class Listener:
    """Follows an agent's event stream, on a connection and a thread of its own, until it is closed.

    It answers queries, which works alike for every kind of agent.
    """

    def __init__(self, address: str, *, answers: Mapping[str, bytes | None] | None = None) -> None:
        """
        Args:
            address: The agent's RPC address.
            answers: Name of a query to the payload that answers it. Other queries go unanswered.
        """
        self._answers = dict(answers or {})
        self._heard: list[StreamedEvent] = []
        self._news = threading.Condition()
        self._client = Client(address)
        self._records = self._client.stream("*")
        # ⚠ A Go agent begins to stream just after it has said so; it takes the next request when that is done.
        self._client.stats()
        self._thread = threading.Thread(target=self._listen, name=f"events of {address}", daemon=True)
        self._thread.start()

    @property
    def heard(self) -> list[StreamedEvent]:
        """All events so far."""
        with self._news:
            return list(self._heard)

    def wait_for(self, wanted: Callable[[StreamedEvent], bool], *, limit: float = PATIENCE) -> StreamedEvent:
        """The first event, of those heard already and those to come, that is wanted. TimeoutError: none was."""
        deadline = time.monotonic() + limit
        seen = 0
        with self._news:
            while True:
                for event in self._heard[seen:]:
                    if wanted(event):
                        return event
                seen = len(self._heard)
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"not among the {seen} events of {limit:g} s: {[str(e) for e in self._heard]}")
                self._news.wait(left)

    def wait_for_user_event(self, name: str, *, limit: float = PATIENCE) -> UserEvent:
        """The user event of that name."""
        event = self.wait_for(lambda event: isinstance(event, UserEvent) and event.name == name, limit=limit)
        assert isinstance(event, UserEvent)
        return event

    def wait_for_member_event(self, kind: str, name: str, *, limit: float = PATIENCE) -> MemberEvent:
        """The event of that kind, such as `member-failed`, that has the member in it."""

        def wanted(event: StreamedEvent) -> bool:
            return isinstance(event, MemberEvent) and str(event) == kind and name in {m.name for m in event.members}

        event = self.wait_for(wanted, limit=limit)
        assert isinstance(event, MemberEvent)
        return event

    def close(self) -> None:
        """Stop listening. May be called again."""
        self._client.close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _listen(self) -> None:
        try:
            for event in self._records:
                with self._news:
                    self._heard.append(event)
                    self._news.notify_all()
                if isinstance(event, StreamedQuery) and event.name in self._answers:
                    self._answer(event)
        except AgentUnreachable:
            pass  # the agent ended, or we were closed

    def _answer(self, query: StreamedQuery) -> None:
        try:
            self._client.respond(query.id, self._answers[query.name])
        except AgentUnreachable:
            raise
        except RPCError:
            pass  # too late; whoever asked will miss the answer
