"""What streams, monitors and running queries carry, record by record (spec agent §4.6.12, 14, 16)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from serfcompat.errors import WireError
from serfcompat.rpc.codec import Layout, binary, boolean, list_of, text, uint64
from serfcompat.rpc.replies import Body, member_fields, member_of
from serfcompat.serf.events import EventType, MemberEvent, UserEvent


@dataclass(frozen=True, slots=True)
class LogRecord(Body):
    """One log entry, without its final newline."""

    LAYOUT: ClassVar = Layout(Log=("log", text))

    log: str = ""


@dataclass(frozen=True, slots=True)
class QueryRecord(Body):
    """What a running query brings: acks and responses, then `done` once (spec agent §4.6.16)."""

    ACK: ClassVar = "ack"
    RESPONSE: ClassVar = "response"
    DONE: ClassVar = "done"
    LAYOUT: ClassVar = Layout(Type=("type", text), From=("from_", text), Payload=("payload", binary))

    type: str = ""
    from_: str = ""
    payload: bytes | None = None


@dataclass(frozen=True, slots=True)
class StreamedQuery:
    """A query somebody asks, as a stream tells it. Answer on the same connection with `id`."""

    id: int
    "Counts from 1 on each connection; not the query's id in the cluster."
    ltime: int
    name: str
    payload: bytes | None

    @property
    def type(self) -> EventType:
        return EventType.QUERY

    def __str__(self) -> str:
        return f"query: {self.name}"


StreamedEvent = MemberEvent | UserEvent | StreamedQuery
_USER = Layout(
    LTime=("ltime", uint64), Name=("name", text), Payload=("payload", binary), Coalesce=("coalesce", boolean)
)
_QUERY = Layout(ID=("id", uint64), LTime=("ltime", uint64), Name=("name", text), Payload=("payload", binary))
_EVENT_TYPES = {str(kind): kind for kind in EventType}


def event_fields(event: StreamedEvent) -> dict[str, Any]:
    """The record that a stream carries for an event (spec agent §4.6.12)."""
    if isinstance(event, MemberEvent):
        return {"Event": str(event), "Members": [member_fields(member) for member in event.members]}
    if isinstance(event, UserEvent):
        return {
            "Coalesce": event.coalesce,
            "Event": "user",
            "LTime": event.ltime,
            "Name": event.name,
            "Payload": event.payload,
        }
    return {"Event": "query", "ID": event.id, "LTime": event.ltime, "Name": event.name, "Payload": event.payload}


def event_of(data: Any) -> StreamedEvent:
    """The event in a stream's record. Raises WireError, also for kinds of events that nobody sends."""
    kind = _EVENT_TYPES.get(text(data.get("Event"))) if isinstance(data, dict) else None
    match kind:
        case None:
            raise WireError("record", "no kind of event that is known")
        case EventType.USER:
            return UserEvent(**_USER.decode(data, ltime=0, name="", payload=None, coalesce=False))
        case EventType.QUERY:
            return StreamedQuery(**_QUERY.decode(data, id=0, ltime=0, name="", payload=None))
        case _:
            return MemberEvent(kind, list_of(member_of)(data.get("Members")))
