"""Probing (spec memberlist §6.7): who is probed, each way in which a probe ends, and what that does to our health."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serfcompat.swim.effects import SendPacket, SetTimer, StartTcpPing
from serfcompat.swim.events import NodeState, PingCompleted
from serfcompat.swim.hooks import Hooks
from serfcompat.wire.messages import Ack, IndirectPing, Nack, Ping, Suspect
from serfcompat.wire.types import MessageType
from tests.swim.harness import ELSEWHERE, HERE, MS, QUIET, SECOND, THERE, VSN, Node, address_of, events, of, suspect

PROTOCOL_2, PROTOCOL_3 = (bytes((1, most, 2, 0, 0, 0)) for most in (2, 3))


class Probing(Node):
    """A node that probes `x`, which it has just chosen."""

    def __init__(self, *, relays: int = 0, x: dict | None = None, relay_vsn: bytes = VSN, **config) -> None:
        super().__init__(**(QUIET | {"probe_interval": 1.0} | config))
        self.silence()
        self.x = self.knows("x", **(x or {}))
        self.effects.clear()
        self.begun: list = []
        self.relays = relays
        self.relay_vsn = relay_vsn

    def begin(self) -> Probing:
        """Choose `x`; the relays come into view only then, so that none of them is chosen."""
        prober = self.engine._prober
        prober._index = 1
        self.begun = self.did(prober.on_tick(self.now_ns))
        for number in range(self.relays):
            self.knows(f"relay{number}", address_of(number), vsn=self.relay_vsn)
        return self

    @property
    def seq_no(self) -> int:
        return self.engine._prober.current.ping.seq_no

    @property
    def running(self) -> bool:
        return self.engine._prober.current is not None

    def direct_timeout(self):
        return self.timer("probe-direct", self.seq_no)

    def deadline(self):
        return self.timer("probe-deadline", self.seq_no)

    def ack(self, payload: bytes | None = None, seq_no: int | None = None):
        return self.hear(Ack(self.seq_no if seq_no is None else seq_no, payload))

    def nack(self):
        return self.hear(Nack(self.seq_no))

    def tcp(self, ok: bool):
        return self.did(self.engine.on_tcp_ping_done(self.seq_no, ok, self.now_ns))

    def unwell(self, score: int) -> Probing:
        self.table.judge_health(score)
        return self


# -- choosing ---------------------------------------------------------------------------------


def probed(me: Node, rounds: int) -> list[bytes]:
    names = []
    for _ in range(rounds):
        me.did(me.engine._prober.on_tick(me.now_ns))
        current = me.engine._prober.current
        names.append(b"" if current is None else current.node.name)
        if current is not None:
            me.hear(Ack(current.ping.seq_no, None))
    return names


@pytest.mark.statement("M-169")
def test_the_probe_order_is_a_ring_that_is_shuffled_at_each_wrap():
    me = Node(**(QUIET | {"probe_interval": 1.0}))
    me.knows_many(9)
    rounds = [probed(me, 9) for _ in range(3)]
    assert all(Counter(names) == Counter(f"n{n}".encode() for n in range(9)) for names in rounds)
    assert rounds[0] != rounds[1] != rounds[2]


@pytest.mark.statement("M-169", "M-170")
def test_old_dead_nodes_are_reaped_at_the_wrap():
    me = Node(**(QUIET | {"probe_interval": 1.0}))
    me.knows("x")
    me.knows("y", ELSEWHERE, state=NodeState.DEAD)
    me.now_ns = 31 * SECOND
    probed(me, 1)
    assert me.state("y") is NodeState.DEAD
    probed(me, 3)
    assert me.state("y") is None


@pytest.mark.statement("M-169")
def test_ourselves_and_the_gone_are_not_probed():
    me = Node(**(QUIET | {"probe_interval": 1.0}))
    for name, state in zip("abcd", NodeState, strict=True):
        me.knows(name, state=state)
    assert set(probed(me, 12)) <= {b"a", b"b", b""}


@pytest.mark.statement("M-169")
def test_alone_there_is_nobody_to_probe():
    me = Node(**(QUIET | {"probe_interval": 1.0}))
    assert probed(me, 5) == [b""] * 5
    me.table.ring.clear()
    assert probed(me, 2) == [b""] * 2


@pytest.mark.statement("M-169")
def test_the_wrap_costs_a_try_so_two_nodes_may_skip_a_round():
    me = Node(**(QUIET | {"probe_interval": 1.0}))
    me.knows("x")
    me.table.dice.shuffle = lambda _ring: None
    assert probed(me, 4) == [b"x", b"", b"x", b""]


# -- the ping ---------------------------------------------------------------------------------


@pytest.mark.statement("M-001", "M-155")
def test_a_ping_tells_who_asks_and_sets_two_timers():
    me = Probing().begin()
    (packet,) = me.sent(me.begun)
    assert packet == (Ping(me.seq_no, b"x", HERE.ip, HERE.port, b"me"),)
    assert packet.to == THERE
    assert of(SetTimer, me.begun) == [
        SetTimer(("probe-direct", me.seq_no), SECOND // 2),
        SetTimer(("probe-deadline", me.seq_no), SECOND),
    ]
    assert of(SendPacket, me.begun)[0].probe == me.seq_no
    assert me.count("memberlist.degraded.probe") == 0


def test_sequence_numbers_begin_at_1_and_wrap():
    me = Probing().begin()
    assert me.seq_no == 1
    me.table.sequence = 0xFFFFFFFF
    assert me.table.next_sequence() == 0


@pytest.mark.statement("M-155")
@pytest.mark.parametrize(("score", "interval_s"), [(1, 2), (3, 4), (7, 8), (9, 8)])
def test_our_health_stretches_the_interval_and_not_the_timeout(score, interval_s):
    me = Probing().unwell(score).begin()
    assert me.timers["probe-direct", me.seq_no] == SECOND // 2
    assert me.timers["probe-deadline", me.seq_no] == interval_s * SECOND
    assert me.count("memberlist.degraded.probe") == 1
    (tcp,) = of(StartTcpPing, me.direct_timeout())
    assert tcp.deadline_ns == interval_s * SECOND


@pytest.mark.statement("M-157", "M-010")
def test_a_suspect_hears_of_it_with_the_ping_and_nothing_else():
    me = Probing(x={"state": NodeState.SUSPECT, "incarnation": 7})
    me.table.broadcasts.put(b"\x05claim", name=b"n")
    (packet,) = me.sent(me.begin().begun)
    assert packet == (
        Ping(me.seq_no, b"x", HERE.ip, HERE.port, b"me"),
        Suspect(7, node=b"x", from_=b"me"),
    )
    assert (packet.data[0], packet.data[5]) == (MessageType.CRC, MessageType.COMPOUND)
    assert of(SendPacket, me.begun)[0].probe == me.seq_no


def test_broadcasts_ride_on_a_ping():
    me = Probing()
    me.table.broadcasts.put(b"\x08claim", name=b"n")
    (packet,) = me.sent(me.begin().begun)
    assert packet[1] == b"\x08claim"


# -- every way in which it ends: the table of §6.7 ------------------------------------------------


@pytest.mark.statement("M-156")
def test_an_ack_in_time_is_good_for_our_health_and_tells_the_round_trip():
    me = Probing().unwell(3).begin()
    me.now_ns = 20 * MS
    (completed,) = events(me.ack(b"payload"))
    assert completed == PingCompleted(me.x.view(), 20 * MS, b"payload")
    assert me.engine.health_score == 2
    assert not me.running
    assert me.timers == {}
    assert me.metrics.samples["memberlist.probeNode"] == [20.0]


@pytest.mark.statement("M-156", "M-161")
@pytest.mark.parametrize("relays", [0, 2])
def test_a_late_or_relayed_ack_rescues_the_probe_without_a_round_trip(relays):
    me = Probing(relays=relays).unwell(3).begin()
    me.direct_timeout()
    me.now_ns = 4 * SECOND - 1
    assert events(me.ack(b"payload")) == []
    assert me.engine.health_score == 2
    assert not me.running
    assert me.state("x") is NodeState.ALIVE


@pytest.mark.statement("M-156", "M-162")
@pytest.mark.parametrize("late", [False, True])
def test_tcp_rescues_the_probe_at_its_end_with_a_warning(late, caplog):
    me = Probing().unwell(3).begin()
    me.direct_timeout()
    if late:
        me.deadline()
        me.tcp(True)
    else:
        me.tcp(True)
        assert me.running  # an ack may still come
        me.deadline()
    assert not me.running
    assert me.state("x") is NodeState.ALIVE
    assert me.engine.health_score == 2
    assert [r.levelname for r in caplog.records if "over TCP but not over UDP" in r.message] == ["WARNING"]


@pytest.mark.statement("M-156", "M-163")
@pytest.mark.parametrize("how", ["ack", "tcp"])
def test_an_answer_after_the_network_refused_our_ping_leaves_our_health_alone(how):
    me = Probing(relays=1).unwell(3).begin()
    effects = me.did(me.engine.on_send_failed(me.seq_no, 0))
    assert any(isinstance(message, IndirectPing) for packet in me.sent(effects) for message in packet)
    if how == "ack":
        assert events(me.ack()) == []
    else:
        me.tcp(True)
        me.deadline()
    assert not me.running
    assert me.engine.health_score == 3
    assert me.state("x") is NodeState.ALIVE


@pytest.mark.statement("M-163")
def test_a_refused_ping_does_not_wait_for_the_direct_answer():
    me = Probing(relays=1).begin()
    me.did(me.engine.on_send_failed(me.seq_no, 0))
    assert ("probe-direct", me.seq_no) not in me.timers
    assert me.timers["probe-deadline", me.seq_no] == SECOND
    me.nack()
    me.tcp(False)
    me.deadline()
    assert me.state("x") is NodeState.SUSPECT


@pytest.mark.statement("M-156", "M-163")
def test_a_failure_of_ours_ends_the_probe_without_a_suspicion():
    me = Probing(relays=1).unwell(3).begin()
    assert me.sent(me.did(me.engine.on_send_failed(me.seq_no, 0, remote=False))) == []
    assert not me.running
    assert me.timers == {}
    assert me.engine.health_score == 3
    assert me.state("x") is NodeState.ALIVE


@pytest.mark.statement("M-024", "M-163")
def test_a_node_without_a_name_that_we_must_not_send_to_is_such_a_failure():
    me = Node(require_node_names=True, **(QUIET | {"probe_interval": 1.0}))
    me.knows("")
    me.engine._prober._index = 1
    me.did(me.engine._prober.on_tick(0))
    assert me.engine._prober.current is None
    assert me.state("") is NodeState.ALIVE


@pytest.mark.statement("M-156")
@pytest.mark.parametrize(
    ("relays", "relay_vsn", "nacks", "score"),
    [
        (0, VSN, 0, 1),  # no relays
        (3, PROTOCOL_3, 0, 1),  # none that could send a nack
        (3, VSN, 3, 0),  # all nacks came: our network is fine
        (3, VSN, 2, 1),
        (3, VSN, 0, 3),
        (2, VSN, 1, 1),
        (3, VSN, 9, 0),  # more than there can be
    ],
)
def test_what_a_failed_probe_says_about_our_own_health(relays, relay_vsn, nacks, score):
    me = Probing(relays=relays, relay_vsn=relay_vsn).unwell(2).begin()
    me.direct_timeout()
    for _ in range(nacks):
        me.nack()
    me.tcp(False)
    effects = me.deadline()
    assert me.engine.health_score == 2 + score
    assert not me.running
    assert me.state("x") is NodeState.SUSPECT
    assert of(SetTimer, effects)[0].key == ("suspicion", b"x")
    assert me.gossip() == [suspect("x", 1, by="me")]


@pytest.mark.statement("M-156")
def test_the_node_is_suspected_in_the_life_in_which_it_was_chosen():
    me = Probing(disable_tcp_pings=True).begin()
    me.direct_timeout()
    me.x.incarnation = 2  # it refuted something meanwhile
    me.deadline()
    assert me.state("x") is NodeState.ALIVE
    assert me.engine.health_score == 1


@pytest.mark.statement("M-156")
def test_a_probe_that_fails_confirms_a_suspicion():
    me = Probing(disable_tcp_pings=True)
    me.knows_many(3)
    me.hear(suspect("x"))
    me.begin()
    me.direct_timeout()
    me.deadline()
    assert me.table.suspicions[b"x"].confirmations == 1


@pytest.mark.statement("M-156", "M-158")
def test_without_time_for_a_direct_answer_others_are_asked_all_the_same():
    me = Probing(relays=2, disable_tcp_pings=True).begin()
    effects = me.deadline()  # before the direct timeout
    assert [type(packet[0]) for packet in me.sent(effects)] == [IndirectPing, IndirectPing]
    assert me.state("x") is NodeState.SUSPECT
    assert me.engine.health_score == 2


# -- indirect pings ---------------------------------------------------------------------------


@pytest.mark.statement("M-158")
def test_relays_are_asked_with_the_number_of_the_direct_ping():
    me = Probing(relays=1).begin()
    (packet,) = me.sent(me.direct_timeout())
    assert packet == (IndirectPing(me.seq_no, THERE.ip, THERE.port, b"x", True, HERE.ip, HERE.port, b"me"),)
    assert packet.to == address_of(0)


@pytest.mark.statement("M-158")
@pytest.mark.parametrize(("most", "nack"), [(3, False), (4, True), (5, True)])
def test_only_who_knows_nacks_is_asked_for_one(most, nack):
    me = Probing(relays=1, relay_vsn=bytes((1, most, 2, 0, 0, 0))).begin()
    ((request,),) = me.sent(me.direct_timeout())
    assert request.nack is nack


@pytest.mark.statement("M-159")
@pytest.mark.parametrize(("checks", "relays", "asked"), [(3, 10, 3), (1, 10, 1), (0, 10, 0), (3, 2, 2)])
def test_as_many_relays_as_configured_all_different(checks, relays, asked):
    me = Probing(relays=relays, indirect_checks=checks).begin()
    targets = [packet.to for packet in me.sent(me.direct_timeout())]
    assert len(targets) == len(set(targets)) == asked
    assert THERE not in targets
    assert HERE not in targets


@pytest.mark.statement("M-159")
def test_only_the_alive_relay():
    me = Probing().begin()
    for name, state in zip("abcd", NodeState, strict=True):
        me.knows(name, address_of(state), state=state)
    assert [packet.to for packet in me.sent(me.direct_timeout())] == [address_of(0)]


# -- TCP --------------------------------------------------------------------------------------


@pytest.mark.statement("M-160")
@pytest.mark.parametrize(
    ("vsn", "disabled", "disabled_for", "tried"),
    [
        (VSN, False, None, True),
        (PROTOCOL_3, False, None, True),
        (PROTOCOL_2, False, None, False),
        (b"", False, None, False),
        (VSN, True, None, False),
        (VSN, False, b"x", False),
        (VSN, False, b"y", True),
    ],
)
def test_when_tcp_is_tried(vsn, disabled, disabled_for, tried):
    hooks = Hooks(disable_tcp_ping_for=None if disabled_for is None else disabled_for.__eq__)
    me = Probing(x={"vsn": vsn}, disable_tcp_pings=disabled, hooks=hooks).begin()
    ping = me.engine._prober.current.ping
    expected = [StartTcpPing(me.seq_no, ping.encode(), THERE, b"x", SECOND)] if tried else []
    assert of(StartTcpPing, me.direct_timeout()) == expected


@pytest.mark.statement("M-162")
def test_a_tcp_ping_that_is_still_out_is_waited_for():
    me = Probing().begin()
    me.direct_timeout()
    me.deadline()
    assert me.running
    assert me.state("x") is NodeState.ALIVE
    me.tcp(False)
    assert not me.running
    assert me.state("x") is NodeState.SUSPECT


@pytest.mark.statement("M-161", "M-162")
def test_acks_and_nacks_after_the_deadline_come_too_late():
    me = Probing(relays=1).begin()
    me.direct_timeout()
    me.deadline()
    assert me.ack() == []
    me.nack()
    assert me.running
    me.tcp(False)
    assert me.state("x") is NodeState.SUSPECT
    assert me.engine.health_score == 1


# -- answers that don't belong to it ----------------------------------------------------------


@pytest.mark.statement("M-168")
def test_only_the_first_ack_counts():
    me = Probing().unwell(3).begin()
    seq_no = me.seq_no
    assert events(me.ack()) != []
    assert me.ack(seq_no=seq_no) == []
    assert me.engine.health_score == 2


@pytest.mark.statement("M-168")
def test_answers_to_unknown_numbers_change_nothing():
    me = Probing(relays=1).unwell(3).begin()
    seq_no = me.seq_no
    assert me.ack(seq_no=seq_no + 1) == []
    for late in (seq_no - 1, seq_no + 1):
        assert me.engine.on_tcp_ping_done(late, True, 0) == []
        assert me.engine.on_send_failed(late, 0) == []
        assert me.engine.on_timer(("probe-direct", late), 0) == []
        assert me.engine.on_timer(("probe-deadline", late), 0) == []
        me.hear(Nack(late))
    assert me.running
    assert me.engine._prober.current.nacks == 0
    assert me.engine.health_score == 3


@pytest.mark.statement("M-163")
def test_a_refusal_that_is_told_late_changes_nothing():
    me = Probing().unwell(3).begin()
    me.direct_timeout()
    assert me.engine.on_send_failed(me.seq_no, me.now_ns, remote=False) == []
    assert me.running
    me.ack()
    assert me.engine.health_score == 2


# -- ticks ------------------------------------------------------------------------------------


def test_a_tick_during_a_probe_is_kept_once_and_used_right_after():
    me = Probing().begin()
    first = me.seq_no
    assert me.engine._prober.on_tick(SECOND) == []
    assert me.engine._prober.on_tick(2 * SECOND) == []
    me.knows("y", ELSEWHERE)
    me.ack()
    assert me.running
    assert me.seq_no == first + 1
    me.ack()
    assert not me.running


def test_whoever_overslept_blames_itself():
    me = Probing(relays=3, disable_tcp_pings=True).begin()
    me.now_ns = 60 * SECOND  # the process was stopped; answers wait in the socket
    me.direct_timeout()
    me.deadline()
    assert me.state("x") is NodeState.ALIVE
    assert me.engine.health_score == 1
    assert not me.running


# -- a law ------------------------------------------------------------------------------------

ACTIONS = st.lists(
    st.sampled_from(["ack", "nack", "direct", "deadline", "tcp+", "tcp-", "failed", "refused", "tick"]), max_size=25
)


@pytest.mark.property
@pytest.mark.statement("M-154", "M-156", "M-168")
@given(ACTIONS, st.integers(0, 4))
@settings(max_examples=150)
def test_whatever_happens_each_probe_ends_once_and_the_next_can_begin(actions, relays):
    me = Probing(relays=relays).begin()
    for action in actions:
        if not me.running:
            me.did(me.engine._prober.on_tick(me.now_ns))
            if not me.running:
                continue
        before = me.engine.health_score
        match action:
            case "ack":
                me.ack()
            case "nack":
                me.nack()
            case "direct" if ("probe-direct", me.seq_no) in me.timers:
                me.direct_timeout()
            case "deadline" if ("probe-deadline", me.seq_no) in me.timers:
                me.deadline()
            case "tcp+" | "tcp-":
                me.tcp(action == "tcp+")
            case "failed" | "refused":
                me.did(me.engine.on_send_failed(me.seq_no, me.now_ns, remote=action == "failed"))
            case "tick":
                me.did(me.engine._prober.on_tick(me.now_ns))
        assert me.engine.health_score - before in (-1, 0, 1, 2, 3)
    # Nothing is left behind but the timers of the one that runs.
    running = {me.seq_no} if me.running else set()
    assert {key[1] for key in me.timers if str(key[0]).startswith("probe-")} <= running
