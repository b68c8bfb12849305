"""The network between the hosts: how late datagrams arrive, how many times, and whether at all.

It decides and moves nothing: `copies` says what becomes of one datagram. Streams ask
`connected` and `stream_delay`: loss does not break them, it makes them slow.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from serfcompat.sim.impairments import Changed, Cut, HostLoss, Impairment, Pair, Unplugged
from serfcompat.sim.latency import LAN, Latency
from serfcompat.sim.units import MILLISECOND
from serfcompat.swim.dice import Dice

MAX_DATAGRAM = 65507
"Bytes that fit into one IPv4 datagram."
_RETRANSMIT_NS = 200 * MILLISECOND
"First retransmission of a lost segment (Linux, minimum); each further one waits twice as long."
_MOST_RETRANSMITS = 6
_NOTHING: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Conditions:
    """What the network does to each datagram."""

    latency: Latency = LAN
    "One way."
    loss: float = 0.0
    "Share that gets lost, one way."
    duplicate: float = 0.0
    "Share that arrives twice."
    reorder: float = 0.0
    "Share that is held back long enough to be overtaken: up to ten usual latencies."
    size_limit: int = MAX_DATAGRAM
    "Bytes; larger datagrams are lost, as behind a router that drops fragments."

    def replace(self, **changes: object) -> Conditions:
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]


class Network:
    """The one network of a cluster. Faults change it while it runs."""

    def __init__(self, usual: Conditions = Conditions()) -> None:
        self.usual = usual
        self.conditions = usual
        "Those that hold now."
        self.impairments: list[Impairment] = []
        self.blocked: frozenset[Pair] = frozenset()
        "Ways on which nothing gets through."
        self.unplugged: frozenset[str] = frozenset()
        "Hosts whose own sends fail at once."
        self.host_loss: dict[str, float] = {}
        "Loss at one host's own link, both ways, beside the conditions' own."
        self.lost = 0
        "Datagrams that did not arrive, for any reason."

    def copies(self, source: str, target: str, size: int, dice: Dice) -> Sequence[int]:
        """Delays in nanoseconds of each copy of a datagram that arrives; empty if none does."""
        conditions = self.conditions
        if (
            size > conditions.size_limit
            or (self.impairments and not self._gets_through(source, target, dice))
            or (conditions.loss and dice.random() < conditions.loss)
        ):
            self.lost += 1
            return _NOTHING
        latency = conditions.latency
        delay = latency.draw(dice)
        if conditions.reorder and dice.random() < conditions.reorder:
            delay += int(dice.random() * 10 * latency.usual_ns)
        if conditions.duplicate and dice.random() < conditions.duplicate:
            return (delay, delay + latency.draw(dice))
        return (delay,)

    def connected(self, a: str, b: str) -> bool:
        """Whether a stream between two hosts gets through: it needs both ways."""
        return self._open(a, b) and self._open(b, a)

    def stream_delay(self, source: str, target: str, dice: Dice) -> int:
        """Nanoseconds of one flight of segments, with the retransmissions that loss costs."""
        loss = self.conditions.loss
        if self.host_loss:
            got_through = (1.0 - self.host_loss.get(source, 0.0)) * (1.0 - self.host_loss.get(target, 0.0))
            loss = 1.0 - (1.0 - loss) * got_through
        delay = self.conditions.latency.draw(dice)
        for attempt in range(_MOST_RETRANSMITS):
            if not loss or dice.random() >= loss:
                break
            delay += _RETRANSMIT_NS << attempt
        return delay

    # -- faults -------------------------------------------------------------------------------

    def impair(self, *impairments: Impairment) -> None:
        """Make things worse."""
        self.impairments += impairments
        self._sum_up()

    def mend(self, impairment: Impairment) -> None:
        """Take one impairment back; nothing happens if that was done."""
        if impairment in self.impairments:
            self.impairments.remove(impairment)
            self._sum_up()

    def heal(self, host: str | None = None) -> None:
        """Take back all cuts, unplugging and hosts' loss: of one host, or of all. Changed conditions stay."""
        kept: list[Impairment] = []
        for impairment in self.impairments:
            match impairment:
                case Changed():
                    kept.append(impairment)
                case Cut() if host is not None:
                    kept.append(impairment.without(host))
                case Unplugged(of) | HostLoss(of) if host is not None and of != host:
                    kept.append(impairment)
        self.impairments = kept
        self._sum_up()

    # -- inside -------------------------------------------------------------------------------

    def _sum_up(self) -> None:
        """What all impairments together mean."""
        blocked: set[Pair] = set()
        unplugged: set[str] = set()
        changes: dict[str, object] = {}
        self.host_loss = {}
        for impairment in self.impairments:
            match impairment:
                case Cut(pairs):
                    blocked |= pairs
                case Unplugged(host):
                    unplugged.add(host)
                case HostLoss(host, share):
                    self.host_loss[host] = 1.0 - (1.0 - self.host_loss.get(host, 0.0)) * (1.0 - share)
                case Changed(field, value):
                    changes[field] = value
        self.blocked, self.unplugged = frozenset(blocked), frozenset(unplugged)
        self.conditions = self.usual.replace(**changes)

    def _open(self, source: str, target: str) -> bool:
        if source == target:
            return True
        return (source, target) not in self.blocked and source not in self.unplugged and target not in self.unplugged

    def _gets_through(self, source: str, target: str, dice: Dice) -> bool:
        if not self._open(source, target):
            return False
        losses = [self.host_loss[host] for host in (source, target) if host in self.host_loss]
        return all(dice.random() >= loss for loss in losses)
