"""What all rules of one Serf node share: its state, its clocks, and the tools given to it.

Rules are functions over a `Core`, one file per set of rules (`intents`, `user_events`,
`queries` …). They append to `core.out` what is to be done, in order; the engine takes it
at the end of each step. Nothing here yields or does I/O, so a step is atomic.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Self

from serfcompat.serf.coalesce import Coalescing
from serfcompat.serf.config import Config
from serfcompat.serf.coordinates import Coordinates
from serfcompat.serf.deferred import Deferred
from serfcompat.serf.effects import SerfEffect
from serfcompat.serf.former_peers import FormerPeers
from serfcompat.serf.lamport import LamportClock
from serfcompat.serf.ltime_ring import LTimeRing
from serfcompat.serf.members import Members
from serfcompat.serf.queues import Queues
from serfcompat.serf.recent_intents import RecentIntents
from serfcompat.serf.running_queries import RunningQueries
from serfcompat.serf.snapshot import Snapshot
from serfcompat.serf.state import SerfState
from serfcompat.serf.waits import Then, Waits
from serfcompat.swim.config import seconds_to_ns
from serfcompat.swim.dice import Dice
from serfcompat.swim.effects import CancelTimer, SetTimer
from serfcompat.swim.engine import Swim
from serfcompat.swim.lost import LostNodes
from serfcompat.swim.metrics import Metrics
from serfcompat.wire.serf_messages import BufferedEvent

MAX_EVENT_BUFFER_BYTES = 16 * 1024 * 1024
"Names and payloads remembered in all slots. Upstream has no bound; 512 slots of 512 bytes need 256 KiB."
MAX_QUERY_IDS = 200_000
"Ids remembered in all slots. Upstream has no bound."

EventKey = tuple[bytes, bytes]
"(name, payload): what makes two user events of one Lamport time the same. No payload equals an empty one."


class Timing(NamedTuple):
    """The configuration's durations in nanoseconds, as the rules use them."""

    broadcast_timeout_ns: int
    leave_propagate_delay_ns: int
    reap_interval_ns: int
    reconnect_interval_ns: int
    rejoin_interval_ns: int
    reconnect_timeout_ns: int
    tombstone_timeout_ns: int
    flap_timeout_ns: int
    recent_intent_timeout_ns: int
    former_member_time_ns: int
    queue_check_interval_ns: int

    @classmethod
    def of(cls, config: Config) -> Self:
        return cls(*(seconds_to_ns(getattr(config, field.removesuffix("_ns"))) for field in cls._fields))


@dataclass(slots=True, kw_only=True)
class Core:
    """One node, seen from its rules."""

    me: bytes
    config: Config
    timing: Timing
    swim: Swim
    dice: Dice
    metrics: Metrics
    log: logging.Logger
    tags: Mapping[str, str]
    "What this node is configured to tell about itself. A query's tag filters look here."
    snapshot: Snapshot | None
    coordinates: Coordinates | None
    coalescing: Coalescing
    queues: Queues
    events: LTimeRing[EventKey, BufferedEvent]
    query_ids: LTimeRing[int, None]

    state: SerfState = SerfState.ALIVE
    members: Members = field(default_factory=Members)
    known: FormerPeers = field(default_factory=FormerPeers)
    seeds: list[str] = field(default_factory=list)
    "What was joined with success, as it was written: names are looked up again."
    intents: RecentIntents = field(default_factory=RecentIntents)
    clock: LamportClock = field(default_factory=lambda: LamportClock(1))
    event_clock: LamportClock = field(default_factory=lambda: LamportClock(1))
    query_clock: LamportClock = field(default_factory=lambda: LamportClock(1))
    event_min_time: int = 0
    "User events before this Lamport time are history that nobody here wants to hear (eventMinTime)."
    query_min_time: int = 0
    ignore_old_joins: int = 0
    "Above 0 while a join is under way that shall not replay old user events."
    running: RunningQueries = field(default_factory=RunningQueries)
    waits: Waits = field(default_factory=Waits)
    former: LostNodes = field(init=False)
    "Members that failed and were reaped."
    pruning: dict[bytes, Deferred] = field(default_factory=dict)
    "Members that left a moment ago and will be forgotten in another."
    keyring_writes: dict[int, Callable[[str | None, int], None]] = field(default_factory=dict)
    "What to do when a write of the keyring file has succeeded (None) or failed (why)."
    out: list[SerfEffect] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.former = LostNodes(self.timing.former_member_time_ns)

    def take(self) -> list[SerfEffect]:
        """What the step that ends now wants done."""
        out, self.out = self.out, []
        return out

    def wait(self, timeout_ns: int | None, then: Then, now_ns: int) -> Hashable:
        """Begin a wait for a broadcast and return its token.

        Args:
            timeout_ns: None: wait as long as it takes.
        """
        token = self.waits.begin(then)
        if timeout_ns is not None:
            self.out.append(SetTimer(("serf-wait", token), now_ns + timeout_ns))
        return token

    def finish_wait(self, token: Hashable, now_ns: int) -> None:
        """A broadcast is done. Unknown tokens are waits that ended before."""
        if (then := self.waits.end(token)) is not None:
            self.out.append(CancelTimer(("serf-wait", token)))
            then(True, now_ns)

    def end_wait(self, token: Hashable, now_ns: int) -> None:
        """A wait's time is over."""
        if (then := self.waits.end(token)) is not None:
            then(False, now_ns)
