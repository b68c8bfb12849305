"""`SerfEngine`: one node's Serf state machine around its SWIM. It routes, and owns no rule.

    packets, timers, streams → Swim → events → rules of Serf → effects

Bytes, timers, calls and a time come in; effects go out, in the order in which they are
to be performed. Each step is atomic. Who drives it (the ring or the simulator) calls
`on_timer` when a timer that was set is due; keys whose first element begins with
`serf-` are Serf's, all others SWIM's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import NamedTuple

from serfcompat.errors import StateError, UsageError
from serfcompat.serf import intents, leave, merge, push_pull, queries, responses, stats, tags, user_events
from serfcompat.serf.coalesce import Coalescing
from serfcompat.serf.config import Config
from serfcompat.serf.coordinates import Coordinates
from serfcompat.serf.core import MAX_EVENT_BUFFER_BYTES, MAX_QUERY_IDS, Core, Timing
from serfcompat.serf.dispatch import absorb
from serfcompat.serf.effects import AppendSnapshot, ReplaceSnapshot, SerfEffect, SyncSnapshot, TimedOut
from serfcompat.serf.events import QueryEvent
from serfcompat.serf.ltime_ring import LTimeRing
from serfcompat.serf.member import Member
from serfcompat.serf.queries import QueryParams
from serfcompat.serf.queues import Queues
from serfcompat.serf.reaper import on_reap_tick
from serfcompat.serf.reconnect import PreviousNodes, on_reconnect_tick
from serfcompat.serf.rejoin import on_rejoin_tick, recall, remember_seeds
from serfcompat.serf.snapshot import CLOCK_INTERVAL_NS, Snapshot
from serfcompat.serf.state import SerfState
from serfcompat.serf.text import raw
from serfcompat.serf.vivaldi import Coordinate
from serfcompat.swim.config import MemberlistConfig
from serfcompat.swim.dice import Dice
from serfcompat.swim.effects import Finished, SetTimer, TimerKey
from serfcompat.swim.engine import Swim
from serfcompat.swim.hooks import Hooks
from serfcompat.swim.metrics import Metrics, NullMetrics
from serfcompat.wire.address import Address
from serfcompat.wire.layers import Layers
from serfcompat.wire.messages import Ack, Ping
from serfcompat.wire.stream import PushPull

MEMBERLIST_PROTOCOL = 2
"The memberlist protocol of every Serf protocol (ProtocolVersionMap)."


class StartedQuery(NamedTuple):
    """A query that was sent. `DeliverAck`, `DeliverResponse` and at last `CloseQuery` carry its key."""

    key: tuple[int, int]
    deadline_ns: int
    capacity: int
    "Answers of each kind that may lie about untaken; more are dropped (see `query_taken`)."
    effects: list[SerfEffect]


class SerfEngine:
    """One Serf node, without its sockets and files."""

    def __init__(
        self,
        config: Config,
        *,
        advertise: Address,
        dice: Dice,
        nonce: Callable[[], bytes],
        metrics: Metrics | None = None,
        restored: Snapshot | None = None,
    ) -> None:
        """Nothing happens before `start`.

        Args:
            config: With a real node name, and in `memberlist` the port really bound.
            advertise: Where others reach us.
            nonce: Draws 12 fresh bytes for each encryption.
            restored: The replayed snapshot file; None: no snapshot is kept.

        Raises:
            UsageError: A configuration that can't work; it names every problem.
        """
        config.check()
        log = config.logger or logging.getLogger("serfcompat.serf")
        sink = metrics or NullMetrics()
        memberlist = config.memberlist.replace(
            name=config.node_name,
            protocol_version=MEMBERLIST_PROTOCOL,
            delegate_protocol=config.delegate_protocol,
            lost_node_retry_time=0.0,  # `reconnect` does that, as upstream
        )
        hooks = Hooks(
            node_meta=lambda _limit: tags.encoded(self.core.tags, config.protocol_version),
            broadcasts=self._broadcasts,
            pending=lambda: self.core.queues.pending,
            local_state=lambda _join: push_pull.local_state(self.core),
        )
        merge.install(hooks, config, log)
        coordinates = None
        if not config.disable_coordinates:
            coordinates = Coordinates(raw(config.node_name), dice, sink, log)
            hooks.ack_payload = coordinates.ack_payload
        self.core = Core(
            me=raw(config.node_name),
            config=config,
            timing=Timing.of(config),
            swim=Swim(
                memberlist,
                advertise=advertise,
                dice=dice,
                nonce=nonce,
                hooks=hooks,
                metrics=sink,
                log=memberlist.logger or config.logger,
            ),
            dice=dice,
            metrics=sink,
            log=log,
            tags=dict(config.tags),
            snapshot=restored,
            coordinates=coordinates,
            coalescing=Coalescing(config),
            queues=Queues(memberlist.retransmit_mult),
            events=LTimeRing(config.event_buffer, MAX_EVENT_BUFFER_BYTES),
            query_ids=LTimeRing(config.query_buffer, MAX_QUERY_IDS),
        )
        if restored is not None:
            self._restore_clocks(restored)
        self._previous = PreviousNodes(self.core)
        timing = self.core.timing
        self._intervals_ns = {
            "serf-reap": timing.reap_interval_ns,
            "serf-reconnect": timing.reconnect_interval_ns,
            "serf-rejoin": timing.rejoin_interval_ns,
            "serf-queues": timing.queue_check_interval_ns,
            "serf-snapshot": CLOCK_INTERVAL_NS if restored is not None else 0,
        }

    @property
    def swim(self) -> Swim:
        return self.core.swim

    @property
    def state(self) -> SerfState:
        return self.core.state

    @property
    def config(self) -> MemberlistConfig:
        """The level below, as Serf has completed it."""
        return self.core.swim.config

    @property
    def layers(self) -> Layers:
        """How packets and streams are wrapped."""
        return self.core.swim.layers

    # -- life ---------------------------------------------------------------------------------

    def start(self, now_ns: int) -> list[SerfEffect]:
        """Announce ourselves, set the timers, and rejoin whom the snapshot knows."""
        core = self.core
        recall(core, now_ns)
        absorb(core, core.swim.start(now_ns), now_ns)
        for name, interval_ns in self._intervals_ns.items():
            if interval_ns > 0:
                core.out.append(SetTimer((name,), now_ns + interval_ns))
        self._previous.begin()
        return self._settle(now_ns)

    def begin_leave(self, token: Hashable, now_ns: int) -> list[SerfEffect]:
        """Leave on purpose; `Finished(token)` comes when the node has left. Raises `StateError`."""
        leave.begin_leave(self.core, token, now_ns)
        return self._settle(now_ns)

    def shutdown(self, now_ns: int) -> list[SerfEffect]:
        """The end: nothing is sent to the others. What comes out is to be performed before the sockets are closed."""
        core = self.core
        if core.state is SerfState.SHUTDOWN:
            return []
        if core.state is not SerfState.LEFT:
            core.log.warning("serf: Shutdown without a Leave")
        core.state = SerfState.SHUTDOWN
        core.coalescing.flush(now_ns, core.out)
        if core.snapshot is not None:
            core.out += core.snapshot.close(core.clock.time, now_ns)
        return self._settle(now_ns)

    # -- what comes in ------------------------------------------------------------------------

    def on_packet(self, data: bytes, source: Address, now_ns: int) -> list[SerfEffect]:
        """One datagram."""
        absorb(self.core, self.core.swim.on_packet(data, source, now_ns), now_ns)
        return self._settle(now_ns)

    def on_user_message(self, payload: bytes, now_ns: int) -> list[SerfEffect]:
        """A user message that came over a stream."""
        absorb(self.core, self.core.swim.on_user_message(payload, now_ns), now_ns)
        return self._settle(now_ns)

    def on_timer(self, key: TimerKey, now_ns: int) -> list[SerfEffect]:
        """A timer that was set is due."""
        if str(key[0]).startswith("serf-"):
            self._on_own_timer(key, now_ns)
        else:
            absorb(self.core, self.core.swim.on_timer(key, now_ns), now_ns)
        return self._settle(now_ns)

    def on_send_failed(self, seq_no: int, now_ns: int, *, remote: bool = True) -> list[SerfEffect]:
        """A probe's packet could not be sent (see `Swim.on_send_failed`)."""
        absorb(self.core, self.core.swim.on_send_failed(seq_no, now_ns, remote=remote), now_ns)
        return self._settle(now_ns)

    def on_tcp_ping_done(self, seq_no: int, ok: bool, now_ns: int) -> list[SerfEffect]:
        """The result of a `StartTcpPing`."""
        absorb(self.core, self.core.swim.on_tcp_ping_done(seq_no, ok, now_ns), now_ns)
        return self._settle(now_ns)

    def local_state(self, join: bool) -> bytes:
        """Our half of a push/pull: a whole message, not yet compressed or encrypted."""
        return self.core.swim.local_state(join)

    def merge_remote_state(self, remote: PushPull, join: bool, now_ns: int) -> list[SerfEffect]:
        """The other half. Raises `MergeRefused`, and then nothing was merged."""
        absorb(self.core, self.core.swim.merge_remote_state(remote, join, now_ns), now_ns)
        return self._settle(now_ns)

    def on_stream_ping(self, ping: Ping) -> Ack | None:
        """The answer to a ping over TCP (see `Swim.on_stream_ping`)."""
        return self.core.swim.on_stream_ping(ping)

    def drop(self, reason: str, source: Address) -> None:
        """Count something from outside that was thrown away (see `Swim.drop`)."""
        self.core.swim.drop(reason, source)

    # -- joining ------------------------------------------------------------------------------

    def begin_join(self, ignore_old: bool) -> None:
        """Before the exchanges of a join; `joined` must follow, whatever happens. Joins come one at a time.

        Args:
            ignore_old: Don't replay the user events that the others still remember.

        Raises:
            StateError: The node left, or was shut down.
        """
        if self.core.state is not SerfState.ALIVE:
            raise StateError("Serf can't Join after Leave or Shutdown")
        self.core.ignore_old_joins += ignore_old

    def joined(self, count: int, ignore_old: bool, now_ns: int, addresses: Sequence[str] = ()) -> list[SerfEffect]:
        """After the exchanges of a join: tell everybody, if `count` > 0 of them went well.

        Args:
            addresses: What was joined, as the user wrote it: to be joined again should we once be alone.
        """
        core = self.core
        core.ignore_old_joins -= ignore_old
        if count > 0:
            intents.broadcast_join(core, core.clock.time, now_ns)
            remember_seeds(core, addresses, now_ns)
        return self._settle(now_ns)

    def on_previous_joined(self, ok: bool, now_ns: int) -> list[SerfEffect]:
        """The result of a `JoinPrevious`."""
        if self.core.state is not SerfState.SHUTDOWN:
            self._previous.on_joined(ok)
        return self._settle(now_ns)

    # -- what we say --------------------------------------------------------------------------

    def user_event(self, name: str, payload: bytes | None, coalesce: bool, now_ns: int) -> list[SerfEffect]:
        """Fire a user event. Raises `PayloadTooLarge`. Who minds that none is lost asks `has_room` first."""
        user_events.fire(self.core, name, payload, coalesce, now_ns)
        return self._settle(now_ns)

    def has_room(self, name: str, payload: bytes | None, coalesce: bool) -> bool:
        """Whether a user event may be fired now without any being lost. Raises `PayloadTooLarge`."""
        return user_events.has_room(self.core, name, payload, coalesce)

    def query(self, name: str, payload: bytes | None, params: QueryParams, now_ns: int) -> StartedQuery:
        """Ask a query. Raises `PayloadTooLarge`, `UsageError`, `StateError`."""
        query = queries.ask(self.core, name, payload, params, now_ns)
        return StartedQuery(query.key, query.deadline_ns, query.responses.room, self._settle(now_ns))

    def query_taken(self, key: tuple[int, int], *, acks: int = 0, responses: int = 0) -> None:
        """The application took some answers: there is room for as many more."""
        if (query := self.core.running.get(key[0])) is not None and query.id == key[1]:
            query.responses.room += responses
            if query.acks is not None:
                query.acks.room += acks

    def close_query(self, key: tuple[int, int], now_ns: int) -> list[SerfEffect]:
        """Take no more answers."""
        if (query := self.core.running.get(key[0])) is not None and query.id == key[1]:
            responses.close(self.core, query, now_ns)
        return self._settle(now_ns)

    def respond(self, query: QueryEvent, payload: bytes | None, now_ns: int) -> list[SerfEffect]:
        """Answer a query. Raises `PayloadTooLarge`, `StateError`, `DeadlineExceeded`, `UsageError`."""
        responses.respond(self.core, query, payload, now_ns)
        return self._settle(now_ns)

    def answer_fits(self, query: QueryEvent, payload: bytes | None) -> bool:
        """Whether an answer fits into a datagram."""
        return responses.fits(self.core, query, payload)

    def default_query_timeout_ns(self) -> int:
        return queries.default_timeout_ns(self.core)

    def force_leave(self, name: str, prune: bool, token: Hashable, now_ns: int) -> list[SerfEffect]:
        """Declare a member gone; `Finished(token)` or `TimedOut(token)` tells the end."""
        leave.force_leave(self.core, raw(name), prune, token, now_ns)
        return self._settle(now_ns)

    def set_tags(self, new: Mapping[str, str], token: Hashable, now_ns: int) -> list[SerfEffect]:
        """Replace all tags; `Finished(token)` or `TimedOut(token)` tells the end. They stay in force either way.

        Raises:
            PayloadTooLarge: They don't fit into 512 bytes. Nothing was changed.
            StateError: This node is not in its own member table.
        """
        tags.check(new, self.core.config.protocol_version)
        self.core.swim.local_node()
        self.core.tags = dict(new)

        def then(done: bool, now_ns: int) -> None:
            end = Finished(token) if done else TimedOut(token, "timeout waiting for update broadcast")
            self.core.out.append(end)

        waiting = self.core.wait(leave.memberlist_timeout_ns(self.core), then, now_ns)
        absorb(self.core, self.core.swim.update_node(now_ns, waiting), now_ns)
        return self._settle(now_ns)

    # -- files --------------------------------------------------------------------------------

    def on_keyring_written(self, request: int, error: str | None, now_ns: int) -> list[SerfEffect]:
        """The result of a `WriteKeyring`: None, or why it failed."""
        if (then := self.core.keyring_writes.pop(request, None)) is not None:
            then(error, now_ns)
        return self._settle(now_ns)

    def on_snapshot_failed(
        self, effect: AppendSnapshot | SyncSnapshot | ReplaceSnapshot, why: str, now_ns: int
    ) -> list[SerfEffect]:
        """A snapshot effect could not be performed."""
        if self.core.snapshot is not None:
            self.core.out += self.core.snapshot.on_failed(effect, why, now_ns)
        return self._settle(now_ns)

    def on_snapshot_recovered(self) -> None:
        """A `ReplaceSnapshot` with `recovery` went well."""
        if self.core.snapshot is not None:
            self.core.snapshot.on_recovered()

    # -- what is known ------------------------------------------------------------------------

    def members(self) -> tuple[Member, ...]:
        """Every member in any status; the same object until something changes."""
        return self.core.members.snapshot()

    def local_member(self) -> Member:
        """This node. Raises `StateError` if it isn't (or is no longer) a member."""
        entry = self.core.members.get(self.core.me)
        if entry is None:
            raise StateError("this node is not in its own member table")
        return entry.view()

    def stats(self) -> dict[str, str]:
        return stats.stats(self.core)

    def coordinate(self) -> Coordinate:
        """Our own network coordinate. Raises `UsageError` if they are disabled."""
        if self.core.coordinates is None:
            raise UsageError("Coordinates are disabled")
        return self.core.coordinates.own

    def cached_coordinate(self, name: str) -> Coordinate | None:
        """Another node's coordinate, once it answered a ping of ours."""
        return None if self.core.coordinates is None else self.core.coordinates.cached(raw(name))

    # -- inside -------------------------------------------------------------------------------

    def _on_own_timer(self, key: TimerKey, now_ns: int) -> None:
        core = self.core
        match key:
            case (str(name),):
                self._on_tick(name, now_ns)
                core.out.append(SetTimer(key, now_ns + self._intervals_ns[name]))
            case ("serf-query", int(ltime)):
                responses.on_query_timer(core, ltime, now_ns)
            case ("serf-prune", bytes(name)):
                intents.on_prune_timer(core, name, now_ns)
            case ("serf-wait", token):
                core.end_wait(token, now_ns)
            case ("serf-left", token):
                leave.on_left_timer(core, token)
            case ("serf-coalesce", str(stage), _):
                core.coalescing.on_timer(stage, now_ns, core.out)
            case _:
                raise AssertionError(f"a timer that Serf never set: {key!r}")

    def _on_tick(self, name: str, now_ns: int) -> None:
        core = self.core
        match name:
            case "serf-reap":
                on_reap_tick(core, now_ns)
            case "serf-reconnect":
                on_reconnect_tick(core, now_ns)
            case "serf-rejoin":
                on_rejoin_tick(core, now_ns)
            case "serf-queues":
                core.queues.check_depth(core.config, len(core.members), core.log, core.metrics)
            case "serf-snapshot":
                if core.snapshot is not None and core.state is not SerfState.SHUTDOWN:
                    core.out += core.snapshot.check_clock(core.clock.time, now_ns)

    def _broadcasts(self, overhead: int, limit: int) -> list[bytes]:
        core = self.core
        return core.queues.broadcasts(overhead, limit, len(core.members), core.metrics)

    def _restore_clocks(self, restored: Snapshot) -> None:
        """Go on after the times that were used before the restart, and hear nothing older again (spec serf §9.8)."""
        core = self.core
        core.clock.witness(restored.clock)
        core.event_clock.witness(restored.event_clock)
        core.query_clock.witness(restored.query_clock)
        core.event_min_time = restored.event_clock + 1
        core.query_min_time = restored.query_clock + 1

    def _settle(self, now_ns: int) -> list[SerfEffect]:
        """End waits for what this step sent often enough, and hand out what is to be done."""
        for token in self.core.queues.take_finished():
            self.core.finish_wait(token, now_ns)
        return self.core.take()
