"""The answers to a query of ours, as the caller takes them (upstream `QueryResponse`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Self

from serfcompat.runtime.channel import Channel


@dataclass(frozen=True, slots=True)
class NodeResponse:
    """One node's answer."""

    from_: str
    payload: bytes | None


class QueryResponses:
    """Iterating yields each answer as it comes.

    It ends as soon as every node that the query asks has answered, and at the latest when
    the query's time is over; that is no error.
    """

    def __init__(
        self,
        key: tuple[int, int],
        *,
        home_thread: int,
        request_ack: bool,
        expected: frozenset[str],
        until_deadline: bool,
        stop: Callable[[], None],
        large: bool = False,
    ) -> None:
        """Made by `Serf.query`."""
        self.key = key
        "(Lamport time, id): names the query in the whole cluster."
        self.expected = expected
        "Members that were alive, and matched the filters, when the query was asked."
        self._until_deadline = until_deadline
        self.large = large
        "Whether answers may be references to larger ones."
        self.fetching = 0
        "Large answers on their way."
        self._over = False
        self._answered: set[str] = set()
        self._stop = stop
        # Unbounded here: the engine takes each node's answer once, and no more than fit (spec serf §6.7).
        self._responses: Channel[NodeResponse] = Channel(home_thread)
        self._acks: Channel[str] | None = Channel(home_thread) if request_ack else None

    def __iter__(self) -> Iterator[NodeResponse]:
        return iter(self._responses)

    def acks(self) -> Iterator[str]:
        """Names of the nodes that the query reached, as they come. Nothing, unless acks were asked for."""
        return iter(()) if self._acks is None else iter(self._acks)

    @property
    def missing(self) -> frozenset[str]:
        """Expected nodes that have not answered yet."""
        return self.expected - self._answered

    @property
    def finished(self) -> bool:
        """Whether nothing more will come."""
        return self._responses.closed

    @property
    def untaken(self) -> int:
        """Answers that are there and were not taken yet."""
        return len(self._responses)

    def get(self, timeout: float | None = None) -> NodeResponse:
        """The next answer. Raises TimeoutError, or EOFError when the query is over."""
        return self._responses.get(timeout)

    def close(self) -> None:
        """Take no more answers."""
        self._stop()
        self.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- filled by the node -------------------------------------------------------------------

    def add_response(self, from_: str, payload: bytes | None) -> None:
        self._responses.put(NodeResponse(from_, payload))
        self._answered.add(from_)
        if not self._until_deadline and self.expected and not self.missing:
            self.close()

    def add_ack(self, from_: str) -> None:
        if self._acks is not None:
            self._acks.put(from_)

    def end_when_fetched(self) -> None:
        """The query's time is over; answers that came in time may still be on their way."""
        self._over = True
        if not self.fetching:
            self.end()

    def fetched(self) -> None:
        """A large answer is there, or will never be."""
        self.fetching -= 1
        if self._over and not self.fetching:
            self.end()

    def abandon(self) -> None:
        for channel in (self._responses, self._acks):
            if channel is not None:
                channel.abandon()

    def end(self) -> None:
        self._responses.close()
        if self._acks is not None:
            self._acks.close()
