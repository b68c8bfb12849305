"""As much of `serfcompat.Serf` as the agent uses, so that its tests can do without a network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from serfcompat.serf.events import Event, QueryEvent
from serfcompat.serf.key_responses import KeyResult
from serfcompat.serf.member import Member
from serfcompat.serf.vivaldi import Coordinate


class Response(Protocol):
    """One node's answer to a query."""

    @property
    def from_(self) -> str: ...

    @property
    def payload(self) -> bytes | None: ...


class Responses(Protocol):
    """What a query brings; both iterations end when its time is over."""

    def __iter__(self) -> Iterator[Response]: ...

    def acks(self) -> Iterator[str]: ...

    def close(self) -> None: ...


class Keys(Protocol):
    """Key operations on the whole cluster."""

    def install(self, key: str) -> KeyResult: ...

    def use(self, key: str) -> KeyResult: ...

    def remove(self, key: str) -> KeyResult: ...

    def list(self) -> KeyResult: ...


class Events(Iterable[Event], Protocol):
    """A subscription."""

    def close(self) -> None: ...


class Node(Protocol):
    """A member of a cluster. Errors are SerfCompatError with Go's texts."""

    def start(self) -> object: ...

    def shutdown(self) -> None: ...

    def join(self, addresses: Sequence[str], ignore_old: bool = False) -> int: ...

    def leave(self) -> None: ...

    def members(self) -> list[Member]: ...

    def local_member(self) -> Member: ...

    def set_tags(self, tags: Mapping[str, str]) -> None: ...

    def remove_failed_node(self, name: str, *, prune: bool = False) -> None: ...

    def user_event(
        self,
        name: str,
        payload: bytes | None = None,
        coalesce: bool = False,
        *,
        tags: Mapping[str, str] | None = None,
    ) -> None: ...

    def query(
        self,
        name: str,
        payload: bytes | None = None,
        *,
        filter_nodes: Sequence[str] = (),
        filter_tags: Mapping[str, str] | None = None,
        request_ack: bool = False,
        relay_factor: int = 0,
        timeout: float | None = None,
        until_deadline: bool = False,
    ) -> Responses: ...

    def respond(self, query: QueryEvent, payload: bytes | None = None) -> None: ...

    def events(self, *, maxsize: int) -> Events: ...

    @property
    def keys(self) -> Keys: ...

    def stats(self) -> Mapping[str, str]: ...

    def cached_coordinate(self, name: str) -> Coordinate | None: ...
