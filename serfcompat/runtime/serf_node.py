"""A Serf engine in its home: performs what Serf wants beyond the ring, and has what the calls of `Serf` share."""

from __future__ import annotations

import _thread
import logging
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, assert_never

from gevent.lock import RLock

from serfcompat.errors import DeadlineExceeded, JoinError, MergeRefused, StartError, UsageError
from serfcompat.runtime.channel import Channel
from serfcompat.runtime.held_events import HeldEvents
from serfcompat.runtime.home import HomeName
from serfcompat.runtime.inheritance import OnFork, check_on_fork, heir_config, heir_name, join_kin
from serfcompat.runtime.large_answers import LargeAnswers
from serfcompat.runtime.node import Node
from serfcompat.runtime.node_files import NodeFiles
from serfcompat.runtime.open_queries import OpenQueries
from serfcompat.runtime.ring import Ring, draw_nonce
from serfcompat.runtime.subscribers import Subscriber, Subscriptions, run_handler, wanted
from serfcompat.runtime.surroundings import here
from serfcompat.runtime.tcp import ExchangeFailed
from serfcompat.serf.config import Config
from serfcompat.serf.effects import (
    AppendSnapshot,
    CloseQuery,
    Deliver,
    DeliverAck,
    DeliverResponse,
    JoinAgain,
    JoinPrevious,
    Quit,
    Rejoin,
    ReplaceSnapshot,
    SyncSnapshot,
    TimedOut,
    WriteKeyring,
)
from serfcompat.serf.engine import SerfEngine
from serfcompat.serf.events import Event, QueryEvent
from serfcompat.serf.member import Member, MemberStatus
from serfcompat.serf.snapshot import Snapshot
from serfcompat.swim.config import MemberlistConfig
from serfcompat.swim.metrics import Metrics, NullMetrics
from serfcompat.wire.address import Address


class Handler(NamedTuple):
    """Somebody's function for events of a kind."""

    kind: str
    function: Callable[[Event], object]
    maxsize: int
    workers: int
    channel: Channel[Event]


class SerfNode(Node[SerfEngine]):
    """One node, from `start` to `shutdown`; and in a forked child that wants it, from its first use on."""

    def __init__(self, config: Config, home: HomeName, on_fork: OnFork, metrics: Metrics | None) -> None:
        """Opens nothing. Raises UsageError."""
        check_on_fork(on_fork)
        self.config = config
        self.log = config.logger or logging.getLogger("serfcompat.serf")
        self.members: tuple[Member, ...] = ()
        "As the last step left them: an immutable snapshot, for any thread."
        self.subscriptions = Subscriptions()
        self.queries = OpenQueries(self, self.log)
        self._given = config
        self._serf_metrics: Metrics = metrics or NullMetrics()
        self.held = HeldEvents(self, self._serf_metrics)
        self._large = LargeAnswers()
        self._files = NodeFiles(config, self, self.log)
        self._handlers: list[Handler] = []
        self._failed_waits: dict[Any, str] = {}
        self._joining: RLock | None = None
        self._changing_keys: RLock | None = None
        self.ended: Channel[None] | None = None
        "Closed when the node ends."
        super().__init__(
            f"serf {config.node_name}",
            home,
            metrics=self._serf_metrics,
            log=config.memberlist.logger or config.logger or logging.getLogger("serfcompat.memberlist"),
            shutdown=self.end,
            abandon=self._let_go,
            restart=self._become if on_fork == "restart" else None,
        )

    # -- life ---------------------------------------------------------------------------------

    def begin(self) -> None:
        """Open the files and the sockets, and take part. Raises StartError; nothing is left open then."""
        restored = self._files.open()
        try:
            self.open(
                self.config.memberlist,
                lambda memberlist, advertise: self._make_engine(memberlist, advertise, restored),
                self._perform,
                self._publish,
            )
        except BaseException as error:
            self._files.close()
            if isinstance(error, StartError):
                raise StartError(f"Failed to create memberlist: {error}") from error
            raise
        self.ring.piece = self._large.piece

    def end(self) -> None:
        """Stop at once. May be called again."""

        def last(engine: SerfEngine, ring: Ring) -> None:
            ring.perform(engine.shutdown(ring.clock.now_ns()))
            self.held.end()

        if not self.close(last):
            return
        self.subscriptions.end()
        self.queries.end()
        if self.ended is not None:
            self.ended.close()

    def _make_engine(self, memberlist: MemberlistConfig, advertise: Address, restored: Snapshot | None) -> SerfEngine:
        # gevent's locks remember their hub, so they aren't made before there is one.
        self._joining, self._changing_keys = RLock(), RLock()
        self.ended = Channel(_thread.get_ident())
        self.config = self.config.replace(memberlist=memberlist)
        return SerfEngine(
            self.config,
            advertise=advertise,
            dice=here().dice(),
            nonce=draw_nonce,
            metrics=self._serf_metrics,
            restored=restored,
        )

    # -- calls --------------------------------------------------------------------------------

    def join(self, addresses: Sequence[str], ignore_old: bool) -> int:
        """See `Serf.join`. Runs on the node's hub; joins come one at a time."""
        assert self._joining is not None
        ring, engine = self.ring, self.engine
        with self._joining:
            engine.begin_join(ignore_old)
            count = 0
            try:
                count = ring.join(addresses)
            finally:
                ring.perform(engine.joined(count, ignore_old, ring.clock.now_ns(), addresses))
            return count

    def respond(self, query: QueryEvent, payload: bytes | None) -> None:
        """See `Serf.respond`. Runs on the node's hub."""
        ring, engine = self.ring, self.engine
        now_ns = ring.clock.now_ns()
        if payload is not None and query.large_answers and not engine.answer_fits(query, payload):
            payload = self._large.offer(payload, query.deadline_ns, now_ns).encode()
        ring.perform(engine.respond(query, payload, now_ns))

    def subscribe(self, kinds: Sequence[str], maxsize: int) -> Channel[Event]:
        """A new subscription. Raises UsageError."""
        subscriber = Subscriber(wanted(kinds), Channel(self.home_thread, maxsize))
        self.call(lambda: self.subscriptions.add(subscriber))
        return subscriber.channel

    def handle(self, kind: str, function: Callable[[Event], object], maxsize: int, workers: int) -> Channel[Event]:
        """A new subscription, and so many who take from it. Raises UsageError."""
        if workers < 1:
            raise UsageError(f"a handler needs at least one worker, not {workers}")
        channel = self.subscribe([kind], maxsize)
        self._handlers = [handler for handler in self._handlers if not handler.channel.closed]
        self._handlers.append(Handler(kind, function, maxsize, workers, channel))
        for _ in range(workers):
            run_handler(function, channel, inline=self.inline, name=f"on {kind}", log=self.log)
        return channel

    def wait(self, act: Callable[[SerfEngine, int, Any], Any]) -> None:
        """Let the engine act and wait for its end, which it bounds itself. Raises DeadlineExceeded."""
        tokens: list[Any] = []

        def step(engine: SerfEngine, now_ns: int, token: Any) -> Any:
            tokens.append(token)
            return act(engine, now_ns, token)

        self.step_and_wait(step, None)
        if (reason := self._failed_waits.pop(tokens[0], None)) is not None:
            raise DeadlineExceeded(reason)

    def changing_keys(self) -> RLock:
        """Keeps key changes apart; entered on the hub."""
        assert self._changing_keys is not None
        return self._changing_keys

    # -- effects ------------------------------------------------------------------------------

    def _perform(self, effect: Any, now_ns: int) -> None:
        """Effects that the ring does not know. Runs on the node's hub and never yields."""
        match effect:
            case Deliver(event):
                self.subscriptions.deliver(event)
            case DeliverAck() | DeliverResponse() | CloseQuery():
                self.queries.hear(effect)
            case TimedOut(token, reason):
                self._failed_waits[token] = reason
                self.ring.finish(token)
            case Rejoin(to, name):
                self.ring.spawn(self._rejoin, to, name)
            case JoinAgain(addresses):
                self.ring.spawn(self._join_again, addresses)
            case JoinPrevious(address):
                self.ring.spawn(self._join_previous, address)
            case AppendSnapshot() | SyncSnapshot() | ReplaceSnapshot():
                self._files.write_snapshot(effect, now_ns)
            case WriteKeyring():
                self._files.write_keyring(effect, now_ns)
            case Quit():
                self.ring.spawn(self.end)
            case _:
                assert_never(effect)

    def _publish(self) -> None:
        """Let other threads see what this step has changed."""
        self.members = self.engine.members()
        self.held.look()

    def _rejoin(self, to: Address, name: bytes) -> None:
        try:
            self.ring.push_pull(to, name, join=True)
        except (OSError, ExchangeFailed, MergeRefused) as error:
            self.log.debug("serf: reconnect to %s failed: %s", to, error)

    def _join_again(self, addresses: tuple[str, ...]) -> None:
        try:
            self.ring.join(addresses)
        except JoinError as error:
            self.log.debug("serf: nobody joined: %s", "; ".join(error.failures))

    def _join_previous(self, address: str) -> None:
        try:
            ok = self.ring.join([address]) > 0
        except JoinError:
            ok = False
        if not self.inherited:
            self.step(lambda engine, now_ns: engine.on_previous_joined(ok, now_ns))

    # -- fork -------------------------------------------------------------------------

    def _let_go(self) -> None:
        """In a forked child, in the middle of anything: let go of what is the parent's, and touch no hub."""
        self._handlers = [handler for handler in self._handlers if not handler.channel.closed]
        self.subscriptions.abandon()
        self.queries.abandon()
        self._files.close()
        if self.ended is not None:
            self.ended.abandon()

    def _become(self) -> None:
        """In a forked child, at the first call: become a member of our own, and find the parent's cluster."""
        parent = self.last_engine
        assert parent is not None
        kin = [f"{member.name}/{member.address}" for member in self.members if member.status is MemberStatus.ALIVE]
        own = f"{self.config.node_name}/"
        kin.sort(key=lambda seed: not seed.startswith(own))
        self.config = self._given.replace(
            node_name=heir_name(self._given.node_name),
            tags=dict(parent.core.tags),
            snapshot_path="",
            keyring_file="",
            memberlist=heir_config(self._given.memberlist, list(parent.swim.keyring)),
        )
        self.held = HeldEvents(self, self._serf_metrics)
        self._files = NodeFiles(self.config, self, self.log)
        self._failed_waits.clear()
        self.members = ()
        self.begin()
        handlers, self._handlers = self._handlers, []
        for handler in handlers:
            self.handle(handler.kind, handler.function, handler.maxsize, handler.workers)
        join_kin(lambda seeds: self.call(lambda: self.join(seeds, False)), kin, self.log)
