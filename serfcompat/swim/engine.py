"""`Swim`: one node's SWIM state machine. It routes, and owns no rule.

Bytes, timers and a time come in; effects go out; nothing is read, drawn or awaited
here. Each step is atomic. Who drives it (the ring or the simulator) performs the
effects in order and calls `on_timer` when a timer that was set is due.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable
from functools import lru_cache

from serfcompat.errors import SerfCompatError, StateError, WireError
from serfcompat.swim import pushpull
from serfcompat.swim.claims import (
    MAX_CLAIM,
    announce,
    on_alive,
    on_dead,
    on_suspect,
    on_suspicion_timeout,
    with_known_port,
)
from serfcompat.swim.complaints import OncePerSource
from serfcompat.swim.config import META_MAX, MemberlistConfig
from serfcompat.swim.dice import Dice
from serfcompat.swim.effects import Effect, Emit, Finished, SetTimer, TimerKey
from serfcompat.swim.events import MessageReceived, NodeView
from serfcompat.swim.gossip import on_gossip_tick, pace
from serfcompat.swim.handoff import HandoffQueue
from serfcompat.swim.hooks import Hooks
from serfcompat.swim.keyring import Keyring
from serfcompat.swim.metrics import Metrics
from serfcompat.swim.probe import Prober
from serfcompat.swim.relay import Relay
from serfcompat.swim.reminder import remind
from serfcompat.swim.sender import Sender, user_packet
from serfcompat.swim.table import Membership, text
from serfcompat.swim.ticker import Ticker
from serfcompat.wire.address import Address
from serfcompat.wire.layers import Layers
from serfcompat.wire.messages import Ack, Alive, Dead, IndirectPing, Nack, Ping, Suspect
from serfcompat.wire.packet import peel
from serfcompat.wire.stream import PushPull
from serfcompat.wire.types import MessageType

_INLINE = frozenset((MessageType.PING, MessageType.INDIRECT_PING, MessageType.ACK, MessageType.NACK))
_UNBOUNDED = frozenset((MessageType.ACK, MessageType.USER))
"Types whose contents belong to the layer above, and are not kept here."


@lru_cache(maxsize=256)
def _claim(message: bytes) -> Alive | Suspect | Dead:
    """A claim, decoded. The same one comes many times, from all who pass it on. Raises WireError."""
    match message[0]:
        case MessageType.ALIVE:
            return Alive.decode(message[1:])
        case MessageType.SUSPECT:
            return Suspect.decode(message[1:])
    return Dead.decode(message[1:])


def forget() -> None:
    """Keep no claim that was decoded: for measurements, which do the same thing over and over."""
    _claim.cache_clear()


class Swim:
    """One memberlist node, without its sockets."""

    def __init__(
        self,
        config: MemberlistConfig,
        *,
        advertise: Address,
        dice: Dice,
        nonce: Callable[[], bytes],
        hooks: Hooks | None = None,
        metrics: Metrics | None = None,
        log: logging.Logger | None = None,
    ) -> None:
        """Nothing happens before `start`.

        Args:
            config: With a real name and the port really bound.
            advertise: Where others reach us.
            nonce: Draws 12 fresh bytes for each encryption.

        Raises:
            UsageError: A configuration that can't work; it names every problem.
        """
        config.check()
        self.config = config
        self.advertise = advertise
        self.keyring = Keyring(config.keyring, primary=config.secret_key)
        self.layers = Layers(
            label=config.label,
            keys=self.keyring,
            compress=config.enable_compression,
            encryption_version=0 if config.protocol_version == 1 else 1,
            verify_incoming=config.gossip_verify_incoming,
            verify_outgoing=config.gossip_verify_outgoing,
            skip_inbound_label_check=config.skip_inbound_label_check,
        )
        name = config.name.encode("utf-8", "surrogateescape")
        self.table = Membership(name, config=config, dice=dice, hooks=hooks, metrics=metrics, log=log or config.logger)
        self.metrics = self.table.metrics
        self.log = self.table.log
        self._sender = Sender(self.table, self.layers, nonce)
        self._prober = Prober(self.table, self._sender)
        self._relay = Relay(self.table, self._sender)
        self._handoff = HandoffQueue(config.handoff_queue_depth)
        self._complaints = OncePerSource(self.log)
        timing = self.table.timing
        self._tickers: dict[Hashable, Ticker] = {
            "probe": Ticker(timing.probe_interval_ns, self._prober.on_tick),
            "gossip": Ticker(
                timing.gossip_interval_ns if config.gossip_nodes > 0 else 0,
                lambda now_ns: on_gossip_tick(self.table, self._sender, now_ns),
                lambda: pace(self.table, self._sender),
            ),
            "queue-check": Ticker(timing.queue_check_interval_ns, self._sample_queue),
        }

    # -- life ---------------------------------------------------------------------------------

    def start(self, now_ns: int) -> list[Effect]:
        """Announce ourselves and begin to probe, gossip and exchange state, each after a random stagger."""
        effects = self._announce(now_ns, token=None)
        if self.table.myself is None:
            raise StateError("our own alive claim was refused by the alive hook or by cidrs_allowed")
        for name, ticker in self._tickers.items():
            if ticker.interval_ns > 0:
                stagger = 0 if name == "queue-check" else int(self.table.dice.random() * ticker.interval_ns)
                effects.append(SetTimer((name,), ticker.begin(now_ns + stagger)))
        if (interval_ns := self.table.timing.push_pull_interval_ns) > 0:
            stagger = int(self.table.dice.random() * interval_ns)
            effects.append(SetTimer(("push-pull",), now_ns + stagger + self._push_pull_interval_ns()))
        return self._settle(effects)

    def update_node(self, now_ns: int, token: Hashable) -> list[Effect]:
        """Advertise new metadata; `Finished(token)` once it has been gossiped, or at once if nobody listens.

        Raises StateError if the alive hook refuses it, or we are leaving.
        """
        self._require_self()
        effects = self._announce(now_ns, token)
        if self._require_self().incarnation != self.table.incarnation:
            raise StateError("our new alive claim was refused: by the alive hook, or because we are leaving")
        if not self.table.any_other_alive():
            effects.append(Finished(token))
        return self._settle(effects)

    def leave(self, now_ns: int, token: Hashable) -> list[Effect]:
        """Say goodbye; `Finished(token)` as for `update_node`. A second call does nothing more (M-189).

        The node goes on answering until it is shut down.
        """
        if self.table.leaving:
            return [Finished(token)]
        me = self._require_self()
        self.table.leaving = True
        claim = Dead(me.incarnation, node=self.table.me, from_=self.table.me)
        effects = on_dead(self.table, claim, now_ns, token=token)
        if not self.table.any_other_alive():
            effects.append(Finished(token))
        return self._settle(effects)

    # -- what comes in ------------------------------------------------------------------------

    def on_packet(self, data: bytes, source: Address, now_ns: int) -> list[Effect]:
        """One datagram (spec memberlist §1.9). `now_ns` is taken close to the read: it feeds round trips."""
        self.metrics.incr("memberlist.udp.received", len(data))
        peeled = peel(data, self.layers)
        effects: list[Effect] = []
        for reason in peeled.drops:
            self.drop(reason, source)
        for kind in peeled.unsupported:
            self.drop(f"unsupported:{kind}", source)
        for message in peeled.messages:
            kind = message[0]
            if len(message) > MAX_CLAIM and kind not in _UNBOUNDED:
                self.drop("claim_too_large", source)
            elif kind in _INLINE:
                effects += self._on_inline(kind, message[1:], source, now_ns)
            elif kind == MessageType.ALIVE and not self._source_allowed(source):
                self.metrics.incr("serfcompat.drop.cidr")
                self.log.debug("memberlist: alive claim blocked: its source %s is not in cidrs_allowed", source)
            elif not self._handoff.put(message, high=kind == MessageType.ALIVE):
                self.drop(f"handoff_full:{MessageType(kind).name.lower()}", source)
        while (queued := self._handoff.pop()) is not None:
            effects += self._on_queued(queued, source, now_ns)
        return self._settle(effects)

    def on_timer(self, key: TimerKey, now_ns: int) -> list[Effect]:
        """A timer that was set is due."""
        if len(key) == 1 and (ticker := self._tickers.get(key[0])) is not None:  # by far the most frequent
            effects = ticker.tick(now_ns)
            effects.append(SetTimer(key, ticker.next_ns))
            return self._settle(effects)
        match key:
            case ("suspicion", bytes(name)):
                effects = on_suspicion_timeout(self.table, name, now_ns)
            case ("probe-direct", int(seq_no)):
                effects = self._prober.on_direct_timeout(seq_no, now_ns)
            case ("probe-deadline", int(seq_no)):
                effects = self._prober.on_deadline(seq_no, now_ns)
            case ("relay", int(seq_no)):
                effects = self._relay.on_timeout(seq_no)
            case ("push-pull",):
                effects = pushpull.on_push_pull_tick(self.table, now_ns)
                effects.append(SetTimer(key, now_ns + self._push_pull_interval_ns()))
            case _:
                raise AssertionError(f"a timer that SWIM never set: {key!r}")
        return self._settle(effects)

    def on_send_failed(self, seq_no: int, now_ns: int, *, remote: bool = True) -> list[Effect]:
        """A packet whose `probe` was `seq_no` could not be sent: the network refused it, or (not `remote`) we can't."""
        return self._settle(self._prober.on_send_failed(seq_no, now_ns, remote=remote))

    def on_tcp_ping_done(self, seq_no: int, ok: bool, now_ns: int) -> list[Effect]:
        """The result of a `StartTcpPing`."""
        return self._settle(self._prober.on_tcp_ping_done(seq_no, ok, now_ns))

    def drop(self, reason: str, source: Address) -> None:
        """Count something from outside that was thrown away, and complain about it once per source."""
        self.metrics.incr(f"serfcompat.drop.{reason.partition(':')[0]}")
        self._complaints.about(reason, str(source))

    # -- streams ------------------------------------------------------------------------------

    def local_state(self, join: bool) -> bytes:
        """Our half of a push/pull: a whole message, not yet compressed or encrypted."""
        return pushpull.local_state(self.table, join)

    def merge_remote_state(self, remote: PushPull, join: bool, now_ns: int) -> list[Effect]:
        """The other half. Raises `MergeRefused`, and then nothing was merged."""
        return self._settle(pushpull.merge(self.table, remote, now_ns, join=join))

    def on_user_message(self, payload: bytes, now_ns: int) -> list[Effect]:
        """A user message that came over a stream."""
        return [Emit(MessageReceived(payload))]

    def on_stream_ping(self, ping: Ping) -> Ack | None:
        """The answer to a ping over TCP; None: it was meant for somebody else, hang up (spec §2.8)."""
        if not self._for_us(ping.node):
            return None
        return Ack(ping.seq_no, None)  # ⚠ the ack payload hook is not asked here

    # -- what we send -------------------------------------------------------------------------

    def ping(self, name: bytes, to: Address, now_ns: int) -> tuple[int, list[Effect]]:
        """Ping once; a `PingAnswered` with the number returned tells the round trip (M-172)."""
        return self._relay.call(name, to, now_ns)

    def send_user(self, payload: bytes, to: Address, name: bytes, now_ns: int) -> list[Effect]:
        """One user message to an address, no piggyback, no retry (SendToAddress)."""
        return self._sender.raw(user_packet(payload), to, name=name)

    def send_best_effort(self, name: bytes, payload: bytes, now_ns: int) -> list[Effect]:
        """One user message to a known node (SendBestEffort)."""
        node = self.table.nodes.get(name)
        if node is None:
            raise StateError(f"no node named {text(name)!r} is known")
        return self._sender.raw(user_packet(payload), node.address, node=node)

    # -- what is known ------------------------------------------------------------------------

    def members(self) -> list[NodeView]:
        """Nodes alive or suspect, in probe order."""
        return [node.view() for node in self.table.ring if not node.gone]

    def node(self, name: bytes) -> NodeView | None:
        node = self.table.nodes.get(name)
        return None if node is None else node.view()

    def local_node(self) -> NodeView:
        """Ourselves. Raises `StateError` if we are not in our own table."""
        return self._require_self()

    def gossip_room(self) -> int:
        """Bytes for broadcasts in a gossip packet."""
        return self._sender.gossip_room()

    def alive_count(self) -> int:
        return self.table.alive_count()

    def any_other_alive(self) -> bool:
        return self.table.any_other_alive()

    @property
    def health_score(self) -> int:
        return self.table.awareness.score

    # -- inside -------------------------------------------------------------------------------

    def _on_inline(self, kind: int, body: bytes, source: Address, now_ns: int) -> list[Effect]:
        """Pings and acks are answered at once, before any claim (M-041)."""
        try:
            match kind:
                case MessageType.PING:
                    return self._on_ping(Ping.decode(body), source, now_ns)
                case MessageType.INDIRECT_PING:
                    return self._relay.on_indirect_ping(IndirectPing.decode(body), source, now_ns)
                case MessageType.ACK:
                    ack = Ack.decode(body)
                    effects = self._relay.on_ack(ack.seq_no, now_ns)
                    return self._prober.on_ack(ack.seq_no, ack.payload, now_ns) if effects is None else effects
                case _:
                    self._prober.on_nack(Nack.decode(body).seq_no)
        except WireError as error:
            self._undecodable(kind, error, source)
        return []

    def _on_ping(self, ping: Ping, source: Address, now_ns: int) -> list[Effect]:
        if not self._for_us(ping.node):
            self.drop("ping_wrong_node", source)
            return []
        hook = self.table.hooks.ack_payload
        ack = Ack(ping.seq_no, hook() if hook is not None else None)
        known = ping.source_addr and ping.source_port
        # ⚠ To where the pinger says that it listens, not to where the datagram came from (M-166).
        to = Address(ping.source_addr or b"", ping.source_port) if known else source
        effects = self._sender.piggybacked(ack.encode(), to, name=ping.source_node)
        return effects + remind(self.table, self._sender, ping.source_node, to, now_ns)

    def _on_queued(self, message: bytes, source: Address, now_ns: int) -> list[Effect]:
        kind = message[0]
        if kind == MessageType.USER:
            return [Emit(MessageReceived(message[1:]))]
        try:
            claim = _claim(message)
        except WireError as error:
            self._undecodable(kind, error, source)
            return []
        match claim:
            case Suspect():
                return on_suspect(self.table, claim, now_ns)
            case Alive():
                return self._on_alive(claim, now_ns)
            case Dead():
                return on_dead(self.table, claim, now_ns)

    def _on_alive(self, claim: Alive, now_ns: int) -> list[Effect]:
        claim = with_known_port(claim, bind_port=self.config.bind_port, protocol=self.config.protocol_version)
        if claim.addr is not None and not self.table.allowed.allows(claim.addr):
            self.metrics.incr("serfcompat.drop.cidr")
            self.log.debug("memberlist: alive claim of %s blocked by cidrs_allowed", text(claim.node))
            return []
        effects = on_alive(self.table, claim, now_ns)
        return effects + remind(self.table, self._sender, claim.node, Address(claim.addr or b"", claim.port), now_ns)

    def _undecodable(self, kind: int, error: WireError, source: Address) -> None:
        self.metrics.incr("serfcompat.drop.undecodable")
        self._complaints.about(f"undecodable {MessageType(kind).name.lower()}", str(source), detail=str(error))

    def _source_allowed(self, source: Address) -> bool:
        return not self.table.allowed or self.table.allowed.allows(source.ip)

    def _for_us(self, name: bytes) -> bool:
        return not name or name == self.table.me

    def _announce(self, now_ns: int, token: Hashable | None) -> list[Effect]:
        me = self.table.myself
        hook = self.table.hooks.node_meta
        meta = hook(META_MAX) if hook is not None else None
        if meta is not None and len(meta) > META_MAX:
            raise SerfCompatError(f"the metadata hook returned {len(meta)} bytes; at most {META_MAX} may be advertised")
        return announce(self.table, self.advertise if me is None else me.address, meta, now_ns, token)

    def _require_self(self) -> NodeView:
        me = self.table.myself
        if me is None:  # refused by a hook, or reaped after a leave; upstream crashes here (defect B-10)
            raise StateError("this node is not in its own member table (it left, or its claim was refused)")
        return me.view()

    def _push_pull_interval_ns(self) -> int:
        return pushpull.scaled_interval(self.table.timing.push_pull_interval_ns, len(self.table.ring))

    def _sample_queue(self, now_ns: int) -> list[Effect]:
        self.metrics.sample("memberlist.queue.broadcasts", len(self.table.broadcasts))
        return []

    def _settle(self, effects: list[Effect]) -> list[Effect]:
        """Add who may stop waiting because of what this step did to the queue."""
        finished = self.table.broadcasts.finished
        if finished:
            effects += [Finished(token) for token in finished]
            finished.clear()
        return effects
