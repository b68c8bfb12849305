"""`FakeSerf`: one object with `Serf`'s calls and no cluster behind it, for unit tests of an application.

    serf = FakeSerf(members=[member("web1", tags={"role": "web"}), member("web2", status="failed")])
    application = Application(serf)
    serf.happen(MemberEvent(EventType.MEMBER_FAILED, (member("web1"),)))
    assert application.backends == []
    assert serf.calls == [("user_event", "rebalance", b"")]

It believes what it is told: nothing is sent, nothing takes time, and no rule of the
protocol is checked. To see your program in a real cluster, use `virtual_time`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Self

from serfcompat.errors import DeadlineExceeded, JoinError, StateError
from serfcompat.runtime.channel import Channel
from serfcompat.runtime.query import QueryResponses
from serfcompat.runtime.subscribers import Subscriber, wanted
from serfcompat.serf.config import Config
from serfcompat.serf.events import Event, MemberEvent, QueryEvent, UserEvent
from serfcompat.serf.member import Member, MemberStatus
from serfcompat.serf.selection import leader, matching
from serfcompat.serf.state import SerfState
from serfcompat.wire.address import ip_bytes

Answer = Mapping[str, bytes | None] | Callable[[bytes | None], Mapping[str, bytes | None]]
"What each node answers to a query: a mapping from its name, or a function of the query's payload."

_NO_HOME = -1
"No thread: whoever waits for an event waits natively, or as a greenlet if it is one."


def member(
    name: str,
    *,
    addr: str = "10.0.0.1",
    port: int = 7946,
    tags: Mapping[str, str] | None = None,
    status: str | MemberStatus = MemberStatus.ALIVE,
) -> Member:
    """A member with the versions that today's nodes have. `status` may be a word like `failed`."""
    if isinstance(status, str):
        status = MemberStatus[status.upper()]
    return Member(name, addr, port, dict(tags or {}), status, 1, 5, 2, 2, 5, 4, addr_bytes=ip_bytes(addr))


class FakeSerf:
    """Scripted members and events, and a record of every call."""

    def __init__(
        self, members: Iterable[Member] = (), *, name: str = "me", answers: Mapping[str, Answer] | None = None
    ) -> None:
        """
        Args:
            members: Who is known, beside ourselves.
            name: Our own name; a member of that name in `members` is ourselves.
            answers: Query name → what the nodes answer.
        """
        self.config = Config(node_name=name)
        self.answers: dict[str, Answer] = dict(answers or {})
        self.calls: list[tuple[Any, ...]] = []
        "What the application did: (name of the call, its arguments)."
        self.responses: list[tuple[QueryEvent, bytes | None]] = []
        "What the application answered to queries."
        self.unreachable: set[str] = set()
        "Addresses that `join` shall not reach."
        self.state = SerfState.ALIVE
        self._members = {one.name: one for one in members}
        self._members.setdefault(name, member(name))
        self._subscribers: list[Subscriber] = []
        self._handlers: list[tuple[Subscriber, Callable[[Event], object]]] = []
        self._queries = 0

    # -- what a test does ---------------------------------------------------------------------

    def happen(self, event: Event) -> None:
        """Let the application hear of something. A member event also changes who is known.

        Handlers that were given to `on` have returned when this does.
        """
        if isinstance(event, MemberEvent):
            for one in event.members:
                if str(event) == "member-reap":
                    self._members.pop(one.name, None)
                else:
                    self._members[one.name] = one
        for subscriber in self._subscribers:
            if subscriber.wants(event):
                subscriber.channel.put(event)
        for subscriber, handler in list(self._handlers):
            if subscriber.wants(event) and not subscriber.channel.closed:
                handler(event)

    def set_members(self, members: Iterable[Member]) -> None:
        """Change who is known, without an event."""
        self._members = {one.name: one for one in members}
        self._members.setdefault(self.config.node_name, member(self.config.node_name))

    # -- what an application does -------------------------------------------------------------

    def start(self) -> Self:
        self.calls.append(("start",))
        return self

    def leave(self) -> None:
        self.calls.append(("leave",))
        self.state = SerfState.LEFT

    def shutdown(self) -> None:
        self.calls.append(("shutdown",))
        self.state = SerfState.SHUTDOWN
        for subscriber in self._subscribers:
            subscriber.channel.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.shutdown()

    def join(self, addresses: Sequence[str], ignore_old: bool = False) -> int:
        """How many of the addresses are not `unreachable`. Raises JoinError if none is."""
        self.calls.append(("join", list(addresses)))
        failures = [f"Failed to join {address}: unreachable" for address in addresses if address in self.unreachable]
        if failures and len(failures) == len(addresses):
            raise JoinError(failures)
        return len(addresses) - len(failures)

    def members(
        self,
        *,
        status: MemberStatus | str | None = None,
        tags: Mapping[str, str] | None = None,
        name: str | None = None,
    ) -> list[Member]:
        if self.state is SerfState.SHUTDOWN:
            raise StateError("this node was shut down")
        matches = matching(status=status, tags=tags, name=name)
        return [one for one in self._members.values() if matches(one)]

    def wait_for(
        self, members: int = 1, *, tags: Mapping[str, str] | None = None, timeout: float | None = None
    ) -> list[Member]:
        """Those who match, if they are enough. Raises DeadlineExceeded at once otherwise: nobody else will come."""
        found = self.members(status=MemberStatus.ALIVE, tags=tags)
        if len(found) < members:
            raise DeadlineExceeded(f"{len(found)} alive members match, {members} were waited for")
        return found

    def leader(self, *, tags: Mapping[str, str] | None = None) -> Member | None:
        return leader(self.members(tags=tags))

    def local_member(self) -> Member:
        return self._members[self.config.node_name]

    def set_tags(self, tags: Mapping[str, str]) -> None:
        self.calls.append(("set_tags", dict(tags)))
        me = self.local_member()
        self._members[me.name] = member(me.name, addr=me.addr, port=me.port, tags=tags, status=me.status)

    def remove_failed_node(self, name: str, *, prune: bool = False) -> None:
        self.calls.append(("remove_failed_node", name, prune))
        if prune:
            self._members.pop(name, None)
        elif (one := self._members.get(name)) is not None and one.status is MemberStatus.FAILED:
            self._members[name] = member(name, addr=one.addr, port=one.port, tags=one.tags, status=MemberStatus.LEFT)

    def user_event(
        self,
        name: str,
        payload: bytes | None = None,
        coalesce: bool = False,
        *,
        tags: Mapping[str, str] | None = None,
        block: bool = True,
        timeout: float | None = None,
    ) -> None:
        """Recorded, and heard by the application itself, as in a real cluster, if its own tags match."""
        self.calls.append(("user_event", name, payload))
        if not tags or self.local_member() in self.members(tags=tags):
            self.happen(UserEvent(len(self.calls), name, payload, coalesce))

    def query(self, name: str, payload: bytes | None = None, **options: Any) -> QueryResponses:
        """All answers are there at once. A query that has none in `answers` is answered by nobody."""
        self.calls.append(("query", name, payload))
        self._queries += 1
        answer = self.answers.get(name, {})
        answered = answer(payload) if callable(answer) else answer
        alive = self.members(status=MemberStatus.ALIVE)
        responses = QueryResponses(
            (self._queries, 0),
            home_thread=_NO_HOME,
            request_ack=bool(options.get("request_ack")),
            expected=frozenset(one.name for one in alive),
            until_deadline=True,
            stop=lambda: None,
        )
        for one in alive:
            responses.add_ack(one.name)
        for node, data in answered.items():
            responses.add_response(node, data)
        responses.end()
        return responses

    def respond(self, query: QueryEvent, payload: bytes | None = None) -> None:
        self.responses.append((query, payload))

    def events(self, kinds: Sequence[str] = (), maxsize: int = 0) -> Channel[Event]:
        subscriber = Subscriber(wanted(kinds), Channel(_NO_HOME, maxsize))
        self._subscribers.append(subscriber)
        return subscriber.channel

    def on(
        self, kind: str, handler: Callable[[Event], object], *, maxsize: int = 0, workers: int = 1
    ) -> Channel[Event]:
        """As `Serf.on`; but the handler is called by `happen` itself, so that a test need not wait."""
        subscriber = Subscriber(wanted([kind]), Channel(_NO_HOME, maxsize))
        self._handlers.append((subscriber, handler))
        return subscriber.channel

    def stats(self) -> dict[str, str]:
        return {"members": str(len(self._members))}
