"""A node without a network: records what it is told, and says what a test wants."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence

from gevent.queue import Queue

from serfcompat.errors import PayloadTooLarge, SerfCompatError, StateError
from serfcompat.runtime.query import NodeResponse
from serfcompat.serf.events import Event, QueryEvent
from serfcompat.serf.key_responses import KeyResult
from serfcompat.serf.member import Member, MemberStatus
from serfcompat.serf.vivaldi import Coordinate
from serfcompat.wire.address import Address

END = object()


def member(name: str = "n1", status: MemberStatus = MemberStatus.ALIVE, **tags: str) -> Member:
    return Member(name, "10.0.0.1", 7946, tags, status, 1, 5, 2, 2, 5, 5, b"\x0a\0\0\1")


def query_event(name: str = "load", payload: bytes | None = None, seconds: float = 10.0) -> QueryEvent:
    deadline = time.monotonic_ns() + int(seconds * 1e9)
    return QueryEvent(1, 2, name, payload, Address(b"\x0a\0\0\1", 7946), "n1", deadline)


class FakeResponses:
    """A query's answers: those given, then the end."""

    def __init__(self, acks: Sequence[str] = (), responses: Sequence[NodeResponse] = ()) -> None:
        self._acks, self._responses = acks, responses
        self.closed = False

    def __iter__(self) -> Iterator[NodeResponse]:
        return iter(self._responses)

    def acks(self) -> Iterator[str]:
        return iter(self._acks)

    def close(self) -> None:
        self.closed = True


class FakeEvents:
    """A subscription that a test fills."""

    def __init__(self) -> None:
        self.queue: Queue[object] = Queue()

    def __iter__(self) -> Iterator[Event]:
        while (event := self.queue.get()) is not END:
            yield event  # type: ignore[misc]

    def close(self) -> None:
        self.queue.put(END)


class FakeSerf:
    """Implements `serfcompat.agent.node.Node`."""

    def __init__(self, *members: Member) -> None:
        self.table = list(members) or [member()]
        self.calls: list[tuple[object, ...]] = []
        "What it was asked to do, in order."
        self.fail: SerfCompatError | None = None
        "Raised by the next call that may fail."
        self.answers = FakeResponses()
        self.subscription = FakeEvents()
        self.keys = self

    def _call(self, *call: object) -> None:
        self.calls.append(call)
        if self.fail is not None:
            error, self.fail = self.fail, None
            raise error

    def emit(self, event: Event) -> None:
        self.subscription.queue.put(event)

    # -- Node ---------------------------------------------------------------------------------

    def start(self) -> None:
        self._call("start")

    def shutdown(self) -> None:
        self._call("shutdown")
        self.subscription.close()

    def join(self, addresses: Sequence[str], ignore_old: bool = False) -> int:
        self._call("join", list(addresses), ignore_old)
        return len(addresses)

    def leave(self) -> None:
        self._call("leave")

    def members(self) -> list[Member]:
        return self.table

    def local_member(self) -> Member:
        return self.table[0]

    def set_tags(self, tags: Mapping[str, str]) -> None:
        self._call("set_tags", dict(tags))

    def remove_failed_node(self, name: str, *, prune: bool = False) -> None:
        self._call("remove_failed_node", name, prune)

    def user_event(
        self,
        name: str,
        payload: bytes | None = None,
        coalesce: bool = False,
        *,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        self._call("user_event", name, payload, coalesce, *([dict(tags)] if tags else []))
        if len(name) > 512:
            raise PayloadTooLarge("too large", limit=512, size=len(name))

    def query(self, name: str, payload: bytes | None = None, **options: object) -> FakeResponses:
        self._call("query", name, payload, options)
        return self.answers

    def respond(self, query: QueryEvent, payload: bytes | None = None) -> None:
        self._call("respond", query.name, payload)

    def events(self, *, maxsize: int) -> FakeEvents:
        return self.subscription

    def stats(self) -> Mapping[str, str]:
        return {"members": str(len(self.table))}

    def cached_coordinate(self, name: str) -> Coordinate | None:
        return None

    # -- Keys ---------------------------------------------------------------------------------

    def install(self, key: str) -> KeyResult:
        self._call("install", key)
        return KeyResult(1, 1)

    use = remove = install

    def list(self) -> KeyResult:
        self._call("list")
        return KeyResult(1, 1, keys={"key": 1})


NOT_RUNNING = StateError("this node was shut down")
