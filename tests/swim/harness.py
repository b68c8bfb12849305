"""Engines for the tests of this folder: one alone, or a few on a small network in memory, on virtual time."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, TypeVar

from serfcompat.errors import MergeRefused
from serfcompat.swim.config import MemberlistConfig
from serfcompat.swim.effects import (
    CancelTimer,
    Effect,
    Emit,
    Finished,
    SendPacket,
    SetTimer,
    StartPushPull,
    StartTcpPing,
    TimerKey,
)
from serfcompat.swim.engine import Swim
from serfcompat.swim.events import NodeState
from serfcompat.swim.hooks import Hooks
from serfcompat.swim.metrics import CountingMetrics
from serfcompat.swim.table import Node as TableNode
from serfcompat.wire.address import Address, ip_bytes
from serfcompat.wire.layers import Layers
from serfcompat.wire.messages import Ack, Alive, Dead, IndirectPing, Nack, Ping, Suspect
from serfcompat.wire.packet import compound, peel
from serfcompat.wire.stream import PushPull, StreamReader

MS, SECOND = 1_000_000, 1_000_000_000
VSN = bytes((1, 5, 2, 0, 0, 0))
HERE, THERE, ELSEWHERE = (Address(ip_bytes(f"10.0.0.{n}"), 7946) for n in (1, 2, 3))
KEY = bytes(range(16))
QUIET = {"probe_interval": 0.0, "gossip_interval": 0.0, "push_pull_interval": 0.0, "queue_check_interval": 0.0}
"Nothing happens by itself."
E = TypeVar("E")
_DECODERS = (Ping, IndirectPing, Ack, Nack, Suspect, Alive, Dead)


def decode(message: bytes) -> Any:
    """A message as a value; a user message as its bytes."""
    for kind in _DECODERS:
        if message[0] == kind.TYPE:
            return kind.decode(message[1:])
    return message


def alive(name: str, incarnation: int = 1, address: Address = THERE, *, meta: bytes | None = None, vsn: bytes = VSN):
    return Alive(incarnation, name.encode(), address.ip, address.port, meta, vsn)


def suspect(name: str, incarnation: int = 1, *, by: str = "accuser") -> Suspect:
    return Suspect(incarnation, name.encode(), by.encode())


def dead(name: str, incarnation: int = 1, *, by: str = "accuser") -> Dead:
    return Dead(incarnation, name.encode(), by.encode())


def address_of(number: int) -> Address:
    return Address(bytes((10, 1, number >> 8, number & 255)), 7946)


class Sent(tuple[Any, ...]):
    """The messages of one packet, decoded, and where it went."""

    data: bytes
    to: Address


class Node:
    """One engine that has started, and everything that it asked for."""

    def __init__(
        self,
        name: str = "me",
        *,
        address: Address = HERE,
        hooks: Hooks | None = None,
        seed: int = 7,
        started: bool = True,
        **config: Any,
    ) -> None:
        self.address = address
        self.metrics = CountingMetrics()
        self.engine = Swim(
            MemberlistConfig.lan(name=name, enable_compression=False, **config),
            advertise=address,
            dice=random.Random(seed),
            nonce=lambda: b"n" * 12,
            hooks=hooks,
            metrics=self.metrics,
        )
        self.table = self.engine.table
        self.now_ns = 0
        self.effects: list[Effect] = []
        self.timers: dict[TimerKey, int] = {}
        if started:
            self.did(self.engine.start(0))

    # -- steps ----------------------------------------------------------------------------

    def did(self, effects: list[Effect]) -> list[Effect]:
        self.effects += effects
        for effect in effects:
            match effect:
                case SetTimer(key, at_ns):
                    self.timers[key] = at_ns
                case CancelTimer(key):
                    self.timers.pop(key, None)
        return effects

    def hear(self, *messages: Any, source: Address = THERE) -> list[Effect]:
        """A packet arrives. Messages are handled in the order given: they are sent in reverse."""
        raw = [message if isinstance(message, bytes) else message.encode() for message in reversed(messages)]
        return self.receive(raw[0] if len(raw) == 1 else compound(raw), source=source)

    def receive(self, data: bytes, *, source: Address = THERE) -> list[Effect]:
        return self.did(self.engine.on_packet(data, source, self.now_ns))

    def merge(self, *nodes: Any, join: bool = False, user_state: bytes | None = None) -> list[Effect]:
        """The other half of a push/pull arrives."""
        return self.did(self.engine.merge_remote_state(PushPull(join, nodes, user_state), join, self.now_ns))

    def timer(self, *key: Hashable) -> list[Effect]:
        """A timer fires, when it is due or at once if that is past."""
        self.now_ns = max(self.now_ns, self.timers.pop(key))
        return self.did(self.engine.on_timer(key, self.now_ns))

    def run_until(self, at_ns: int) -> list[Effect]:
        """Let timers fire in order until then."""
        effects: list[Effect] = []
        while self.timers and min(self.timers.values()) <= at_ns:
            key = min(self.timers, key=self.timers.__getitem__)
            effects += self.timer(*key)
        self.now_ns = at_ns
        return effects

    def knows(self, name: str, address: Address = THERE, **fields: Any) -> TableNode:
        """Put a node into the table, without a word to anybody."""
        fields = {"incarnation": 1, "state": NodeState.ALIVE, "vsn": VSN, "state_change_ns": self.now_ns} | fields
        node = TableNode(name.encode(), addr=address.ip, port=address.port, **fields)
        self.table.ring.append(node)
        self.table.nodes[node.name] = node
        return node

    def knows_many(self, count: int) -> list[TableNode]:
        return [self.knows(f"n{number}", address_of(number)) for number in range(count)]

    # -- what came out --------------------------------------------------------------------

    def node(self, name: str) -> TableNode:
        return self.table.nodes[name.encode()]

    def state(self, name: str) -> NodeState | None:
        node = self.table.nodes.get(name.encode())
        return None if node is None else node.state

    def gossip(self) -> list[Any]:
        """Takes what would be gossiped now, decoded."""
        return [decode(message) for message in self.table.broadcasts.get(2, 100_000, len(self.table.ring))]

    def silence(self) -> None:
        """Forget what is queued, done and due so far."""
        self.table.broadcasts.reset()
        self.table.broadcasts.finished.clear()
        self.effects.clear()
        self.timers.clear()
        self.metrics.counters.clear()

    def count(self, metric: str) -> float:
        return self.metrics.counters.get(metric, 0)

    def sent(self, effects: Sequence[Effect]) -> list[Sent]:
        return [self.open(effect) for effect in effects if isinstance(effect, SendPacket)]

    def open(self, packet: SendPacket) -> Sent:
        layers = self.engine.layers
        peeled = peel(packet.data, Layers(label=layers.label, keys=layers.keys, verify_incoming=False))
        assert not peeled.drops
        assert not peeled.unsupported
        sent = Sent(map(decode, peeled.messages))
        sent.data, sent.to = packet.data, packet.to
        return sent


def quiet(**config: Any) -> Node:
    """A node that has said its first word, and does nothing by itself."""
    me = Node(**config)
    me.silence()
    return me


def events(effects: Iterable[Effect]) -> list[Any]:
    return [effect.event for effect in effects if isinstance(effect, Emit)]


def of(kind: type[E], effects: Iterable[Any]) -> list[E]:
    return [effect for effect in effects if isinstance(effect, kind)]


class Network:
    """A few nodes, virtual time, and packets and streams between them that take `delay_ns` each way."""

    def __init__(self, *, delay_ns: int = MS) -> None:
        self.delay_ns = delay_ns
        self.now_ns = 0
        self.nodes: dict[Address, Node] = {}
        self.cut: Callable[[Address, Address], bool] = lambda _from, _to: False
        "(from, to) → whether nothing gets through, by packet or stream."
        self.udp_cut: Callable[[Address, Address], bool] = lambda _from, _to: False
        "The same for packets alone."
        self.finished: list[Hashable] = []
        self.happened: list[tuple[int, str, Any]] = []
        "(when, to whom, event)"
        self._paused: dict[Address, tuple[list[Callable[[], None]], list[Callable[[], None]]]] = {}
        "Stopped nodes: the timers, and the packets, that wait for them."
        self._agenda: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0
        self._timers: dict[tuple[Address, TimerKey], int] = {}
        "(node, key) → number of the agenda's entry that counts."

    # -- hosts ----------------------------------------------------------------------------

    def add(self, name: str, address: Address, **config: Any) -> Node:
        """Start a node now; whoever had the address before is gone."""
        self.kill(address)
        config.setdefault("seed", len(self.happened))
        node = Node(name, address=address, started=False, **config)
        self.nodes[address] = node
        self.perform(node, node.engine.start(self.now_ns))
        return node

    def kill(self, address: Address) -> None:
        self.nodes.pop(address, None)
        self._timers = {key: order for key, order in self._timers.items() if key[0] != address}

    def join(self, node: Node, other: Node) -> None:
        self._exchange(node, other.address, join=True)

    def pause(self, node: Node) -> None:
        """Stop a node as SIGSTOP does."""
        self._paused[node.address] = ([], [])

    def resume(self, node: Node) -> None:
        """Let it go on: at worst all its timers fire before it reads a packet."""
        timers, packets = self._paused.pop(node.address)
        for act in (*timers, *packets):
            act()

    # -- time -----------------------------------------------------------------------------

    def run(self, duration_ns: int, until: Callable[[], bool] = lambda: False) -> bool:
        """Let time pass; whether `until` came true in it."""
        end_ns = self.now_ns + duration_ns
        while self._agenda and self._agenda[0][0] <= end_ns:
            self.now_ns, _, act = heapq.heappop(self._agenda)
            act()
            if until():
                return True
        self.now_ns = end_ns
        return until()

    def at(self, at_ns: int, act: Callable[[], None]) -> int:
        self._count += 1
        heapq.heappush(self._agenda, (max(at_ns, self.now_ns), self._count, act))
        return self._count

    def step(self, node: Node, act: Callable[[Swim, int], list[Effect]]) -> None:
        self.perform(node, act(node.engine, self.now_ns))

    def perform(self, node: Node, effects: list[Effect]) -> None:
        node.now_ns = self.now_ns
        node.did(effects)
        for effect in effects:
            match effect:
                case SendPacket(data, to):
                    self.at(self.now_ns + self.delay_ns, lambda data=data, to=to: self._arrive(data, node.address, to))
                case SetTimer(key, at_ns):
                    order = self._count + 1
                    self._timers[node.address, key] = self.at(at_ns, lambda key=key, o=order: self._due(node, key, o))
                case CancelTimer(key):
                    self._timers.pop((node.address, key), None)
                case StartPushPull(to, _, join):
                    self.at(self.now_ns, lambda to=to, join=join: self._exchange(node, to, join=join))
                case StartTcpPing():
                    self._tcp_ping(node, effect)
                case Finished(token):
                    self.finished.append(token)
                case Emit(event):
                    self.happened.append((self.now_ns, node.engine.config.name, event))

    # -- inside ---------------------------------------------------------------------------

    def _through(self, source: Address, to: Address) -> Node | None:
        closed = self.cut(source, to) or self.cut(to, source) or to in self._paused
        return None if closed else self.nodes.get(to)

    def _arrive(self, data: bytes, source: Address, to: Address) -> None:
        node = self.nodes.get(to)
        if to in self._paused:
            self._paused[to][1].append(lambda: self._arrive(data, source, to))
        elif node is not None and not self.cut(source, to) and not self.udp_cut(source, to):
            self.step(node, lambda swim, now_ns: swim.on_packet(data, source, now_ns))

    def _due(self, node: Node, key: TimerKey, order: int) -> None:
        if node.address in self._paused:
            self._paused[node.address][0].append(lambda: self._due(node, key, order))
        elif self._timers.get((node.address, key)) == order and self.nodes.get(node.address) is node:
            del self._timers[node.address, key]
            self.step(node, lambda swim, now_ns: swim.on_timer(key, now_ns))

    def _exchange(self, node: Node, to: Address, *, join: bool) -> None:
        other = self._through(node.address, to)
        if other is None or self.nodes.get(node.address) is not node:
            return
        asked = read_push_pull(node.engine.local_state(join), node.engine.layers)
        answer = read_push_pull(other.engine.local_state(asked.join), node.engine.layers)
        for one, remote in ((other, asked), (node, answer)):
            try:
                self.step(one, lambda swim, now_ns, r=remote: swim.merge_remote_state(r, asked.join, now_ns))
            except MergeRefused:
                return

    def _tcp_ping(self, node: Node, effect: StartTcpPing) -> None:
        other = self._through(node.address, effect.to)
        ack = None if other is None else other.engine.on_stream_ping(Ping.decode(effect.message[1:]))
        at_ns = effect.deadline_ns if ack is None else self.now_ns + 2 * self.delay_ns
        self.at(
            at_ns,
            lambda: self.step(node, lambda swim, now_ns: swim.on_tcp_ping_done(effect.seq_no, ack is not None, now_ns)),
        )


def read_push_pull(message: bytes, layers: Layers | None = None) -> PushPull:
    """A push/pull message as the other side reads it."""
    chunks = [message]
    reader = StreamReader(lambda _size: chunks.pop() if chunks else b"", Layers(compress=False))
    assert reader.read_type() == message[0]
    return reader.read_push_pull()
