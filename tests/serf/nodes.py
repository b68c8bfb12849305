"""Engines for the tests of this folder: one alone, or several on a small network in memory, on virtual time."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from serfcompat.serf.config import Config
from serfcompat.serf.dispatch import absorb, on_message
from serfcompat.serf.effects import Deliver, JoinAgain, Rejoin, SerfEffect
from serfcompat.serf.engine import SerfEngine
from serfcompat.serf.events import Event
from serfcompat.serf.member import MemberStatus
from serfcompat.serf.snapshot import Snapshot
from serfcompat.serf.text import raw
from serfcompat.swim.effects import (
    CancelTimer,
    Effect,
    Emit,
    Finished,
    SendPacket,
    SetTimer,
    StartPushPull,
    StartTcpPing,
)
from serfcompat.swim.events import NodeJoined, NodeLeft, NodeState, NodeUpdated, NodeView
from serfcompat.swim.metrics import CountingMetrics
from serfcompat.wire.address import Address, ip_bytes
from serfcompat.wire.layers import Layers
from serfcompat.wire.packet import peel
from serfcompat.wire.stream import PushPull, StreamReader

SECOND = 1_000_000_000
VERSIONS = bytes((1, 5, 2, 2, 5, 4))
HERE = Address(b"\x0a\x00\x00\x01", 7946)
T = TypeVar("T")


class FixedDice(random.Random):
    """Dice whose next values of `random()` can be chosen."""

    def __init__(self, seed: int = 7) -> None:
        super().__init__(seed)
        self.next: list[float] = []

    def random(self) -> float:
        return self.next.pop(0) if self.next else super().random()


class Node:
    """An engine and everything that it asked for."""

    def __init__(
        self, name: str = "me", *, address: Address = HERE, restored: Snapshot | None = None, **config: Any
    ) -> None:
        self.name = name
        self.address = address
        self.metrics = CountingMetrics()
        self.dice = FixedDice()
        self.engine = SerfEngine(
            Config.lan(node_name=name, **config),
            advertise=address,
            dice=self.dice,
            nonce=lambda: b"n" * 12,
            metrics=self.metrics,
            restored=restored,
        )
        self.core = self.engine.core
        self.now_ns = 0
        self.effects: list[SerfEffect] = []

    # -- steps ----------------------------------------------------------------------------

    def start(self) -> Node:
        self.did(self.engine.start(self.now_ns))
        return self

    def did(self, effects: list[SerfEffect]) -> list[SerfEffect]:
        self.effects += effects
        return effects

    def hear(self, message: Any) -> list[SerfEffect]:
        """A Serf message arrives, by gossip or direct."""
        on_message(self.core, message if isinstance(message, bytes) else message.encode(), self.now_ns)
        return self.settle()

    def settle(self) -> list[SerfEffect]:
        return self.did(self.engine._settle(self.now_ns))

    def swim(self, *events: Any) -> list[SerfEffect]:
        """SWIM reports something."""
        emitted: list[Effect] = [Emit(event) for event in events]
        absorb(self.core, emitted, self.now_ns)
        return self.settle()

    def joins(self, name: str, **fields: Any) -> list[SerfEffect]:
        return self.swim(NodeJoined(view(name, **fields)))

    def leaves(self, name: str, **fields: Any) -> list[SerfEffect]:
        return self.swim(NodeLeft(view(name, **fields)))

    def updates(self, name: str, **fields: Any) -> list[SerfEffect]:
        return self.swim(NodeUpdated(view(name, **fields)))

    def timer(self, *key: Hashable) -> list[SerfEffect]:
        return self.did(self.engine.on_timer(key, self.now_ns))

    def gossip(self, limit: int = 100_000) -> list[bytes]:
        """What would ride on the next packet; also ends waits for it."""
        messages = self.engine._broadcasts(3, limit)
        self.settle()
        return messages

    # -- what came out --------------------------------------------------------------------

    def status(self, name: str) -> MemberStatus | None:
        entry = self.core.members.get(raw(name))
        return None if entry is None else entry.status

    def ltime(self, name: str) -> int:
        return self.core.members.by_name[raw(name)].status_ltime

    def events(self) -> list[Event]:
        return [effect.event for effect in self.effects if isinstance(effect, Deliver)]

    def told(self) -> list[str]:
        """Member events as `member-join b`, others as they print."""
        return [
            f"{event} {' '.join(m.name for m in event.members)}" if hasattr(event, "members") else str(event)
            for event in self.events()
        ]

    def of(self, kind: type[T]) -> list[T]:
        return [effect for effect in self.effects if isinstance(effect, kind)]

    def sent(self) -> list[tuple[bytes, Address]]:
        """Serf messages in the packets sent, with where they went."""
        return [
            (message[1:], packet.to)
            for packet in self.of(SendPacket)
            for message in peel(packet.data, Layers()).messages
            if message[0] == 8
        ]

    def forget(self) -> None:
        self.effects.clear()


def view(
    name: str,
    *,
    state: NodeState = NodeState.ALIVE,
    addr: bytes = b"\x0a\x00\x00\x09",
    port: int = 7946,
    meta: bytes | None = b"\xff\x80",
    vsn: bytes = VERSIONS,
) -> NodeView:
    return NodeView(raw(name), addr, port, meta, vsn, state, 1)


def news(run: Callable[[Callable[[bool, int], None]], None]) -> bool:
    """Whether a handler called it news; fails if it has not decided yet."""
    verdicts: list[bool] = []
    run(lambda news, _now_ns: verdicts.append(news))
    [verdict] = verdicts
    return verdict


def read_push_pull(message: bytes) -> PushPull:
    """Parse what `local_state` returns, as the other side would."""
    left = memoryview(message)

    def recv(size: int) -> bytes:
        nonlocal left
        taken, left = bytes(left[:size]), left[size:]
        return taken

    reader = StreamReader(recv, Layers())
    reader.read_type()
    return reader.read_push_pull()


class Cluster:
    """Nodes that hear each other after a millisecond. Who is `down` hears and says nothing."""

    LATENCY_NS = 1_000_000

    def __init__(self, *names: str, **config: Any) -> None:
        self.now_ns = 0
        self.nodes: dict[str, Node] = {}
        self.down: set[str] = set()
        self.split: tuple[set[str], ...] | None = None
        "Groups that hear nothing of one another."
        self.packets = 0
        self._config = config
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._order = 0
        self._timers: dict[tuple[str, Hashable], int] = {}
        for name in names:
            self.add(name)
        for name in names[1:]:
            self.join(name, names[0])

    def __getitem__(self, name: str) -> Node:
        return self.nodes[name]

    def add(self, name: str, *, address: Address | None = None, **config: Any) -> Node:
        address = address or Address(ip_bytes(f"10.0.0.{len(self.nodes) + 1}"), 7946)
        node = self.nodes[name] = Node(name, address=address, **(self._config | config))
        node.dice.seed(len(self.nodes))
        self.step(name, lambda: node.engine.start(self.now_ns))
        return node

    def restart(self, name: str) -> Node:
        """Replace a node by one that remembers nothing."""
        self._timers = {key: order for key, order in self._timers.items() if key[0] != name}
        return self.add(name, address=self[name].address)

    def join(self, name: str, *seeds: str, ignore_old: bool = False) -> None:
        engine = self[name].engine
        engine.begin_join(ignore_old)
        for seed in seeds:
            self.push_pull(name, seed, join=True)
        self.step(name, lambda: engine.joined(len(seeds), ignore_old, self.now_ns))

    def push_pull(self, a: str, b: str, *, join: bool = False) -> None:
        ours, theirs = self[a].engine, self[b].engine
        request, answer = read_push_pull(ours.local_state(join)), read_push_pull(theirs.local_state(join))
        self.step(b, lambda: theirs.merge_remote_state(request, join, self.now_ns))
        self.step(a, lambda: ours.merge_remote_state(answer, join, self.now_ns))

    def step(self, name: str, run: Callable[[], list[SerfEffect]]) -> None:
        node = self[name]
        node.now_ns = self.now_ns
        for effect in node.did(run()):
            self._perform(name, effect)

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end_ns = self.now_ns + int(seconds * SECOND)
        while self._queue and self._queue[0][0] <= end_ns:
            self.now_ns, _, action = heapq.heappop(self._queue)
            action()
        self.now_ns = end_ns

    def until(self, done: Callable[[], object], within: float = 60.0) -> None:
        """Let time pass until something holds; fails if it doesn't come about."""
        end_ns = self.now_ns + int(within * SECOND)
        while not done():
            assert self._queue, "nothing left to happen"
            assert self._queue[0][0] <= end_ns, "it did not come about"
            self.now_ns, _, action = heapq.heappop(self._queue)
            action()

    def finished(self, name: str, token: Hashable) -> bool:
        return Finished(token) in self[name].effects

    def _at(self, at_ns: int, action: Callable[[], None]) -> None:
        self._order += 1
        heapq.heappush(self._queue, (at_ns, self._order, action))

    def _perform(self, name: str, effect: SerfEffect) -> None:
        match effect:
            case SendPacket(data, to):
                self.packets += 1
                self._at(self.now_ns + self.LATENCY_NS, lambda: self._arrive(name, data, to))
            case SetTimer(key, at_ns):
                self._order += 1
                order = self._timers[name, key] = self._order
                self._at(max(at_ns, self.now_ns), lambda: self._ring(name, key, order))
            case CancelTimer(key):
                self._timers.pop((name, key), None)
            case JoinAgain(addresses):
                for address in addresses:
                    host, _, port = address.rpartition("/")[2].rpartition(":")
                    self._perform(name, Rejoin(Address(ip_bytes(host), int(port)), b""))
            case StartPushPull(to) | Rejoin(to):
                peer = self._at_address(to)
                if name not in self.down and peer is not None and self._connected(name, peer):
                    self._at(self.now_ns, lambda: self.push_pull(name, peer, join=isinstance(effect, Rejoin)))
            case StartTcpPing(seq_no, to=to):
                target = self._at_address(to)
                ok = name not in self.down and target is not None and self._connected(name, target)
                self._at(
                    self.now_ns + self.LATENCY_NS,
                    lambda: self.step(name, lambda: self[name].engine.on_tcp_ping_done(seq_no, ok, self.now_ns)),
                )
            case _:
                pass  # kept in `node.effects`

    def _connected(self, a: str, b: str) -> bool:
        return self.split is None or any({a, b} <= group for group in self.split)

    def _at_address(self, to: Address) -> str | None:
        return next((n for n, node in self.nodes.items() if node.address == to and n not in self.down), None)

    def _arrive(self, source: str, data: bytes, to: Address) -> None:
        target = self._at_address(to)
        if target is not None and source not in self.down and self._connected(source, target):
            self.step(target, lambda: self[target].engine.on_packet(data, self[source].address, self.now_ns))

    def _ring(self, name: str, key: tuple[Hashable, ...], order: int) -> None:
        if self._timers.get((name, key)) == order:
            del self._timers[name, key]
            self.step(name, lambda: self[name].engine.on_timer(key, self.now_ns))
