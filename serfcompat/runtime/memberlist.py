"""`Memberlist`: gossip membership without Serf, as blocking calls (spec memberlist §6.16)."""

from __future__ import annotations

import logging
import socket
from collections.abc import Sequence
from typing import Any, Self, assert_never

from gevent.event import AsyncResult

from serfcompat.errors import DeadlineExceeded
from serfcompat.runtime.delegate import Delegate, hooks_of
from serfcompat.runtime.home import HomeName
from serfcompat.runtime.inheritance import OnFork, check_on_fork, heir_config, heir_name, join_kin
from serfcompat.runtime.node import Node
from serfcompat.runtime.ring import draw_nonce
from serfcompat.runtime.surroundings import here
from serfcompat.serf.text import text
from serfcompat.swim.config import MemberlistConfig
from serfcompat.swim.effects import Emit
from serfcompat.swim.engine import Swim
from serfcompat.swim.events import (
    MessageReceived,
    NodeConflict,
    NodeJoined,
    NodeLeft,
    NodeUpdated,
    NodeView,
    PingAnswered,
    PingCompleted,
    RemoteStateReceived,
    SwimEvent,
)
from serfcompat.swim.metrics import Metrics, NullMetrics
from serfcompat.wire.address import Address


class Memberlist:
    """One member of a memberlist cluster.

    Creating it opens nothing; `start()`, or the `with` block, does. Every call may be made from any thread.
    """

    def __init__(
        self,
        config: MemberlistConfig,
        delegate: Delegate | None = None,
        *,
        home: HomeName = "auto",
        on_fork: OnFork = "error",
        metrics: Metrics | None = None,
    ) -> None:
        """`home` and `on_fork` as for `Serf`. Raises UsageError, naming every problem of the configuration."""
        config.check()
        check_on_fork(on_fork)
        self.config = self._given = config if config.name else config.replace(name=socket.gethostname())
        self._delegate = delegate or Delegate()
        self._metrics: Metrics = metrics or NullMetrics()
        self._log = config.logger or logging.getLogger("serfcompat.memberlist")
        self._node: Node[Swim] = Node(
            f"memberlist {self.config.name}",
            home,
            metrics=self._metrics,
            log=self._log,
            shutdown=self.shutdown,
            restart=self._restart if on_fork == "restart" else None,
        )
        self._pings: dict[int, AsyncResult[int | None]] = {}

    # -- life ---------------------------------------------------------------------------------

    def start(self) -> Self:
        """Bind, announce ourselves and begin to take part. Raises StartError."""
        if self._node.inherited:
            self._node.check_process()
        else:
            self._node.open(self.config, self._make_engine, self._tell)
        return self

    def leave(self, timeout: float | None = None) -> None:
        """Tell the others that we go; call `shutdown` after it.

        Blocks until the word is spread, at most `timeout` seconds; then DeadlineExceeded. A second call does nothing.
        """
        if not self._node.step_and_wait(lambda swim, now_ns, token: swim.leave(now_ns, token), timeout):
            raise DeadlineExceeded("timeout waiting for leave broadcast")

    def shutdown(self) -> None:
        """Stop at once, without a word to the others. May be called again."""
        self._node.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.shutdown()

    # -- membership ---------------------------------------------------------------------------

    def join(self, addresses: Sequence[str]) -> int:
        """Join a cluster by exchanging full state with each address over TCP (push/pull).

        Blocks the caller; probing and delivery go on. Each exchange is bounded by
        `config.tcp_timeout` seconds, and addresses are tried in turn.

        Args:
            addresses: `host`, `host:port`, `[v6]:port` or `node-name/host:port`. A host with
                three A records is tried, and counted, three times.

        Returns:
            How many addresses answered; not how many members are new. 0 for an empty list.

        Raises:
            JoinError: Nobody answered. `.failures` has one cause per address, in order.
                Calling again is safe: merging the same state twice changes nothing.

        Source: spec memberlist §6.14; upstream `Memberlist.Join`.
        """
        return self._node.call(lambda: self._node.ring.join(addresses))

    def members(self) -> list[NodeView]:
        """Nodes alive or suspect, ourselves included, in no promised order."""
        return self._node.call(lambda: self._node.engine.members())

    def local_node(self) -> NodeView:
        """Ourselves."""
        return self._node.call(lambda: self._node.engine.local_node())

    def update_node(self, timeout: float | None = None) -> None:
        """Advertise what `delegate.node_meta` says now.

        Blocks until it is spread, at most `timeout` seconds; then DeadlineExceeded, and it spreads on.
        """
        if not self._node.step_and_wait(lambda swim, now_ns, token: swim.update_node(now_ns, token), timeout):
            raise DeadlineExceeded("timeout waiting for update broadcast")

    # -- messages -----------------------------------------------------------------------------

    def send_best_effort(self, node: NodeView, payload: bytes) -> None:
        """One packet to a node: it may get lost, and should stay below `config.udp_buffer_size`."""
        self._node.step(lambda swim, now_ns: swim.send_best_effort(node.name, payload, now_ns))

    def send_to(self, address: Address, payload: bytes, name: bytes = b"") -> None:
        """One packet to an address of which we may know no node."""
        self._node.step(lambda swim, now_ns: swim.send_user(payload, address, name, now_ns))

    def send_reliable(self, node: NodeView, payload: bytes) -> None:
        """One message over a stream, any size up to 20 MiB. Blocks; raises OSError if the node can't be reached."""
        self._node.call(lambda: self._node.ring.send_reliable(node.address, node.name, payload))

    def ping(self, node: NodeView) -> float:
        """Seconds of one round trip. Blocks at most `config.probe_timeout`; then DeadlineExceeded.

        It changes nothing that is known about the node.
        """

        def ping() -> float:
            ring, swim = self._node.ring, self._node.engine
            seq_no, effects = swim.ping(node.name, node.address, ring.clock.now_ns())
            answer = self._pings[seq_no] = AsyncResult()
            try:
                ring.perform(effects)
                rtt_ns = answer.get()
            finally:
                del self._pings[seq_no]
            if rtt_ns is None:
                raise DeadlineExceeded(f"no response from node {node.name.decode('utf-8', 'backslashreplace')}")
            return float(rtt_ns) / 1e9

        return self._node.call(ping)

    # -- state --------------------------------------------------------------------------------

    @property
    def health_score(self) -> int:
        """0 is healthy; higher means that our own network seems at fault (Lifeguard)."""
        return self._node.engine.health_score

    @property
    def keyring(self) -> Any:
        """The live keyring: `add`, `use` and `remove` take effect at once."""
        return self._node.engine.keyring

    # -- inside -------------------------------------------------------------------------------

    def _restart(self) -> None:
        """In a forked child, at the first call: become a member of our own, and find the parent's cluster."""
        parent = self._node.last_engine
        assert parent is not None
        kin = [f"{text(node.name)}/{node.address}" for node in parent.members()]
        kin.sort(key=lambda seed: not seed.startswith(f"{self.config.name}/"))
        config = heir_config(self._given.replace(name=heir_name(self._given.name)), list(parent.keyring))
        self._pings = {}
        self._node.open(config, self._make_engine, self._tell)
        join_kin(self.join, kin, self._log)

    def _make_engine(self, config: MemberlistConfig, advertise: Address) -> Swim:
        self.config = config
        return Swim(
            config,
            advertise=advertise,
            dice=here().dice(),
            nonce=draw_nonce,
            hooks=hooks_of(self._delegate, self._log),
            metrics=self._metrics,
            log=self._log,
        )

    def _tell(self, effect: Any, now_ns: int) -> None:
        assert isinstance(effect, Emit)
        try:
            self._dispatch(effect.event)
        except Exception:  # the user's code: its fault must not stop the node
            self._log.exception("memberlist: the delegate failed on %s", type(effect.event).__name__)

    def _dispatch(self, event: SwimEvent) -> None:
        tell = self._delegate
        match event:
            case MessageReceived(payload):
                tell.notify_msg(payload)
            case NodeJoined(node):
                tell.notify_join(node)
            case NodeLeft(node):
                tell.notify_leave(node)
            case NodeUpdated(node):
                tell.notify_update(node)
            case NodeConflict(existing, other):
                tell.notify_conflict(existing, other)
            case RemoteStateReceived(state, join):
                tell.merge_remote_state(state, join)
            case PingCompleted(node, rtt_ns, payload):
                tell.notify_ping_complete(node, rtt_ns / 1e9, payload)
            case PingAnswered(seq_no, rtt_ns):
                if (answer := self._pings.get(seq_no)) is not None:
                    answer.set(rtt_ns)
            case _:
                assert_never(event)
