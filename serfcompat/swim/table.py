"""The membership table: the nodes this one knows, and what every rule shares (spec memberlist §6.1).

Rules are functions over a `Membership`; they live in `claims`, `probe`, `gossip` and
`pushpull`. Nothing here yields or does I/O, so a step is atomic.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from serfcompat.swim.allow import AllowList
from serfcompat.swim.awareness import Awareness
from serfcompat.swim.config import PROTOCOL_MAX, PROTOCOL_MIN, MemberlistConfig, Timing
from serfcompat.swim.dice import Dice
from serfcompat.swim.events import NodeState, NodeView
from serfcompat.swim.hooks import Hooks
from serfcompat.swim.lost import LostNodes
from serfcompat.swim.metrics import Metrics, NullMetrics
from serfcompat.swim.queue import TransmitLimitedQueue
from serfcompat.swim.suspicion import Suspicion
from serfcompat.wire.address import Address
from serfcompat.wire.types import MAX_PUSH_PULL_NODES

MAX_NODES = MAX_PUSH_PULL_NODES
"Nodes that a table holds: with more, its push/pulls would be refused. Upstream has no bound."
NEVER_NS = -(1 << 62)
"A state change so long ago that every time limit since has passed."

_DEAD = NodeState.DEAD
"Looked up once: `gone` is asked for every node on many occasions."


def text(name: bytes) -> str:
    """A node name for a log line: names are raw bytes and may be anything."""
    return name.decode("utf-8", "backslashreplace")


class Node:
    """A known node. `state` changes only by `become`, so that its time is always set with it."""

    __slots__ = ("addr", "incarnation", "meta", "name", "port", "reminded_ns", "state", "state_change_ns", "vsn")

    def __init__(
        self,
        name: bytes,
        incarnation: int = 0,
        state: NodeState = NodeState.DEAD,
        *,
        addr: bytes = b"",
        port: int = 0,
        meta: bytes | None = None,
        vsn: bytes = b"",
        state_change_ns: int = NEVER_NS,
    ) -> None:
        self.name = name
        self.incarnation = incarnation
        self.state = state
        self.addr = addr
        self.port = port
        self.meta = meta
        self.vsn = vsn
        "PMin PMax PCur DMin DMax DCur, or empty while unknown."
        self.state_change_ns = state_change_ns
        self.reminded_ns = NEVER_NS
        "When it was last told that it is held for dead (see `reminder`)."

    @property
    def address(self) -> Address:
        return Address(self.addr, self.port)

    @property
    def gone(self) -> bool:
        return self.state >= _DEAD

    @property
    def protocol_max(self) -> int:
        return self.vsn[1] if self.vsn else 0

    def become(self, state: NodeState, incarnation: int, now_ns: int) -> None:
        self.state = state
        self.incarnation = incarnation
        self.state_change_ns = now_ns

    def view(self) -> NodeView:
        return NodeView(self.name, self.addr, self.port, self.meta, self.vsn, self.state, self.incarnation)


class Membership:
    """All that the rules of SWIM share: the nodes, our own claim counter, the queue, and the tools given to us."""

    def __init__(
        self,
        me: bytes,
        *,
        config: MemberlistConfig,
        dice: Dice,
        hooks: Hooks | None = None,
        metrics: Metrics | None = None,
        log: logging.Logger | None = None,
        nodes: Iterable[Node] = (),
    ) -> None:
        self.me = me
        self.config = config
        self.timing = Timing.of(config)
        self.dice = dice
        self.hooks = hooks or Hooks()
        self.metrics: Metrics = metrics or NullMetrics()
        self.log = log or logging.getLogger("serfcompat.memberlist")
        self.ring: list[Node] = list(nodes)
        "Every known node in probe order; its length is the estimate `n` of all formulas."
        self.nodes: dict[bytes, Node] = {node.name: node for node in self.ring}
        self.suspicions: dict[bytes, Suspicion] = {}
        self.broadcasts = TransmitLimitedQueue(config.retransmit_mult)
        self.awareness = Awareness(config.awareness_max_mult)
        self.allowed = AllowList(config.cidrs_allowed)
        self.lost = LostNodes(self.timing.lost_node_retry_time_ns)
        self.incarnation = 0
        self.sequence = 0
        self.leaving = False
        self.own_vsn = bytes((PROTOCOL_MIN, PROTOCOL_MAX, config.protocol_version, *config.delegate_protocol))
        self.own: Callable[[Node], Node] = lambda node: node
        "Asked for the entry to change before one is changed: tables of simulated nodes share what is alike."

    @property
    def myself(self) -> Node | None:
        """Our own entry; None before the first announcement, or if a hook refused us or we left and were reaped."""
        return self.nodes.get(self.me)

    def next_incarnation(self, above: int = -1) -> int:
        """A new incarnation of ours that beats `above`. Modulo 2^32, as on the wire (M-145)."""
        self.incarnation = (self.incarnation + 1) & 0xFFFFFFFF
        if above >= self.incarnation:
            self.incarnation = (above + 1) & 0xFFFFFFFF
        return self.incarnation

    def next_sequence(self) -> int:
        self.sequence = (self.sequence + 1) & 0xFFFFFFFF
        return self.sequence

    def insert(self, node: Node) -> None:
        """Add a node at a random place of the probe order, so that newcomers aren't probed in a burst (M-169)."""
        self.nodes[node.name] = node
        earlier = len(self.ring)
        self.ring.append(node)
        if earlier:
            at = self.dice.randrange(earlier)
            self.ring[at], self.ring[earlier] = self.ring[earlier], self.ring[at]

    def reap(self, now_ns: int) -> None:
        """Forget nodes that are dead or left for longer than gossip reaches them, and shuffle (spec §6.10)."""
        limit = self.timing.gossip_to_the_dead_time_ns
        kept = []
        for node in self.ring:
            if not node.gone or now_ns - node.state_change_ns <= limit:
                kept.append(node)
            elif node.state is NodeState.DEAD and node.name != self.me:
                self.lost.remember(node.name, node.address, now_ns)
        if len(kept) != len(self.ring):
            self.ring = kept
            self.nodes = {node.name: node for node in kept}
        self.dice.shuffle(self.ring)

    def any_other_alive(self) -> bool:
        return any(not node.gone and node.name != self.me for node in self.ring)

    def alive_count(self) -> int:
        """Nodes alive or suspect, ourselves included (upstream `NumMembers`)."""
        return sum([node.state < _DEAD for node in self.ring])

    def judge_health(self, delta: int) -> None:
        if self.awareness.apply(delta):
            self.metrics.gauge("memberlist.health.score", self.awareness.score)
