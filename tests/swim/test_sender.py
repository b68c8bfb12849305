"""From message to datagram: budgets, CRC decision, piggyback (spec memberlist §1.3 to §1.6)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serfcompat.swim.effects import SendPacket
from serfcompat.swim.hooks import Hooks
from serfcompat.wire.address import Address, ip_bytes
from serfcompat.wire.layers import Layers
from serfcompat.wire.messages import Nack, Ping
from serfcompat.wire.packet import peel
from serfcompat.wire.types import MessageType
from tests.swim.harness import ELSEWHERE, HERE, KEY, THERE, VSN, Node, of, quiet

NACK = Nack(1).encode()
"Nine bytes."
PROTOCOL_4 = bytes((1, 4, 2, 0, 0, 0))


class Asked:
    """A broadcasts hook that notes what it is asked, and answers what it is told to."""

    def __init__(self, *answer: bytes) -> None:
        self.answer = list(answer)
        self.calls: list[tuple[int, int]] = []
        self.hooks = Hooks(broadcasts=self)

    def __call__(self, overhead: int, limit: int) -> list[bytes]:
        self.calls.append((overhead, limit))
        return self.answer


def piggybacked(me: Node, message: bytes = NACK, to: Address = THERE):
    return me.did(me.engine._sender.piggybacked(message, to, name=b"x"))


def queue(me: Node, *messages: bytes) -> None:
    for message in messages:
        me.table.broadcasts.put(message, name=message)


@pytest.mark.statement("M-001")
def test_a_lone_message_is_sent_bare():
    (packet,) = piggybacked(quiet())
    assert packet == SendPacket(NACK, THERE)


@pytest.mark.statement("M-001", "M-019")
def test_with_broadcasts_the_message_comes_first_then_claims_then_the_users():
    me = quiet(hooks=Asked(b"user").hooks)
    queue(me, b"\x05claim", b"\x05longer claim")
    (packet,) = piggybacked(me)
    assert packet.data[0] == MessageType.COMPOUND
    assert peel(packet.data, Layers()).messages == [NACK, b"\x05longer claim", b"\x05claim", b"\x08user"]


@pytest.mark.statement("M-014", "M-017", "M-018")
@pytest.mark.parametrize(
    ("config", "room"),
    [
        ({}, 1389),
        ({"label": b"blue"}, 1383),
        ({"secret_key": KEY}, 1360),
        ({"secret_key": KEY, "protocol_version": 1}, 1344),
        ({"secret_key": KEY, "gossip_verify_outgoing": False}, 1389),
    ],
)
def test_room_beside_an_ack(config, room):
    asked = Asked()
    piggybacked(quiet(hooks=asked.hooks, **config))
    assert asked.calls == [(3, room)]


@pytest.mark.statement("M-015", "M-016", "M-018")
@pytest.mark.parametrize(
    ("config", "room"),
    [
        ({}, 1398),
        ({"label": b"blue"}, 1392),
        ({"secret_key": KEY}, 1369),
        ({"secret_key": KEY, "protocol_version": 1}, 1353),
        ({"secret_key": KEY, "protocol_version": 5}, 1369),
        ({"secret_key": KEY, "gossip_verify_outgoing": False}, 1369),
    ],
)
def test_room_in_a_gossip_packet(config, room):
    asked = Asked()
    me = quiet(hooks=asked.hooks, **config)
    me.knows("x")
    me.now_ns = me.engine._tickers["gossip"].next_ns
    me.did(me.engine.on_timer(("gossip",), me.now_ns))
    assert asked.calls == [(3, room)]


@pytest.mark.statement("M-014")
@pytest.mark.parametrize(("size", "rides"), [(1387, True), (1388, False)])
def test_a_broadcast_rides_if_it_fits_to_the_byte(size, rides):
    me = quiet()
    queue(me, b"\x05" * size)
    (packet,) = piggybacked(me)
    assert len(packet.data) == (1402 if rides else 9)  # ⚠ the message's own length slot is not reckoned with


@pytest.mark.statement("M-017")
@pytest.mark.parametrize(("size", "left"), [(1383, 4), (1384, None), (1387, None)])
def test_the_users_broadcasts_are_asked_for_only_if_a_byte_would_fit(size, left):
    asked = Asked()
    me = quiet(hooks=asked.hooks)
    queue(me, b"\x05" * size)
    piggybacked(me)
    assert asked.calls == ([] if left is None else [(3, left)])


@pytest.mark.statement("M-017")
def test_claims_reduce_what_is_left_for_the_user():
    asked = Asked()
    me = quiet(hooks=asked.hooks)
    queue(me, b"\x05" * 100, b"\x03" * 50)
    piggybacked(me)
    assert asked.calls == [(3, 1389 - 154)]


def test_more_riders_than_a_compound_can_count_go_in_further_ones():
    """Upstream's count wraps here (defect B-3)."""
    me = quiet(hooks=Asked(*[b"u"] * 300).hooks)
    packets = [peel(packet.data, Layers()).messages for packet in piggybacked(me)]
    assert list(map(len, packets)) == [255, 46]
    assert packets[0][0] == NACK


@pytest.mark.statement("M-007")
@pytest.mark.parametrize(("vsn", "crc"), [(VSN, True), (PROTOCOL_4, False), (b"", False)])
def test_a_known_node_gets_a_checksum_if_it_understands_it(vsn, crc):
    me = quiet()
    me.knows("x", vsn=vsn)
    (packet,) = me.engine.send_best_effort(b"x", b"hello", 0)
    assert (packet.data[0] == MessageType.CRC) == crc
    assert (packet.data == bytes.fromhex("0cada372550868656c6c6f")) == crc  # GV-20


@pytest.mark.statement("M-008")
@pytest.mark.parametrize(
    ("name", "vsn", "crc"),
    [("10.0.0.2", VSN, True), ("10.0.0.2", PROTOCOL_4, False), ("x", VSN, False), ("10.0.0.2:7946", VSN, False)],
)
def test_an_address_gets_a_checksum_only_if_a_node_is_named_like_its_host(name, vsn, crc):
    me = quiet()
    me.knows(name, ELSEWHERE, vsn=vsn)
    (packet,) = me.engine.send_user(b"hello", THERE, b"", 0)
    assert (packet.data[0] == MessageType.CRC) == crc


@pytest.mark.statement("M-008")
def test_an_ipv6_host_is_looked_up_without_brackets():
    me = quiet()
    me.knows("fd00::1", vsn=VSN)
    (packet,) = me.engine.send_user(b"hello", Address(ip_bytes("fd00::1"), 7946), b"", 0)
    assert packet.data[0] == MessageType.CRC


@pytest.mark.statement("M-009")
def test_pings_acks_nacks_and_indirect_pings_to_named_nodes_have_no_checksum():
    me = quiet(probe_interval=1.0)
    me.knows("x", THERE)
    me.knows("y", ELSEWHERE)
    (ack,) = of(SendPacket, me.hear(Ping(1, b"me", THERE.ip, THERE.port, b"x")))
    me.did(me.engine._prober.on_tick(0))
    (ping,) = of(SendPacket, me.effects[-3:])
    seq_no = me.engine._prober.current.ping.seq_no
    (indirect,) = of(SendPacket, me.did(me.engine.on_timer(("probe-direct", seq_no), 1)))
    (nack,) = piggybacked(me)
    kinds = [packet.data[0] for packet in (ack, ping, indirect, nack)]
    assert kinds == [MessageType.ACK, MessageType.PING, MessageType.INDIRECT_PING, MessageType.NACK]


@pytest.mark.statement("M-011")
@pytest.mark.parametrize(
    ("config", "encrypted"),
    [({}, False), ({"secret_key": KEY}, True), ({"secret_key": KEY, "gossip_verify_outgoing": False}, False)],
)
def test_encryption_wants_keys_and_permission(config, encrypted):
    (packet,) = piggybacked(quiet(**config))
    assert (packet.data == NACK) != encrypted
    assert (packet.data[0] == 1) == encrypted


@pytest.mark.statement("M-011", "M-112")
def test_a_key_added_at_runtime_counts_at_once():
    me = quiet()
    me.engine.keyring.add(KEY)
    (packet,) = piggybacked(me)
    assert packet.data[:1] + packet.data[1:13] == b"\x01" + b"n" * 12


@pytest.mark.statement("M-023")
@pytest.mark.parametrize("send", ["best effort", "address"])
def test_user_messages_do_not_piggyback(send):
    me = quiet(hooks=Asked(b"user").hooks)
    me.knows("x", vsn=PROTOCOL_4)
    queue(me, b"\x05claim")
    if send == "address":
        (packet,) = me.engine.send_user(b"hello", THERE, b"x", 0)
    else:
        (packet,) = me.engine.send_best_effort(b"x", b"hello", 0)
    assert packet == SendPacket(b"\x08hello", THERE)
    assert len(me.table.broadcasts) == 1


@pytest.mark.statement("M-024")
def test_an_address_without_a_name_is_refused_before_anything_is_done():
    drawn = []
    me = quiet(require_node_names=True, secret_key=KEY)
    me.engine._sender.nonce = lambda: drawn.append(1) or b"n" * 12
    assert me.engine.send_user(b"hello", THERE, b"", 0) == []
    assert me.hear(Ping(1, b"me")) == []  # no source name: nobody to answer to
    assert drawn == []
    assert me.count("memberlist.udp.sent") == 0


@pytest.mark.statement("M-024")
def test_a_name_satisfies_require_node_names():
    me = quiet(require_node_names=True)
    me.knows("x")
    assert me.engine.send_user(b"hello", THERE, b"x", 0) != []
    assert me.engine.send_best_effort(b"x", b"hello", 0) != []
    assert of(SendPacket, me.hear(Ping(1, b"me", source_node=b"x"))) != []


@pytest.mark.statement("M-206")
@pytest.mark.parametrize("config", [{}, {"label": b"blue"}, {"label": b"blue", "secret_key": KEY}])
def test_bytes_sent_are_counted_without_the_label(config):
    me = quiet(**config)
    (packet,) = piggybacked(me)
    assert me.count("memberlist.udp.sent") == len(packet.data) - (6 if config.get("label") else 0)


@pytest.mark.property
@pytest.mark.statement("M-014", "M-019")
@given(st.lists(st.binary(min_size=1, max_size=400), max_size=30), st.lists(st.binary(max_size=200), max_size=8))
def test_whatever_is_queued_a_packet_keeps_to_its_budget(claims, users):
    def broadcasts(overhead: int, limit: int) -> list[bytes]:
        taken = []
        for payload in users:
            limit -= overhead + len(payload)
            if limit >= 0:
                taken.append(payload)
        return taken

    me = quiet(hooks=Hooks(broadcasts=broadcasts), label=b"blue")
    queue(me, *[b"\x05" + claim for claim in claims])
    ping = Ping(1, b"x", HERE.ip, HERE.port, b"me").encode()
    for packet in piggybacked(me, ping):
        assert len(packet.data) <= 1402
