"""What a Serf step wants done, beside the effects of SWIM that it passes on.

`swim.effects.Emit` never leaves the Serf engine: it turns each `SwimEvent` into these.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from serfcompat.serf.events import Event
from serfcompat.swim.effects import CancelTimer, Finished, SendPacket, SetTimer, StartPushPull, StartTcpPing
from serfcompat.wire.address import Address


@dataclass(frozen=True, slots=True)
class Deliver:
    """Hand an event to the application."""

    event: Event


@dataclass(frozen=True, slots=True)
class DeliverAck:
    """A node acknowledged our running query."""

    query: tuple[int, int]
    "(ltime, id) of the query."
    from_: str


@dataclass(frozen=True, slots=True)
class DeliverResponse:
    """A node answered our running query."""

    query: tuple[int, int]
    from_: str
    payload: bytes | None


@dataclass(frozen=True, slots=True)
class CloseQuery:
    """Our query's time is over: nothing more will be delivered for it."""

    query: tuple[int, int]


@dataclass(frozen=True, slots=True)
class TimedOut:
    """A call that waits under `token` failed: raise `DeadlineExceeded(reason)` there. Otherwise `Finished` comes."""

    token: Hashable
    reason: str


@dataclass(frozen=True, slots=True)
class Rejoin:
    """Exchange state with a failed member, at memberlist level, no join intent (spec serf §4.9)."""

    to: Address
    name: bytes


@dataclass(frozen=True, slots=True)
class JoinPrevious:
    """Join a node known from the snapshot, at memberlist level, then call `on_previous_joined(ok, now)` (§9.8)."""

    address: str
    "`name/host:port`, or `host:port` without a name; the text of the snapshot, unchecked."


@dataclass(frozen=True, slots=True)
class JoinAgain:
    """Join any of these at memberlist level, like a user would name them; nobody waits for the result (`rejoin`)."""

    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AppendSnapshot:
    """Append to the snapshot file, through a buffer; a failure goes to `on_snapshot_failed` (spec serf §9.6)."""

    data: bytes
    flush: bool
    "Whether to hand the buffer, with this in it, to the system now."


@dataclass(frozen=True, slots=True)
class SyncSnapshot:
    """Flush and fsync the snapshot file, and close it at the node's end; a failure goes to `on_snapshot_failed`."""

    close: bool


@dataclass(frozen=True, slots=True)
class ReplaceSnapshot:
    """Put a new file in the snapshot's place, synced before it is visible, mode 0755 (spec serf §9.6).

    What still is in the buffer is in `data` already. A failure goes to `on_snapshot_failed`.
    """

    data: bytes
    recovery: bool
    "This mends an earlier failure: report success as well, by `on_snapshot_recovered`."


@dataclass(frozen=True, slots=True)
class WriteKeyring:
    """Write the keyring file (mode 0600, in place), then call `on_keyring_written(request, error, now)` (§7.4)."""

    data: bytes
    request: int


@dataclass(frozen=True, slots=True)
class Quit:
    """Shut down without leaving: this node lost a name conflict (spec serf §6.10)."""

    reason: str


SerfEffect = (
    SendPacket
    | SetTimer
    | CancelTimer
    | StartPushPull
    | StartTcpPing
    | Finished
    | TimedOut
    | Deliver
    | DeliverAck
    | DeliverResponse
    | CloseQuery
    | Rejoin
    | JoinPrevious
    | JoinAgain
    | AppendSnapshot
    | SyncSnapshot
    | ReplaceSnapshot
    | WriteKeyring
    | Quit
)
