"""Pings on behalf of others."""

from __future__ import annotations

import time

from serfcompat.conformance.bench import ANSWER, Bench, decoded
from serfcompat.conformance.case import Area, Broken, Severity, case, expect
from serfcompat.conformance.peer import Peer
from serfcompat.conformance.stranger import Stranger
from serfcompat.wire.messages import Ack, IndirectPing, Nack, Ping
from serfcompat.wire.types import MessageType


def _request(bench: Bench, target: Peer, *, nack: bool, **fields: object) -> IndirectPing:
    seq_no = bench.new_ping().seq_no
    return IndirectPing(seq_no, target.ip, target.port, target.name, nack, **fields)  # type: ignore[arg-type]


def _relayed_ack(bench: Bench, end: Stranger, request: IndirectPing, expected: str) -> Ack:
    return bench.ask_raw(end, lambda: end.send(request.encode(), bench.node.address), request.seq_no, expected)


def receive_nack(bench: Bench, end: Stranger) -> Nack:
    """The next nack. Broken: none comes."""
    limit = bench.node.timing.probe_timeout + ANSWER
    try:
        return decoded(Nack, end.receive(MessageType.NACK, limit))
    except TimeoutError as error:
        raise Broken("a nack", f"none within {limit:g} s") from error


@case("indirect-ack", Area.INDIRECT, "M-165")
def a_target_that_answers_is_told_of(bench: Bench) -> None:
    """Asked to ping another node that answers, the node sends an ack with the sequence number of the request
    and no payload.
    """
    end, target = bench.stranger(), bench.peer("target")
    ack = _relayed_ack(bench, end, _request(bench, target, nack=True), "a relayed ack")
    expect(ack.payload is None, "a relayed ack with a nil payload", ack)


@case("indirect-ping-sent", Area.INDIRECT, "M-165", "M-166")
def the_target_gets_a_ping_of_the_nodes_own(bench: Bench) -> None:
    """The ping that a node sends on behalf of another names the target, and the node itself as the source."""
    end, target = bench.stranger(), bench.peer("target")
    _relayed_ack(bench, end, _request(bench, target, nack=False), "a relayed ack")
    ping = decoded(Ping, target.wait_for(MessageType.PING).body)
    me = bench.me
    wanted = (target.name, me.addr, me.port, me.name)
    found = (ping.node, ping.source_addr, ping.source_port, ping.source_node)
    expect(found == wanted, f"node and source {wanted}", found)


@case("indirect-source", Area.INDIRECT, "M-166")
def a_relayed_ack_goes_to_the_source_in_the_request(bench: Bench) -> None:
    """With source address and port in an indirect ping, the relayed ack goes there."""
    sender, wanted, target = bench.stranger("sender"), bench.stranger("source"), bench.peer("target")
    request = _request(
        bench, target, nack=False, source_addr=wanted.ip, source_port=wanted.port, source_node=b"kit-source"
    )
    bench.ask_raw(
        wanted,
        lambda: sender.send(request.encode(), bench.node.address),
        request.seq_no,
        "a relayed ack at the source address",
    )


@case("indirect-nack", Area.INDIRECT, "M-164")
def a_silent_target_is_told_of_if_wanted(bench: Bench) -> None:
    """If the target is silent and a nack was asked for, one comes with the sequence number of the request,
    after the probe timeout.
    """
    end, target = bench.stranger(), bench.peer("target")
    target.answers_packets = False
    request = _request(bench, target, nack=True)
    timeout = bench.node.timing.probe_timeout
    began = time.monotonic()
    end.send(request.encode(), bench.node.address)
    nack = receive_nack(bench, end)
    waited = time.monotonic() - began
    expect(nack.seq_no == request.seq_no, f"a nack with sequence number {request.seq_no}", nack)
    expect(waited >= 0.9 * timeout, f"a nack not before the probe timeout of {timeout:g} s", f"after {waited:.3f} s")


@case("indirect-no-nack", Area.INDIRECT, "M-164", severity=Severity.SHOULD)
def nobody_gets_a_nack_unasked(bench: Bench) -> None:
    """If no nack was asked for, none comes, not even for a silent target."""
    end, target = bench.stranger(), bench.peer("target")
    target.answers_packets = False
    silent, asked = _request(bench, target, nack=False), _request(bench, target, nack=True)
    end.send(silent.encode(), bench.node.address)
    end.send(asked.encode(), bench.node.address)
    nack = receive_nack(bench, end)
    expect(nack.seq_no == asked.seq_no, "only the nack that was asked for", nack)


@case("indirect-late-ack", Area.INDIRECT, "M-164", "M-168")
def a_late_ack_is_not_passed_on(bench: Bench) -> None:
    """An ack of the target that comes after the nack is not passed on."""
    end, target = bench.stranger(), bench.peer("target")
    kept: list[Ping] = []
    target.on_ping = lambda ping: kept.append(ping) or True  # type: ignore[func-returns-value]
    request = _request(bench, target, nack=True)
    end.send(request.encode(), bench.node.address)
    receive_nack(bench, end)
    expect(kept, "a ping at the target", "none came")
    target.send(Ack(kept[0].seq_no, None).encode(), bench.node.address)
    bench.ask(bench.stranger())
    late = bench.find_ack(end, {request.seq_no}, 0.2)
    expect(late is None, "no ack after the nack", late)
