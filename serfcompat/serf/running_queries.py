"""Queries of ours that still take answers (spec serf §6.7, §6.8)."""

from __future__ import annotations

from collections.abc import Callable

_MORE_ANSWERS = 1024
"Names to remember per query beyond four times the cluster's size: room for growth, but not without end."


class Answers:
    """One of a query's two streams, acks or responses: who is in it, and whether there is room for more.

    ⚠ Room is a matter of what the application has not taken yet, not of what arrived: a
    query whose answers are read may hear of more nodes than were alive when it began.
    """

    __slots__ = ("_most", "from_", "room")

    def __init__(self, capacity: int) -> None:
        self.from_: set[bytes] = set()
        self.room = capacity
        self._most = 4 * capacity + _MORE_ANSWERS

    def accept(self, from_: bytes) -> bool:
        """Take one more; False if it must be dropped, and then its sender counts as not heard."""
        if self.room <= 0 or len(self.from_) >= self._most:
            return False
        self.room -= 1
        self.from_.add(from_)
        return True


class RunningQuery:
    """A query that was sent, and who has answered it."""

    __slots__ = ("acks", "closed", "deadline_ns", "id", "ltime", "on_close", "on_response", "responses")

    def __init__(self, ltime: int, id: int, deadline_ns: int, capacity: int, *, request_ack: bool) -> None:
        self.ltime = ltime
        self.id = id
        self.deadline_ns = deadline_ns
        self.acks = Answers(capacity) if request_ack else None
        self.responses = Answers(capacity)
        self.closed = False
        self.on_response: Callable[[bytes, bytes | None], None] | None = None
        "Who hears the responses instead of the application."
        self.on_close: Callable[[int], None] | None = None

    @property
    def key(self) -> tuple[int, int]:
        return (self.ltime, self.id)

    def finished(self, now_ns: int) -> bool:
        """Whether nothing more is taken (upstream `Finished`)."""
        return self.closed or now_ns > self.deadline_ns


class RunningQueries:
    """The running queries by Lamport time, and which queries of others were answered."""

    _ANSWERED = 4096
    "Answered queries to remember, so that a second answer is refused. Only our own answers count."

    def __init__(self) -> None:
        self._by_ltime: dict[int, RunningQuery] = {}
        self._answered: dict[tuple[int, int], None] = {}

    def add(self, query: RunningQuery) -> None:
        self._by_ltime[query.ltime] = query

    def get(self, ltime: int) -> RunningQuery | None:
        return self._by_ltime.get(ltime)

    def pop(self, ltime: int) -> RunningQuery | None:
        return self._by_ltime.pop(ltime, None)

    def answered(self, key: tuple[int, int]) -> bool:
        return key in self._answered

    def set_answered(self, key: tuple[int, int]) -> None:
        self._answered[key] = None
        if len(self._answered) > self._ANSWERED:
            del self._answered[next(iter(self._answered))]
