"""A node of upstream's HEAD, of which there is no agent: what it was recorded to say, said to our engine."""

from __future__ import annotations

from typing import Any

import pytest

from serfcompat.sim import streams
from serfcompat.swim.effects import Effect, Emit, SendPacket
from serfcompat.swim.events import MessageReceived, NodeState
from serfcompat.wire.address import Address
from serfcompat.wire.label import header
from serfcompat.wire.messages import Ack, Alive, Dead, Message, Ping, Suspect
from serfcompat.wire.packet import peel
from serfcompat.wire.stream import PushPull
from serfcompat.wire.types import MessageType
from tests.vectors.conftest import load
from tests.vectors.test_streams import Record, RecordingSwim

HEAD = Address(bytes((10, 0, 0, 9)), 7946)
LATER_NS = 10**9
VERSIONS = bytes((1, 5, 2, 2, 5, 4))
"What agents of HEAD advertise: memberlist's versions and Serf's."
READERS: dict[int, type[Message]] = {
    MessageType.PING: Ping,
    MessageType.SUSPECT: Suspect,
    MessageType.ALIVE: Alive,
    MessageType.DEAD: Dead,
}
BOTH = pytest.mark.parametrize(
    "labelled",
    [
        pytest.param(False, id="plain", marks=pytest.mark.statement("M-207")),
        pytest.param(True, id="label", marks=pytest.mark.statement("M-210")),
    ],
)


def talk(config: pytest.Config, name: str, kind: str, *, labelled: bool) -> list[tuple[RecordingSwim, Record]]:
    """Each unencrypted record of a kind, and a node of ours of the same cluster."""
    found = []
    for record in load(config, name):
        if record["kind"] == kind and bool(record["config"]["label"]) is labelled and not record["config"]["keys"]:
            ours = RecordingSwim(record, delegate_protocol=(2, 5, 4))
            ours.start(0)
            found.append((ours, record))
    assert found
    return found


def claims(record: Record) -> list[Any]:
    messages = map(bytes.fromhex, record["messages"])
    return [READERS[message[0]].decode(message[1:]) for message in messages if message[0] in READERS]


def acks(ours: RecordingSwim, effects: list[Effect]) -> set[int]:
    sent = [message for e in effects if type(e) is SendPacket for message in peel(e.data, ours.layers).messages]
    return {Ack.decode(message[1:]).seq_no for message in sent if message[0] == MessageType.ACK}


@BOTH
def test_it_joins(pytestconfig, labelled):
    """What it tells when it joins is merged, and the answer tells it of us.

    The records hold nodes with any versions, to try the codec. No node would take those together, so they are left out.
    """
    known = 0
    for ours, record in talk(pytestconfig, "streams", "pushPull", labelled=labelled):
        served = streams.serve(ours, bytes.fromhex(record["hex"]), HEAD, lambda: bytes(12))
        assert not ours.dropped
        assert b"self" in {node.name for node in streams.remote_state(ours, served.answer).nodes}
        remote = served.remote
        assert remote is not None
        assert len(remote.nodes) == len(record["fields"]["Nodes"])
        nodes = [node for node in remote.nodes if node.vsn == VERSIONS and node.name and node.addr]
        ours.merge_remote_state(PushPull(True, nodes, remote.user_state), True, LATER_NS)
        for node in nodes:
            if node.state == NodeState.ALIVE and node.incarnation:
                assert ours.node(node.name).state is NodeState.ALIVE
                known += 1
    assert known


@BOTH
def test_it_gossips_probes_and_leaves(pytestconfig, labelled):
    """Its claims are believed, its pings for us are answered, and what it says to applications arrives."""
    joined = left = 0
    for ours, record in talk(pytestconfig, "packets", "send", labelled=labelled):
        told = claims(record)
        for claim in told:
            if isinstance(claim, Dead) and claim.incarnation:  # else nobody would know whom it speaks of
                known = Alive(claim.incarnation, claim.node, HEAD.ip, HEAD.port, None, VERSIONS).encode()
                ours.on_packet(header(ours.layers.label) + known, HEAD, 0)
        effects = ours.on_packet(bytes.fromhex(record["hex"]), HEAD, LATER_NS)
        assert set(ours.dropped) <= {"ping_wrong_node"}
        assert acks(ours, effects) >= {c.seq_no for c in told if isinstance(c, Ping) and c.node in (b"", b"self")}
        heard = [e.event.payload.hex() for e in effects if isinstance(e, Emit) and isinstance(e.event, MessageReceived)]
        assert sorted(heard) == sorted(message[2:] for message in record["messages"] if message[:2] == "08")
        for claim in told:
            node = ours.node(claim.node)
            if isinstance(claim, Alive) and claim.incarnation and claim.vsn and 0 < claim.vsn[0] <= claim.vsn[1]:
                assert node is not None
                joined += 1
            elif isinstance(claim, Dead) and claim.incarnation:
                assert node.state is (NodeState.LEFT if claim.from_ == claim.node else NodeState.DEAD)
                left += 1
    assert joined
    assert left


@pytest.mark.statement("M-210")
def test_who_has_no_label_or_another_one_is_not_heard(pytestconfig):
    """The very same bytes without the label header, or behind another one."""
    for ours, record in talk(pytestconfig, "packets", "send", labelled=True):
        datagram, mine = bytes.fromhex(record["hex"]), header(bytes.fromhex(record["config"]["label"]))
        assert datagram.startswith(mine)
        for other in (b"", header(b"another")):
            ours.dropped.clear()
            assert not ours.on_packet(other + datagram[len(mine) :], HEAD, LATER_NS)
            assert ours.dropped == ["label_mismatch"]
    for ours, record in talk(pytestconfig, "streams", "pushPull", labelled=True):
        request, mine = bytes.fromhex(record["hex"]), header(bytes.fromhex(record["config"]["label"]))
        for other in (b"", header(b"another")):
            ours.dropped.clear()
            served = streams.serve(ours, other + request[len(mine) :], HEAD, lambda: bytes(12))
            assert (served.remote, served.answer) == (None, b"")
            assert ours.dropped == ["label_mismatch"]
