"""Pings received, pings for others, and single pings for our caller (spec memberlist §6.6, §6.7 "Ping API")."""

from __future__ import annotations

import pytest

from serfcompat.swim.effects import SetTimer
from serfcompat.swim.events import NodeState, PingAnswered
from serfcompat.swim.hooks import Hooks
from serfcompat.swim.relay import _MOST_WAITING
from serfcompat.wire.address import Address
from serfcompat.wire.messages import Ack, IndirectPing, Nack, Ping
from tests.swim.harness import ELSEWHERE, HERE, MS, QUIET, SECOND, THERE, VSN, Node, address_of, events, of

REQUESTER = address_of(1)


def quiet(**config) -> Node:
    me = Node(**QUIET, **config)
    me.silence()
    return me


def request(*, nack: bool = True, port: int = 7946, source: Address | None = REQUESTER) -> IndirectPing:
    ip, source_port = (None, 0) if source is None else source
    return IndirectPing(100, ELSEWHERE.ip, port, b"y", nack, ip, source_port, b"asker" if source else b"")


# -- pings received ---------------------------------------------------------------------------


@pytest.mark.statement("M-166", "M-212")
@pytest.mark.parametrize(
    ("addr", "port", "answered_at"),
    [
        (ELSEWHERE.ip, 9000, Address(ELSEWHERE.ip, 9000)),
        (None, 0, THERE),
        (ELSEWHERE.ip, 0, THERE),
        (None, 9000, THERE),
        (b"", 9000, THERE),
    ],
)
def test_an_ack_goes_where_the_pinger_says_it_listens(addr, port, answered_at):
    me = quiet()
    (packet,) = me.sent(me.hear(Ping(42, b"me", addr, port, b"x"), source=THERE))
    assert packet == (Ack(42, None),)
    assert packet.to == answered_at


@pytest.mark.statement("M-167")
@pytest.mark.parametrize(("name", "answered"), [(b"me", True), (b"", True), (b"other", False), (b"ME", False)])
def test_only_pings_for_us_are_answered(name, answered):
    me = quiet()
    assert bool(me.sent(me.hear(Ping(42, name)))) == answered
    assert (me.engine.on_stream_ping(Ping(42, name)) == Ack(42, None)) == answered


def test_the_ack_carries_what_the_hook_says_but_not_over_streams():
    me = quiet(hooks=Hooks(ack_payload=lambda: b"rtt"))
    ((ack,),) = me.sent(me.hear(Ping(42, b"me")))
    assert ack == Ack(42, b"rtt")
    assert me.engine.on_stream_ping(Ping(42, b"me")) == Ack(42, None)


# -- pings for others -------------------------------------------------------------------------


@pytest.mark.statement("M-165")
def test_a_relay_pings_in_its_own_name_and_passes_the_ack_on_without_its_payload():
    me = quiet()
    effects = me.hear(request())
    (packet,) = me.sent(effects)
    (ping,) = packet
    assert ping == Ping(1, b"y", HERE.ip, HERE.port, b"me")
    assert packet.to == ELSEWHERE
    assert of(SetTimer, effects) == [SetTimer(("relay", 1), SECOND // 2)]
    (answer,) = me.sent(me.hear(Ack(ping.seq_no, b"payload"), source=ELSEWHERE))
    assert answer == (Ack(100, None),)
    assert answer.to == REQUESTER
    assert me.timers == {}


@pytest.mark.statement("M-164")
@pytest.mark.parametrize("asked", [True, False])
def test_a_nack_is_sent_only_if_asked_for_and_only_after_the_timeout(asked):
    me = quiet()
    me.hear(request(nack=asked))
    me.now_ns = SECOND // 2
    packets = me.sent(me.timer("relay", 1))
    assert [(packet, packet.to) for packet in packets] == ([((Nack(100),), REQUESTER)] if asked else [])


@pytest.mark.statement("M-164")
def test_no_nack_follows_an_ack_and_no_ack_a_nack():
    me = quiet()
    me.hear(request())
    me.hear(Ack(1, None))
    assert me.engine.on_timer(("relay", 1), SECOND) == []
    me.hear(request())
    me.timer("relay", 2)
    assert me.hear(Ack(2, None)) == []


@pytest.mark.statement("M-164", "M-165", "M-166")
@pytest.mark.parametrize("source", [None, Address(REQUESTER.ip, 0), Address(b"", 7946)])
@pytest.mark.parametrize("outcome", ["ack", "nack"])
def test_without_both_source_fields_the_answer_goes_back_to_where_the_request_came_from(outcome, source):
    me = quiet()
    me.hear(request(source=source), source=THERE)
    effects = me.hear(Ack(1, None), source=ELSEWHERE) if outcome == "ack" else me.timer("relay", 1)
    (packet,) = me.sent(effects)
    assert packet.to == THERE


@pytest.mark.parametrize(("protocol", "port", "pinged"), [(2, 9000, 9000), (2, 0, 7946), (1, 9000, 7946)])
def test_before_protocol_2_and_for_port_0_the_target_listens_where_we_do(protocol, port, pinged):
    me = quiet(protocol_version=protocol)
    (packet,) = me.sent(me.hear(request(port=port)))
    assert packet.to == Address(ELSEWHERE.ip, pinged)


@pytest.mark.statement("M-168")
def test_the_first_ack_ends_it():
    me = quiet()
    me.hear(request())
    assert me.sent(me.hear(Ack(1, None))) != []
    assert me.hear(Ack(1, None)) == []


def test_a_flood_of_requests_is_bounded():
    me = quiet()
    for _ in range(_MOST_WAITING + 5):
        me.engine.on_packet(request().encode(), THERE, 0)
    assert me.engine._relay._waiting.__len__() == _MOST_WAITING
    assert me.count("serfcompat.drop.relay_full") == 5
    me.hear(Ack(1, None))
    assert me.sent(me.hear(request())) != []


def test_nacks_for_a_relay_or_a_call_are_ignored():
    me = quiet()
    me.hear(request())
    me.did(me.engine.ping(b"y", ELSEWHERE, 0)[1])
    assert me.hear(Nack(1)) == []
    assert me.hear(Nack(2)) == []
    assert me.sent(me.hear(Ack(1, None))) != []


# -- pings for our caller ---------------------------------------------------------------------


@pytest.mark.statement("M-172")
def test_a_call_tells_the_round_trip_and_changes_nothing():
    me = quiet(awareness_max_mult=8)
    me.knows("y", ELSEWHERE, state=NodeState.SUSPECT, vsn=VSN)
    me.table.judge_health(3)
    seq_no, effects = me.engine.ping(b"y", ELSEWHERE, 0)
    me.did(effects)
    ((ping,),) = me.sent(effects)
    assert ping == Ping(seq_no, b"y", HERE.ip, HERE.port, b"me")
    assert me.timers == {("relay", seq_no): SECOND // 2}
    me.now_ns = 30 * MS
    assert events(me.hear(Ack(seq_no, b"payload"))) == [PingAnswered(seq_no, 30 * MS)]
    assert me.state("y") is NodeState.SUSPECT
    assert me.engine.health_score == 3


@pytest.mark.statement("M-172")
def test_a_call_without_an_answer_says_so_and_changes_nothing():
    me = quiet()
    me.knows("y", ELSEWHERE)
    seq_no, effects = me.engine.ping(b"y", ELSEWHERE, 0)
    me.did(effects)
    assert me.timer("relay", seq_no) == me.effects[-1:]
    assert events(me.effects[-1:]) == [PingAnswered(seq_no, None)]
    assert me.now_ns == SECOND // 2
    assert me.state("y") is NodeState.ALIVE
    assert me.engine.health_score == 0
    assert events(me.hear(Ack(seq_no, None))) == []
