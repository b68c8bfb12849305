"""`Swim` from outside: its life, what it makes of any bytes, and what it counts."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serfcompat.errors import SerfCompatError, StateError, UsageError
from serfcompat.swim.config import LABEL_MAX, META_MAX
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
from serfcompat.swim.events import MessageReceived, NodeJoined, NodeLeft, NodeState, NodeUpdated
from serfcompat.swim.hooks import Hooks
from serfcompat.wire.layers import Layers
from serfcompat.wire.messages import Ack, Alive, Dead, IndirectPing, Nack, Ping, Suspect
from serfcompat.wire.packet import build, compound
from tests.swim.harness import (
    ELSEWHERE,
    HERE,
    KEY,
    QUIET,
    SECOND,
    THERE,
    VSN,
    Network,
    Node,
    address_of,
    alive,
    dead,
    events,
    of,
    suspect,
)

SILENT = Hooks(alive=lambda _node: "no")


def quiet(**config) -> Node:
    me = Node(**(QUIET | config))
    me.silence()
    return me


# -- start ------------------------------------------------------------------------------------


@pytest.mark.statement("M-183")
def test_start_announces_us_and_sets_the_timers():
    me = Node()
    assert [type(event) for event in events(me.effects)] == [NodeJoined]
    assert me.engine.local_node().incarnation == 1
    assert me.gossip() == [alive("me", 1, HERE)]
    assert {key for (key,) in me.timers} == {"probe", "gossip", "push-pull", "queue-check"}


def test_each_loop_begins_within_a_random_stagger():
    first = [Node(seed=seed).timers for seed in range(40)]
    for key, interval_ns in ((("probe",), SECOND), (("gossip",), SECOND // 5), (("push-pull",), 30 * SECOND)):
        due = [timers[key] for timers in first]
        assert all(interval_ns <= at_ns < 2 * interval_ns for at_ns in due)
        assert max(due) - min(due) > interval_ns // 2
    assert {timers["queue-check",] for timers in first} == {30 * SECOND}


@pytest.mark.parametrize("off", [*QUIET, "gossip_nodes"])
def test_an_interval_of_0_switches_its_loop_off(off):
    me = Node(**{off: 0})
    name = {"gossip_nodes": "gossip"}.get(off) or off.removesuffix("_interval").replace("_", "-")
    assert (name,) not in me.timers
    assert len(me.timers) == 3


@pytest.mark.statement("M-183")
def test_without_metadata_hook_there_are_none_and_with_it_the_limit_is_told():
    limits = []
    me = quiet(hooks=Hooks(node_meta=lambda limit: limits.append(limit) or b"m" * limit))
    assert limits == [META_MAX]
    assert me.engine.local_node().meta == b"m" * 512
    assert quiet().engine.local_node().meta is None


def test_too_much_metadata_is_an_error_that_says_so():
    with pytest.raises(SerfCompatError, match="513 bytes; at most 512"):
        quiet(hooks=Hooks(node_meta=lambda limit: b"m" * (limit + 1)))


@pytest.mark.parametrize("config", [{"hooks": SILENT}, {"cidrs_allowed": ["192.168.0.0/16"]}])
def test_who_is_refused_by_its_own_rules_cannot_start(config):
    with pytest.raises(StateError, match="our own alive claim was refused"):
        Node(**config)


@pytest.mark.statement("M-184")
@pytest.mark.parametrize(
    "config",
    [{"protocol_version": 0}, {"protocol_version": 6}, {"label": b"l" * (LABEL_MAX + 1)}, {"secret_key": b"k"}],
)
def test_an_impossible_configuration_is_refused(config):
    with pytest.raises(UsageError):
        Node(started=False, **config)


@pytest.mark.statement("M-184")
@pytest.mark.parametrize("config", [{"protocol_version": 1}, {"protocol_version": 5}, {"label": b"l" * LABEL_MAX}])
def test_the_limits_themselves_are_fine(config):
    Node(**config)


@pytest.mark.statement("M-114")
def test_a_secret_key_is_added_to_the_keyring_and_becomes_primary():
    me = quiet(secret_key=KEY, keyring=[b"o" * 16])
    assert list(me.engine.keyring) == [KEY, b"o" * 16]
    assert list(me.engine.layers.keys) == [KEY, b"o" * 16]


# -- update and leave -------------------------------------------------------------------------


def spread(me: Node) -> list[Finished]:
    """Gossip until nothing is left; what is finished by it."""
    while me.table.broadcasts.get(2, 10_000, len(me.table.ring)):
        pass
    return me.did(me.engine._settle([]))


@pytest.mark.statement("M-188")
def test_an_update_raises_the_incarnation_and_waits_for_its_broadcast():
    metas = [b"old", b"new"]
    me = Node(hooks=Hooks(node_meta=lambda _limit: metas.pop(0)), **QUIET)
    me.knows("x")
    me.silence()
    effects = me.did(me.engine.update_node(0, "token"))
    assert [type(event) for event in events(effects)] == [NodeUpdated]
    assert of(Finished, effects) == []
    assert me.gossip() == [alive("me", 2, HERE, meta=b"new")]
    assert spread(me) == [Finished("token")]


@pytest.mark.statement("M-188", "M-189")
@pytest.mark.parametrize("act", ["update_node", "leave"])
@pytest.mark.parametrize(("state", "waits"), [(0, True), (1, True), (2, False), (3, False), (None, False)])
def test_waiting_is_only_for_others_that_are_there(act, state, waits):
    me = quiet()
    if state is not None:
        me.knows("x", state=NodeState(state))
    effects = me.did(getattr(me.engine, act)(0, "token"))
    assert (Finished("token") in effects) != waits


@pytest.mark.statement("M-188")
def test_a_newer_update_finishes_the_older():
    me = quiet()
    me.knows("x")
    me.did(me.engine.update_node(0, "first"))
    assert of(Finished, me.did(me.engine.update_node(0, "second"))) == [Finished("first")]


def test_an_update_that_a_hook_refuses_is_an_error_and_not_an_endless_wait():
    allowed = [None, "no"]
    me = quiet(hooks=Hooks(alive=lambda _node: allowed.pop(0)))
    with pytest.raises(StateError, match="refused"):
        me.engine.update_node(0, "token")


def test_an_update_after_leaving_is_an_error():
    me = quiet()
    me.did(me.engine.leave(0, "token"))
    with pytest.raises(StateError, match="refused"):
        me.engine.update_node(0, "other")


@pytest.mark.statement("M-189")
def test_leaving_tells_everybody_and_a_second_call_does_nothing():
    me = quiet()
    me.knows("x")
    effects = me.did(me.engine.leave(0, "token"))
    assert [type(event) for event in events(effects)] == [NodeLeft]
    assert me.gossip() == [dead("me", 1, by="me")]
    assert spread(me) == [Finished("token")]
    assert me.engine.leave(0, "again") == [Finished("again")]
    assert me.gossip() == []


@pytest.mark.statement("M-190")
def test_after_leaving_we_still_answer():
    me = quiet()
    me.knows("x")
    me.did(me.engine.leave(0, "token"))
    assert (Ack(9, None),) in [packet[:1] for packet in me.sent(me.hear(Ping(9, b"me")))]
    assert me.engine.on_stream_ping(Ping(9, b"me")) == Ack(9, None)
    assert me.engine.local_state(False)


def test_whoever_was_reaped_after_leaving_says_so():
    me = quiet()
    me.did(me.engine.leave(0, "token"))
    me.table.reap(31 * SECOND)
    for call in (me.engine.local_node, lambda: me.engine.update_node(0, "token")):
        with pytest.raises(StateError, match="not in its own member table"):
            call()
    assert me.engine.leave(0, "again") == [Finished("again")]
    assert [packet[0] for packet in me.sent(me.hear(Ping(9, b"me")))] == [Ack(9, None)]


def test_a_best_effort_message_wants_a_known_node():
    with pytest.raises(StateError, match="no node named 'x'"):
        quiet().engine.send_best_effort(b"x", b"hello", 0)


def test_a_timer_that_swim_never_set_is_a_programming_error():
    for key in (("serf-reap",), ("suspicion", "text"), ("probe", 1)):
        with pytest.raises(AssertionError):
            quiet().engine.on_timer(key, 0)


# -- packets ----------------------------------------------------------------------------------


@pytest.mark.statement("M-042")
@pytest.mark.parametrize("payload", [b"", b"hello"])
def test_a_user_message_is_delivered_even_if_it_is_empty(payload):
    assert events(quiet().receive(b"\x08" + payload)) == [MessageReceived(payload)]


@pytest.mark.statement("M-043")
@pytest.mark.parametrize("message", [alive("x"), suspect("y"), dead("y"), Ping(1, b"me"), Ack(1, None)])
def test_bytes_behind_a_message_are_ignored(message):
    plain, longer = quiet(), quiet()
    for me in (plain, longer):
        me.knows("y")
        me.engine.ping(b"y", ELSEWHERE, 0)
    assert longer.receive(message.encode() + b"more") == plain.receive(message.encode()) != []


@pytest.mark.statement("M-044")
@pytest.mark.parametrize("kind", [0, 1, 2, 3, 4, 5, 11])
def test_a_message_that_cannot_be_decoded_is_dropped_alone(kind):
    me = quiet()
    effects = me.receive(compound([b"\x08before", bytes((kind,)) + b"\x81\xff", alive("x").encode(), b"\x08after"]))
    assert me.state("x") is NodeState.ALIVE
    assert events(effects)[1:] == [MessageReceived(b"after"), MessageReceived(b"before")]
    assert me.count("serfcompat.drop.undecodable") == 1


@pytest.mark.parametrize(("protocol", "port", "stored"), [(2, 9000, 9000), (2, 0, 7946), (1, 9000, 7946)])
def test_before_protocol_2_and_for_port_0_a_claimed_node_listens_where_we_do(protocol, port, stored):
    me = quiet(protocol_version=protocol)
    me.hear(Alive(1, b"x", THERE.ip, port, None, VSN))
    assert me.node("x").port == stored
    assert [claim.port for claim in me.gossip()] == [stored]


def test_what_has_no_handler_is_counted_and_told_once_per_source(caplog):
    me = quiet()
    for _ in range(3):
        me.receive(compound([b"\x06", b"\x0d", b"\x08u"]))
    assert me.count("serfcompat.drop.unsupported") == 6
    assert len([r for r in caplog.records if "not supported" in r.message]) == 1


@pytest.mark.statement("M-027")
@pytest.mark.parametrize(("label", "reason"), [(b"", "label_mismatch"), (b"red", "label_mismatch"), (b"blue", None)])
def test_another_label_is_dropped_and_counted(label, reason):
    me = quiet(label=b"blue")
    effects = me.receive(build(b"\x08u", Layers(label=label), crc=False, nonce=bytes))
    assert bool(events(effects)) == (reason is None)
    assert me.count("serfcompat.drop.label_mismatch") == (reason is not None)


@pytest.mark.statement("M-029")
@pytest.mark.parametrize("verify", [True, False])
def test_plaintext_is_dropped_unless_we_migrate(verify):
    me = quiet(secret_key=KEY, gossip_verify_incoming=verify)
    assert bool(events(me.receive(b"\x08u"))) != verify
    assert me.count("serfcompat.drop.decrypt") == verify


@pytest.mark.statement("M-206")
@pytest.mark.parametrize("label", [b"", b"blue"])
def test_bytes_received_are_counted_with_the_label(label):
    me = quiet(label=label)
    data = build(b"\x08hello", Layers(label=label), crc=False, nonce=bytes)
    me.receive(data)
    assert me.count("memberlist.udp.received") == len(data)


TINY = st.binary(max_size=4)
HOSTILE = st.one_of(
    st.binary(max_size=60),
    st.builds(
        lambda kind, body: bytes((kind,)) + body,
        st.sampled_from([0, 1, 2, 3, 4, 5, 7, 8, 9, 11, 12, 244]),
        st.binary(max_size=40),
    ),
    st.builds(
        Ping, st.integers(0, 9), st.sampled_from([b"", b"me"]), st.binary(max_size=17), st.integers(0, 65535)
    ).map(Ping.encode),
    st.builds(
        IndirectPing,
        st.integers(0, 9),
        st.none() | st.binary(max_size=17),
        st.integers(0, 65535),
        st.binary(max_size=4),
        st.booleans(),
        st.none() | st.binary(max_size=17),
        st.integers(0, 65535),
        st.binary(max_size=4),
    ).map(IndirectPing.encode),
    st.builds(
        Alive,
        st.integers(0, 2**32 - 1),
        st.sampled_from([b"me", b"x", b"", b"\xff"]),
        st.none() | st.binary(max_size=17),
        st.integers(0, 65535),
        st.none() | st.binary(max_size=8),
        st.none() | st.binary(max_size=8),
    ).map(Alive.encode),
    st.builds(Suspect, st.integers(0, 2**32 - 1), st.sampled_from([b"me", b"x", b""]), st.binary(max_size=4)).map(
        Suspect.encode
    ),
    st.builds(Dead, st.integers(0, 2**32 - 1), st.sampled_from([b"me", b"x", b""]), st.binary(max_size=4)).map(
        Dead.encode
    ),
    st.builds(Ack, st.integers(0, 9), st.none() | st.binary(max_size=4)).map(Ack.encode),
    st.builds(Nack, st.integers(0, 9)).map(Nack.encode),
)


@pytest.mark.property
@pytest.mark.statement("M-044")
@given(st.lists(st.lists(HOSTILE, min_size=1, max_size=6), max_size=8), st.booleans(), st.booleans())
@settings(max_examples=200)
def test_no_packet_whatever_raises_and_the_node_goes_on(packets, wrapped, hooked):
    hooks = Hooks(alive=lambda _node: None, ack_payload=lambda: b"p", broadcasts=lambda _o, _l: [b"u"])
    me = Node(probe_interval=1.0, push_pull_interval=0.0, hooks=hooks if hooked else None)
    for number, messages in enumerate(packets):
        me.receive(compound(messages) if wrapped else messages[0], source=address_of(number))
        me.run_until(me.now_ns + SECOND)
    assert me.state("me") is NodeState.ALIVE
    assert len(me.table.broadcasts) <= len(me.table.ring) + 1
    assert set(me.table.suspicions) <= set(me.table.nodes)


@pytest.mark.statement("M-192")
def test_events_come_in_the_order_in_which_things_happened():
    me = quiet()
    heard = events(me.hear(alive("x"), alive("x", 2, meta=b"m")) + me.hear(dead("x", 2), b"\x08u"))
    assert [type(event) for event in heard] == [NodeJoined, NodeUpdated, NodeLeft, MessageReceived]


# -- metrics ----------------------------------------------------------------------------------


@pytest.mark.statement("M-205")
def test_every_metric_of_the_engine_is_published():
    network = Network()
    a, b, c = (network.add(name, at) for name, at in zip("abc", (HERE, THERE, ELSEWHERE), strict=True))
    d = network.add("d", address_of(4))
    for other in (b, c, d):
        network.join(other, a)
    network.run(20 * SECOND)
    network.kill(ELSEWHERE)
    network.kill(address_of(4))  # two of four: one is left to confirm, two are wanted
    network.run(60 * SECOND)
    a.engine.local_state(False)
    counters = set(a.metrics.counters) | set(b.metrics.counters) | set(d.metrics.counters)
    assert {
        "memberlist.udp.sent",
        "memberlist.udp.received",
        "memberlist.msg.alive",
        "memberlist.msg.suspect",
        "memberlist.msg.dead",
        "memberlist.degraded.probe",
        "memberlist.degraded.timeout",
    } <= counters
    assert {name.partition("{")[0] for name in a.metrics.gauges} == {
        "memberlist.health.score",
        "memberlist.node.instances",
        "memberlist.size.local",
    }
    assert set(a.metrics.samples) == {"memberlist.probeNode", "memberlist.queue.broadcasts"}


@pytest.mark.statement("M-205")
def test_the_queues_length_is_sampled():
    me = Node(queue_check_interval=5.0)
    me.timers = {key: at for key, at in me.timers.items() if key == ("queue-check",)}
    me.run_until(16 * SECOND)
    assert me.metrics.samples["memberlist.queue.broadcasts"] == [1, 1, 1]


def test_the_effects_are_a_closed_set():
    """Whoever adds one must teach the ring and the simulator."""
    assert set(get_args(Effect)) == {SendPacket, SetTimer, CancelTimer, StartPushPull, StartTcpPing, Finished, Emit}


def test_versions_advertised_are_those_of_the_configuration():
    me = quiet(protocol_version=3, delegate_protocol=(2, 5, 4))
    assert me.engine.local_node().vsn == bytes((1, 5, 3, 2, 5, 4))
    assert quiet().engine.local_node().vsn == VSN
