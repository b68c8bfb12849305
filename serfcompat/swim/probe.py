"""Failure detection: probe one node per interval, directly, through others, and over TCP (spec memberlist §6.7).

How this works. A probe sends a ping and waits. Each way to hear an answer rescues it:

    DIRECT ──ack──▶ done: round trip known
       │ probe_timeout, or the send failed
       ▼
    INDIRECT ──ack, late or through a relay──▶ done
       │ probe_interval × (health + 1)
       ▼
    LAST CHANCE: the TCP ping's result, if it is still out
       │ no
       ▼
    the node is suspected, and our own health judged: relays that don't even send
    a nack back are a sign that it's our network that is broken, not the node's.

One probe runs at a time. A tick that comes meanwhile is kept, once, and used right after.
"""

from __future__ import annotations

from enum import Enum, auto

from serfcompat.swim.claims import on_suspect
from serfcompat.swim.dice import pick
from serfcompat.swim.effects import CancelTimer, Effect, Emit, SetTimer, StartTcpPing
from serfcompat.swim.events import NodeState, PingCompleted
from serfcompat.swim.sender import Sender
from serfcompat.swim.table import Membership, Node, text
from serfcompat.wire.address import Address
from serfcompat.wire.messages import IndirectPing, Ping, Suspect

_NACK_SINCE = 4
_TCP_PING_SINCE = 3


class Phase(Enum):
    DIRECT = auto()
    INDIRECT = auto()
    LAST_CHANCE = auto()


class Probe:
    """One running probe of one node, as it was when it was chosen."""

    __slots__ = (
        "deadline_ns",
        "delta",
        "incarnation",
        "nacks",
        "nacks_expected",
        "node",
        "phase",
        "ping",
        "sent_ns",
        "tcp",
    )

    def __init__(self, node: Node, ping: Ping, sent_ns: int, deadline_ns: int) -> None:
        self.node = node
        self.incarnation = node.incarnation
        self.ping = ping
        self.sent_ns = sent_ns
        self.deadline_ns = deadline_ns
        self.phase = Phase.DIRECT
        self.delta = -1
        "What an answer does to our health score."
        self.nacks_expected = 0
        self.nacks = 0
        self.tcp: bool | None = False
        "Result of the TCP ping: None while it is out."


class Prober:
    """Runs probes one after the other around the shuffled ring of nodes."""

    def __init__(self, table: Membership, sender: Sender) -> None:
        self.table = table
        self.sender = sender
        self.current: Probe | None = None
        self._index = 0
        self._tick_kept = False

    def on_tick(self, now_ns: int) -> list[Effect]:
        """Time to probe the next node."""
        if self.current is not None:
            self._tick_kept = True
            return []
        node = self._next(now_ns)
        return [] if node is None else self._start(node, now_ns)

    def on_ack(self, seq_no: int, payload: bytes | None, now_ns: int) -> list[Effect]:
        """An answer, from the node itself or through a relay. Only the first one counts (M-168)."""
        probe = self.current
        if probe is None or probe.ping.seq_no != seq_no or probe.phase is Phase.LAST_CHANCE:
            return []
        effects: list[Effect] = []
        if probe.phase is Phase.DIRECT:
            rtt_ns = now_ns - probe.sent_ns
            effects.append(Emit(PingCompleted(probe.node.view(), rtt_ns, payload)))
        return effects + self._end(probe.delta, now_ns)

    def on_nack(self, seq_no: int) -> None:
        """A relay reached us, but not the node: at least our own network works."""
        probe = self.current
        if probe is not None and probe.ping.seq_no == seq_no and probe.phase is not Phase.LAST_CHANCE:
            probe.nacks += 1

    def on_direct_timeout(self, seq_no: int, now_ns: int) -> list[Effect]:
        """No direct answer in time: ask others to ping, and try TCP."""
        probe = self._running(seq_no, Phase.DIRECT)
        if probe is None:
            return []
        self.table.log.debug("memberlist: no UDP answer from %s in time", text(probe.node.name))
        return self._go_indirect(probe)

    def on_send_failed(self, seq_no: int, now_ns: int, *, remote: bool) -> list[Effect]:
        """Our ping did not leave: nobody's fault yet, so our health stays as it is (M-163).

        If the network refused it, others may still reach the node: ask them at once. If the
        fault is ours (an address that we can't use), it says nothing about the node: give up.
        """
        probe = self._running(seq_no, Phase.DIRECT)
        if probe is None:
            return []
        probe.delta = 0
        if not remote:
            return self._end(0, now_ns)
        return [CancelTimer(("probe-direct", seq_no)), *self._go_indirect(probe)]

    def on_deadline(self, seq_no: int, now_ns: int) -> list[Effect]:
        """The whole interval is over."""
        probe = self.current
        if probe is None or probe.ping.seq_no != seq_no:
            return []
        effects = self._go_indirect(probe) if probe.phase is Phase.DIRECT else []
        if probe.tcp is None:
            probe.phase = Phase.LAST_CHANCE  # its own deadline is the same: the result is due
            return effects
        return effects + self._judge(probe, now_ns)

    def on_tcp_ping_done(self, seq_no: int, ok: bool, now_ns: int) -> list[Effect]:
        """What the TCP ping found."""
        probe = self.current
        if probe is None or probe.ping.seq_no != seq_no:
            return []
        probe.tcp = ok
        return self._judge(probe, now_ns) if probe.phase is Phase.LAST_CHANCE else []

    def _next(self, now_ns: int) -> Node | None:
        """The next node of the ring; at its end the ring is reaped and shuffled (M-169)."""
        table, tries = self.table, 0
        while tries < len(table.ring):
            if self._index >= len(table.ring):
                table.reap(now_ns)
                self._index = 0
                tries += 1  # ⚠ the wrap costs a try: with two nodes a round may be skipped, as upstream
                continue
            node = table.ring[self._index]
            self._index += 1
            if node.name != table.me and not node.gone:
                return node
            tries += 1
        return None

    def _start(self, node: Node, now_ns: int) -> list[Effect]:
        table = self.table
        interval_ns = table.awareness.scale(table.timing.probe_interval_ns)
        if table.awareness.score > 0:
            table.metrics.incr("memberlist.degraded.probe")
        me = self._me()
        ping = Ping(table.next_sequence(), node.name, me.ip, me.port, table.me)
        probe = self.current = Probe(node, ping, now_ns, now_ns + interval_ns)
        effects: list[Effect] = [
            SetTimer(("probe-direct", ping.seq_no), now_ns + table.timing.probe_timeout_ns),
            SetTimer(("probe-deadline", ping.seq_no), probe.deadline_ns),
        ]
        if node.state is NodeState.ALIVE:
            sent = self.sender.piggybacked(ping.encode(), node.address, name=node.name, probe=ping.seq_no)
        else:
            # A suspect must hear of it, or it could not refute in time.
            suspect = Suspect(node.incarnation, node=node.name, from_=table.me)
            sent = self.sender.together([ping.encode(), suspect.encode()], node, probe=ping.seq_no)
        if not sent:  # refused for want of a name: a failure of ours, as in `on_send_failed`
            return self._end(0, now_ns)
        return effects + sent

    def _go_indirect(self, probe: Probe) -> list[Effect]:
        table, node, ping = self.table, probe.node, probe.ping
        probe.phase = Phase.INDIRECT
        effects: list[Effect] = []
        me = self._me()

        def relay(other: Node) -> bool:
            return other.state is NodeState.ALIVE and other.name not in (table.me, node.name)

        for other in pick(table.dice, table.config.indirect_checks, table.ring, relay):
            nack = other.protocol_max >= _NACK_SINCE
            probe.nacks_expected += nack
            request = IndirectPing(ping.seq_no, node.addr, node.port, node.name, nack, me.ip, me.port, table.me)
            effects += self.sender.piggybacked(request.encode(), other.address, name=other.name)
        if self._tcp_allowed(node):
            probe.tcp = None
            effects.append(StartTcpPing(ping.seq_no, ping.encode(), node.address, node.name, probe.deadline_ns))
        return effects

    def _tcp_allowed(self, node: Node) -> bool:
        config, hook = self.table.config, self.table.hooks.disable_tcp_ping_for
        if config.disable_tcp_pings or node.protocol_max < _TCP_PING_SINCE:
            return False
        return hook is None or not hook(node.name)

    def _judge(self, probe: Probe, now_ns: int) -> list[Effect]:
        """Nothing came over UDP: TCP's word counts, otherwise suspect the node (spec §6.7, steps 10 and 11)."""
        table, node = self.table, probe.node
        if probe.tcp:
            table.log.warning(
                "memberlist: reached %s over TCP but not over UDP: check that UDP is let through", text(node.name)
            )
            return self._end(probe.delta, now_ns)
        if now_ns - probe.deadline_ns > table.timing.probe_timeout_ns:
            # It is we who were asleep: an answer may have come meanwhile, and wait to be read.
            return self._end(1, now_ns)
        delta = max(0, probe.nacks_expected - probe.nacks) if probe.nacks_expected else 1
        table.log.info("memberlist: suspecting %s: no answer to a ping by any way", text(node.name))
        claim = Suspect(probe.incarnation, node=node.name, from_=table.me)
        return on_suspect(table, claim, now_ns) + self._end(delta, now_ns)

    def _end(self, delta: int, now_ns: int) -> list[Effect]:
        probe = self.current
        assert probe is not None
        self.current = None
        self.table.judge_health(delta)
        self.table.metrics.sample("memberlist.probeNode", (now_ns - probe.sent_ns) / 1e6)
        seq_no = probe.ping.seq_no
        effects: list[Effect] = [CancelTimer(("probe-direct", seq_no)), CancelTimer(("probe-deadline", seq_no))]
        if self._tick_kept:
            self._tick_kept = False
            effects += self.on_tick(now_ns)
        return effects

    def _running(self, seq_no: int, phase: Phase) -> Probe | None:
        probe = self.current
        return probe if probe is not None and probe.ping.seq_no == seq_no and probe.phase is phase else None

    def _me(self) -> Address:
        me = self.table.myself
        return Address(b"", 0) if me is None else me.address
