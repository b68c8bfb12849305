"""What an application hears from Serf (spec serf §8.1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from serfcompat.serf.member import Member
from serfcompat.wire.address import Address


class EventType(IntEnum):
    """Kinds of events; `str()` is the name used by the CLI, RPC and event handlers."""

    MEMBER_JOIN = 0
    MEMBER_LEAVE = 1
    MEMBER_FAILED = 2
    MEMBER_UPDATE = 3
    MEMBER_REAP = 4
    USER = 5
    QUERY = 6

    def __str__(self) -> str:
        return self.name.lower().replace("_", "-")


@dataclass(frozen=True, slots=True)
class MemberEvent:
    """Members joined, left, failed, were updated or reaped. One member unless coalesced."""

    type: EventType
    members: tuple[Member, ...]

    def __str__(self) -> str:
        return str(self.type)


@dataclass(frozen=True, slots=True)
class UserEvent:
    """Somebody's `user_event`, delivered at most once per node."""

    ltime: int
    "Lamport time of the event clock."
    name: str
    payload: bytes | None
    coalesce: bool
    "May be merged with others of its name: only the newest matters."

    @property
    def type(self) -> EventType:
        return EventType.USER

    def __str__(self) -> str:
        return f"user-event: {self.name}"


@dataclass(frozen=True, slots=True)
class QueryEvent:
    """Somebody's query that this node's filters match. Answer it with `Serf.respond(query, payload)`."""

    ltime: int
    id: int
    name: str
    payload: bytes | None
    source: Address = field(repr=False)
    "Where the answer goes."
    source_node: str
    "Name of the asking node; empty from Serf before 0.9.0."
    deadline_ns: int = field(repr=False)
    "On this node's clock; later answers are refused."
    relay_factor: int = 0
    large_answers: bool = False
    "Whether the asker can fetch answers of up to 16 MiB."

    @property
    def type(self) -> EventType:
        return EventType.QUERY

    def __str__(self) -> str:
        return f"query: {self.name}"


Event = MemberEvent | UserEvent | QueryEvent
