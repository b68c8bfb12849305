"""The requests of the RPC protocol, and the headers of both directions (spec agent §4).

A connection carries, in each direction, header after header, each followed by a body if its command
has one. Nothing but the command says whether a body follows, so each request names its reply here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar, Self

from serfcompat.rpc.codec import Layout, binary, boolean, int32, int64, list_of, map_of, pack, text, uint8, uint64
from serfcompat.rpc.replies import Body, CoordinateReply, JoinReply, KeyReply, MembersReply, StatsReply
from serfcompat.wire.frozen import quick_maker

VERSION = 1
"The only version of the protocol there has ever been (IPC version)."
UNSUPPORTED_COMMAND = "Unsupported command"
UNSUPPORTED_VERSION = "Unsupported IPC version"
DUPLICATE_HANDSHAKE = "Handshake already performed"
HANDSHAKE_REQUIRED = "Handshake required"
MONITOR_EXISTS = "Monitor already exists"
INVALID_FILTER = "Invalid event filter"
STREAM_EXISTS = "Stream with given sequence exists"
INVALID_QUERY_ID = "No pending queries matching ID"
AUTH_REQUIRED = "Authentication required"
INVALID_AUTH_TOKEN = "Invalid authentication token"
BODYLESS_ERRORS = frozenset({AUTH_REQUIRED, HANDSHAKE_REQUIRED, UNSUPPORTED_COMMAND})
"Answers from before the command was looked at: never followed by a body."


@dataclass(frozen=True, slots=True)
class RequestHeader:
    """What to do, and the number that the answer will carry."""

    LAYOUT: ClassVar = Layout(Command=("command", text), Seq=("seq", uint64))

    command: str = ""
    seq: int = 0
    "Chosen by the client, 0 to 2**64 - 1; echoed, not checked."

    def encode(self) -> bytes:
        return pack(self.LAYOUT.encode(self))

    @classmethod
    def decode(cls, data: Any, previous: RequestHeader) -> RequestHeader:
        """Fields that are missing keep their value from the header before (spec agent §4.3)."""
        if type(data) is dict and len(data) == 2:
            command, seq = data.get("Command"), data.get("Seq")
            if type(command) is str and type(seq) is int:
                return _make_request_header(command, uint64(seq))  # as clients send it
        return cls(**cls.LAYOUT.decode(data, command=previous.command, seq=previous.seq))


_make_request_header = quick_maker(RequestHeader)


@dataclass(frozen=True, slots=True)
class ReplyHeader:
    """The outcome of a request, or the sign that a record of a stream follows."""

    LAYOUT: ClassVar = Layout(Seq=("seq", uint64), Error=("error", text))

    seq: int = 0
    error: str = ""
    "Empty on success."

    def encode(self) -> bytes:
        return pack(self.LAYOUT.encode(self)) if self.error else self.success(self.seq)

    @staticmethod
    def success(seq: int) -> bytes:
        """The bytes of a header without error."""
        return _SUCCESS_UNTIL_SEQ + pack(seq)

    @classmethod
    def decode(cls, data: Any) -> Self:
        return cls(*cls.fields(data))

    @classmethod
    def fields(cls, data: Any) -> tuple[int, str]:
        """Number and error. Raises WireError."""
        if type(data) is dict and len(data) == 2:
            seq, error = data.get("Seq"), data.get("Error")
            if type(seq) is int and type(error) is str:
                return seq, error  # as Go sends it, which is always
        found = cls.LAYOUT.decode(data, seq=0, error="")
        return found["seq"], found["error"]


_SUCCESS_UNTIL_SEQ = pack({"Error": "", "Seq": 0}).removesuffix(pack(0))


@dataclass(frozen=True, slots=True)
class Request(Body):
    """A command. Without fields it has no body at all, not even an empty one (spec agent §4.4)."""

    COMMAND: ClassVar[str] = ""
    REPLY: ClassVar[type[Body] | None] = None
    "The body that follows the header of a success."
    BODY_ON_ERROR: ClassVar[bool] = False
    "The body follows the header of a failure as well."

    def encode_with(self, seq: int) -> bytes:
        """Header and body."""
        layout = self.LAYOUT
        if layout.declared:
            return _header_until_seq(self.COMMAND) + pack(seq) + pack(layout.encode(self))
        return _header_until_seq(self.COMMAND) + pack(seq)


@cache
def _header_until_seq(command: str) -> bytes:
    """A request's header as far as it is always the same."""
    return RequestHeader(command).encode().removesuffix(pack(0))


@dataclass(frozen=True, slots=True)
class HandshakeRequest(Request):
    COMMAND: ClassVar = "handshake"
    LAYOUT: ClassVar = Layout(Version=("version", int32))

    version: int = 0


@dataclass(frozen=True, slots=True)
class AuthRequest(Request):
    COMMAND: ClassVar = "auth"
    LAYOUT: ClassVar = Layout(AuthKey=("auth_key", text))

    auth_key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class EventRequest(Request):
    COMMAND: ClassVar = "event"
    LAYOUT: ClassVar = Layout(Name=("name", text), Payload=("payload", binary), Coalesce=("coalesce", boolean))

    name: str = ""
    payload: bytes | None = None
    coalesce: bool = False


@dataclass(frozen=True, slots=True)
class TaggedEventRequest(Request):
    """An event for the members whose tags match. Not Serf's: Go agents answer `Unsupported command`, and hang up."""

    COMMAND: ClassVar = "tagged-event"
    LAYOUT: ClassVar = Layout(
        Name=("name", text), Payload=("payload", binary), FilterTags=("filter_tags", map_of(text))
    )

    name: str = ""
    payload: bytes | None = None
    filter_tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ForceLeaveRequest(Request):
    COMMAND: ClassVar = "force-leave"
    LAYOUT: ClassVar = Layout(Node=("node", text), Prune=("prune", boolean))

    node: str = ""
    prune: bool = False


@dataclass(frozen=True, slots=True)
class JoinRequest(Request):
    COMMAND: ClassVar = "join"
    LAYOUT: ClassVar = Layout(Existing=("existing", list_of(text)), Replay=("replay", boolean))
    REPLY: ClassVar = JoinReply
    BODY_ON_ERROR: ClassVar = True

    existing: Sequence[str] = ()
    replay: bool = False
    "Deliver user events from before the join."


@dataclass(frozen=True, slots=True)
class MembersRequest(Request):
    COMMAND: ClassVar = "members"
    REPLY: ClassVar = MembersReply


@dataclass(frozen=True, slots=True)
class MembersFilteredRequest(Request):
    """Regular expressions, each read as `^` + expression + `$` (spec agent §4.6.10)."""

    COMMAND: ClassVar = "members-filtered"
    LAYOUT: ClassVar = Layout(Tags=("tags", map_of(text)), Status=("status", text), Name=("name", text))
    REPLY: ClassVar = MembersReply

    tags: Mapping[str, str] = field(default_factory=dict)
    status: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class TagsRequest(Request):
    COMMAND: ClassVar = "tags"
    LAYOUT: ClassVar = Layout(Tags=("tags", map_of(text)), DeleteTags=("delete_tags", list_of(text)))

    tags: Mapping[str, str] = field(default_factory=dict)
    delete_tags: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class StreamRequest(Request):
    COMMAND: ClassVar = "stream"
    LAYOUT: ClassVar = Layout(Type=("type", text))

    type: str = ""


@dataclass(frozen=True, slots=True)
class MonitorRequest(Request):
    COMMAND: ClassVar = "monitor"
    LAYOUT: ClassVar = Layout(LogLevel=("log_level", text))

    log_level: str = ""


@dataclass(frozen=True, slots=True)
class StopRequest(Request):
    COMMAND: ClassVar = "stop"
    LAYOUT: ClassVar = Layout(Stop=("stop", uint64))

    stop: int = 0


@dataclass(frozen=True, slots=True)
class LeaveRequest(Request):
    COMMAND: ClassVar = "leave"


@dataclass(frozen=True, slots=True)
class QueryRequest(Request):
    COMMAND: ClassVar = "query"
    LAYOUT: ClassVar = Layout(
        FilterNodes=("filter_nodes", list_of(text)),
        FilterTags=("filter_tags", map_of(text)),
        RequestAck=("request_ack", boolean),
        RelayFactor=("relay_factor", uint8),
        Timeout=("timeout_ns", int64),
        Name=("name", text),
        Payload=("payload", binary),
    )

    filter_nodes: Sequence[str] = ()
    filter_tags: Mapping[str, str] = field(default_factory=dict)
    request_ack: bool = False
    relay_factor: int = 0
    timeout_ns: int = 0
    "0: the agent's default."
    name: str = ""
    payload: bytes | None = None


@dataclass(frozen=True, slots=True)
class RespondRequest(Request):
    COMMAND: ClassVar = "respond"
    LAYOUT: ClassVar = Layout(ID=("id", uint64), Payload=("payload", binary))

    id: int = 0
    payload: bytes | None = None


@dataclass(frozen=True, slots=True)
class KeyRequest(Request):
    LAYOUT: ClassVar = Layout(Key=("key", text))
    REPLY: ClassVar = KeyReply
    BODY_ON_ERROR: ClassVar = True

    key: str = field(default="", repr=False)
    "base64"


@dataclass(frozen=True, slots=True)
class InstallKeyRequest(KeyRequest):
    COMMAND: ClassVar = "install-key"


@dataclass(frozen=True, slots=True)
class UseKeyRequest(KeyRequest):
    COMMAND: ClassVar = "use-key"


@dataclass(frozen=True, slots=True)
class RemoveKeyRequest(KeyRequest):
    COMMAND: ClassVar = "remove-key"


@dataclass(frozen=True, slots=True)
class ListKeysRequest(Request):
    COMMAND: ClassVar = "list-keys"
    REPLY: ClassVar = KeyReply
    BODY_ON_ERROR: ClassVar = True


@dataclass(frozen=True, slots=True)
class StatsRequest(Request):
    COMMAND: ClassVar = "stats"
    REPLY: ClassVar = StatsReply


@dataclass(frozen=True, slots=True)
class CoordinateRequest(Request):
    COMMAND: ClassVar = "get-coordinate"
    LAYOUT: ClassVar = Layout(Node=("node", text))
    REPLY: ClassVar = CoordinateReply

    node: str = ""


REQUESTS: Mapping[str, type[Request]] = {
    request.COMMAND: request
    for request in (
        HandshakeRequest,
        AuthRequest,
        EventRequest,
        TaggedEventRequest,
        ForceLeaveRequest,
        JoinRequest,
        MembersRequest,
        MembersFilteredRequest,
        TagsRequest,
        StreamRequest,
        MonitorRequest,
        StopRequest,
        LeaveRequest,
        QueryRequest,
        RespondRequest,
        InstallKeyRequest,
        UseKeyRequest,
        RemoveKeyRequest,
        ListKeysRequest,
        StatsRequest,
        CoordinateRequest,
    )
}
