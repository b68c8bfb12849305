"""What a SWIM step wants done. The engine decides; whoever drives it performs.

A closed set: the ring (`runtime`) and the simulator (`sim`) handle each of these, and
`assert_never` makes a forgotten one a type error.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from serfcompat.swim.events import SwimEvent
from serfcompat.wire.address import Address

TimerKey = tuple[Hashable, ...]
"""Names a timer: its first element is what it is for, e.g. `("suspicion", b"web1")`."""


@dataclass(frozen=True, slots=True)
class SendPacket:
    """Send one finished datagram from the bound UDP socket. A full buffer is a counted drop."""

    data: bytes
    to: Address
    probe: int | None = None
    "Sequence number of the probe that must hear of a failed send (`Swim.on_send_failed`)."


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Call `on_timer(key, now)` at `at_ns`, once. Setting a key again moves it."""

    key: TimerKey
    at_ns: int


@dataclass(frozen=True, slots=True)
class CancelTimer:
    """Forget a timer. Cancelling one that is not set does nothing."""

    key: TimerKey


@dataclass(frozen=True, slots=True)
class StartPushPull:
    """Exchange full state with a node over a stream, beside everything else."""

    to: Address
    name: bytes
    join: bool = False
    "True: a node lost long ago. Failing to reach it is no news; merge hooks are asked on both sides."


@dataclass(frozen=True, slots=True)
class StartTcpPing:
    """Ping over a stream until `deadline_ns`, then report by `Swim.on_tcp_ping_done`."""

    seq_no: int
    message: bytes
    "The ping to send, type byte included."
    to: Address
    name: bytes
    deadline_ns: int


@dataclass(frozen=True, slots=True)
class Finished:
    """A broadcast that somebody waits for has been sent as often as it will be (or was replaced)."""

    token: Hashable


@dataclass(frozen=True, slots=True)
class Emit:
    """Tell the layer above what happened, in this order."""

    event: SwimEvent


Effect = SendPacket | SetTimer | CancelTimer | StartPushPull | StartTcpPing | Finished | Emit
