"""Pings and their acks."""

from __future__ import annotations

from serfcompat.conformance.bench import Bench
from serfcompat.conformance.case import Area, case, expect


@case("ping-by-name", Area.PING, "M-167")
def a_ping_with_the_nodes_name_is_answered(bench: Bench) -> None:
    """A ping that names the node is answered with an ack that has the ping's sequence number."""
    bench.ask(bench.stranger())


@case("ping-without-name", Area.PING, "M-167")
def a_ping_without_a_name_is_answered(bench: Bench) -> None:
    """A ping with an empty name is meant for whoever gets it, and is answered."""
    bench.ask(bench.stranger(), bench.new_ping(b""))


@case("ping-other-name", Area.PING, "M-167")
def a_ping_for_somebody_else_is_not_answered(bench: Bench) -> None:
    """A ping that names another node is not answered: who took over an address must not pass for its former owner."""
    end = bench.stranger()
    ping = bench.new_ping(b"kit-somebody-else")
    bench.is_ignored(end, lambda: end.send(ping.encode(), bench.node.address), ping.seq_no, "a ping for somebody else")


@case("ping-to-source", Area.PING, "M-166")
def an_ack_goes_to_the_source_in_the_ping(bench: Bench) -> None:
    """With source address and port in the ping, its ack goes there and not to where the packet came from."""
    sender, wanted = bench.stranger("sender"), bench.stranger("source")
    ping = bench.new_ping(source_addr=wanted.ip, source_port=wanted.port, source_node=b"kit-source")
    for _ in range(3):
        sender.send(ping.encode(), bench.node.address)
        if bench.find_ack(wanted, {ping.seq_no}, 1.0):
            break
    else:
        expect(False, "the ack at the ping's source address", "it did not come there")
    astray = bench.find_ack(sender, {ping.seq_no}, 0.05)
    expect(astray is None, "no ack at the address that the packet came from", astray)


@case("ping-half-source", Area.PING, "M-166", "M-212")
def a_source_without_port_is_no_source(bench: Bench) -> None:
    """Without a port (or without an address) in the ping, its ack goes to where the packet came from."""
    end = bench.stranger()
    bench.ask(end, bench.new_ping(source_addr=bytes((127, 0, 0, 9)), source_port=0))
    bench.ask(end, bench.new_ping(source_addr=None, source_port=9))


@case("ping-numbers", Area.PING, "M-166")
def all_sequence_numbers_are_echoed(bench: Bench) -> None:
    """Sequence numbers from 0 to 2**32 - 1 come back as they were sent."""
    end = bench.stranger()
    for number in (0, 1, 127, 128, 255, 256, 65535, 65536, 2**31, 2**32 - 1):
        ping = bench.new_ping()
        bench.ask(end, type(ping)(number, ping.node))


@case("ping-repeated", Area.PING, "M-167")
def each_ping_is_answered(bench: Bench) -> None:
    """The same ping twice is answered twice."""
    end = bench.stranger()
    ping = bench.new_ping()
    for _ in range(2):
        bench.ask(end, ping, expected="each time an ack")
