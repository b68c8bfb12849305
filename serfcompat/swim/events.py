"""What SWIM tells the layer above: the notifying half of upstream's delegates (spec memberlist §6.19)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from serfcompat.wire.address import Address


class NodeState(IntEnum):
    """Legal transitions: alive → suspect → dead; alive or suspect → left, by its own word; any → alive, if newer."""

    ALIVE = 0
    SUSPECT = 1
    DEAD = 2
    LEFT = 3


@dataclass(frozen=True, slots=True)
class NodeView:
    """A node as it stood when the event was made. Unlike upstream's, `state` is the real one (defect B-6)."""

    name: bytes
    addr: bytes
    port: int
    meta: bytes | None
    vsn: bytes
    "Six bytes: PMin PMax PCur DMin DMax DCur; shorter if the peer gave fewer."
    state: NodeState
    incarnation: int

    @property
    def address(self) -> Address:
        return Address(self.addr, self.port)


@dataclass(frozen=True, slots=True)
class NodeJoined:
    """A node became alive that was unknown, dead or left (NotifyJoin)."""

    node: NodeView


@dataclass(frozen=True, slots=True)
class NodeLeft:
    """A node became dead or left; `node.state` says which (NotifyLeave)."""

    node: NodeView


@dataclass(frozen=True, slots=True)
class NodeUpdated:
    """The metadata bytes of an alive node changed (NotifyUpdate)."""

    node: NodeView


@dataclass(frozen=True, slots=True)
class NodeConflict:
    """Somebody claims a known name from another address (NotifyConflict)."""

    existing: NodeView
    other: NodeView


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """A user message, by packet or stream (NotifyMsg)."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class RemoteStateReceived:
    """The user part of a merged push/pull (MergeRemoteState); never empty."""

    state: bytes
    join: bool


@dataclass(frozen=True, slots=True)
class PingCompleted:
    """A direct ping was answered in time (NotifyPingComplete)."""

    node: NodeView
    rtt_ns: int
    payload: bytes | None


@dataclass(frozen=True, slots=True)
class PingAnswered:
    """A single ping that the caller asked for (`Swim.ping`) is over."""

    seq_no: int
    rtt_ns: int | None
    "None: no answer in time."


SwimEvent = (
    NodeJoined
    | NodeLeft
    | NodeUpdated
    | NodeConflict
    | MessageReceived
    | RemoteStateReceived
    | PingCompleted
    | PingAnswered
)
