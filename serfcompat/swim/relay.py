"""Pings that we send for others, and single pings for our own caller (spec memberlist §6.6, §6.7 "Ping API")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from serfcompat.swim.effects import CancelTimer, Effect, Emit, SetTimer
from serfcompat.swim.events import PingAnswered
from serfcompat.swim.sender import Sender
from serfcompat.swim.table import Membership
from serfcompat.wire.address import Address
from serfcompat.wire.messages import Ack, IndirectPing, Nack, Ping

_MOST_WAITING = 4096
"Pings for others that may be out at once; further requests are dropped, so that a flood costs no memory."


class _ForOther(NamedTuple):
    """A ping on behalf of `requester`."""

    requester: Address
    requester_name: bytes
    seq_no: int
    nack: bool


@dataclass(slots=True)
class _OwnCall:
    """A ping of our own caller."""

    name: bytes
    sent_ns: int


class Relay:
    """Answers awaited by sequence number, beside the one probe."""

    def __init__(self, table: Membership, sender: Sender) -> None:
        self.table = table
        self.sender = sender
        self._waiting: dict[int, _ForOther | _OwnCall] = {}

    def on_indirect_ping(self, request: IndirectPing, source: Address, now_ns: int) -> list[Effect]:
        """Ping a node for somebody who could not reach it."""
        table = self.table
        if len(self._waiting) >= _MOST_WAITING:
            table.metrics.incr("serfcompat.drop.relay_full")
            return []
        known = request.source_addr and request.source_port
        requester = Address(request.source_addr or b"", request.source_port) if known else source
        seq_no = table.next_sequence()
        self._waiting[seq_no] = _ForOther(requester, request.source_node, request.seq_no, request.nack)
        port = request.port
        if table.config.protocol_version < 2 or port == 0:
            port = table.config.bind_port
        effects: list[Effect] = [SetTimer(("relay", seq_no), now_ns + table.timing.probe_timeout_ns)]
        return effects + self._ping(seq_no, Address(request.target or b"", port), request.node)

    def call(self, name: bytes, to: Address, now_ns: int) -> tuple[int, list[Effect]]:
        """Ping once for our own caller; the answer is a `PingAnswered` event with the number returned here."""
        table = self.table
        seq_no = table.next_sequence()
        self._waiting[seq_no] = _OwnCall(name, now_ns)
        # ⚠ Not stretched by our health, unlike a probe.
        effects: list[Effect] = [SetTimer(("relay", seq_no), now_ns + table.timing.probe_timeout_ns)]
        return seq_no, effects + self._ping(seq_no, to, name)

    def on_ack(self, seq_no: int, now_ns: int) -> list[Effect] | None:
        """Effects if the ack is for a ping sent here, else None."""
        waiting = self._waiting.pop(seq_no, None)
        if waiting is None:
            return None
        effects: list[Effect] = [CancelTimer(("relay", seq_no))]
        if isinstance(waiting, _OwnCall):
            effects.append(Emit(PingAnswered(seq_no, now_ns - waiting.sent_ns)))
            return effects
        # The target's payload is not passed on (M-165).
        ack = Ack(waiting.seq_no, None).encode()
        return effects + self.sender.piggybacked(ack, waiting.requester, name=waiting.requester_name)

    def on_timeout(self, seq_no: int) -> list[Effect]:
        """No ack in time: say so to a requester that asked for it (M-164)."""
        waiting = self._waiting.pop(seq_no, None)
        if isinstance(waiting, _OwnCall):
            return [Emit(PingAnswered(seq_no, None))]
        if waiting is None or not waiting.nack:
            return []
        nack = Nack(waiting.seq_no).encode()
        return self.sender.piggybacked(nack, waiting.requester, name=waiting.requester_name)

    def _ping(self, seq_no: int, to: Address, name: bytes) -> list[Effect]:
        me = self.table.myself
        source = Address(b"", 0) if me is None else me.address
        ping = Ping(seq_no, name, source.ip, source.port, self.table.me)
        return self.sender.piggybacked(ping.encode(), to, name=name)
