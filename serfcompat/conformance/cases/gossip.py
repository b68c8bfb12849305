"""How news spread."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from serfcompat.conformance.bench import LEFT, Bench, decoded
from serfcompat.conformance.case import Area, Broken, NotApplicable, Severity, case, expect
from serfcompat.conformance.peer import Heard, Peer
from serfcompat.swim.queue import retransmit_limit
from serfcompat.wire.messages import Alive, Dead, Suspect
from serfcompat.wire.types import MessageType

LIMIT = 10.0
"Seconds within which news that are spread at all are heard."
SLACK = 2 + 5
"Bytes over the limit that Go itself may send: a length that it forgets, and the checksum."


def _about(kind: type[Alive] | type[Suspect] | type[Dead], name: bytes, heard: Sequence[Heard]) -> list[Heard]:
    return [each for each in heard if each.kind == kind.TYPE and decoded(kind, each.body).node == name]


def _await(members: Sequence[Peer], kind: type[Alive] | type[Suspect] | type[Dead], name: bytes) -> Heard:
    """The first message about a node that reaches any of these members: each copy goes to another one."""

    def found() -> Heard | None:
        return next((each for member in members for each in _about(kind, name, member.heard)), None)

    deadline = time.monotonic() + LIMIT
    while (heard := found()) is None:
        if time.monotonic() > deadline:
            what = f"gossip of the {kind.__name__.lower()} message about {name!r}"
            raise Broken(what, f"nothing within {LIMIT:g} s")
        time.sleep(0.02)
    return heard


@case("gossip-alive", Area.GOSSIP, "M-115", "M-173", alone=True)
def a_new_node_is_told_of(bench: Bench) -> None:
    """News of a new node are gossiped to the members, as they came."""
    listener, newcomer = bench.member("listener"), bench.peer("newcomer", meta=b"kit")
    bench.forget_later(newcomer.name)
    bench.tell(newcomer.alive)
    told = decoded(Alive, _await([listener, newcomer], Alive, newcomer.name).body)
    expect(told == newcomer.alive, repr(newcomer.alive), told)


@case("gossip-suspect", Area.GOSSIP, "M-136", alone=True)
def an_accusation_is_told_of(bench: Bench) -> None:
    """An accusation is gossiped under the name of the accuser."""
    listener, suspect = bench.member("listener"), bench.member("suspect")
    claim = listener.suspect(suspect.name, 1)
    bench.tell(claim)
    told = decoded(Suspect, _await([listener, suspect], Suspect, suspect.name).body)
    expect(told == claim, repr(claim), told)


@case("gossip-dead", Area.GOSSIP, "M-141", alone=True)
def a_death_is_told_of(bench: Bench) -> None:
    """News of a death, and of a leave, are gossiped as they came."""
    listener, dead, left = bench.member("listener"), bench.member("dead"), bench.member("left")
    for claim in (listener.dead(dead.name, 1), left.dead(left.name, 1)):
        bench.tell(claim)
        told = decoded(Dead, _await([listener, dead, left], Dead, claim.node).body)
        expect(told == claim, repr(claim), told)


@case("gossip-source", Area.GOSSIP, "M-022", alone=True)
def packets_come_from_the_nodes_port(bench: Bench) -> None:
    """Packets leave from the port that the node listens on: an answer by return finds it."""
    member = bench.member()
    try:
        source = member.wait_for(MessageType.PING).source
    except TimeoutError as error:
        raise Broken("a packet", str(error)) from error
    expect(source[1] == bench.node.port, f"source port {bench.node.port}", source)


@case("gossip-limit", Area.GOSSIP, "M-194", "M-193", alone=True, limit=60)
def news_are_sent_a_limited_number_of_times(bench: Bench) -> None:
    """A piece of news is sent so many times in all as the retransmit multiplier and the number of nodes say,
    and no more.
    """
    listener, subject = bench.member("listener"), bench.member("subject")
    others = [node.name for node in bench.state().nodes if node.state != LEFT]
    if set(others) != {bench.name, listener.name, subject.name}:
        raise NotApplicable("the node knows others beside, and the copies that they get can't be counted")
    _quiet_down(bench, listener, subject)
    limit = retransmit_limit(bench.node.timing.retransmit_mult, len(bench.state().nodes))
    subject.incarnation = 40
    bench.tell(subject.alive)

    def count() -> int:
        heard = [*listener.heard, *subject.heard]
        return sum(decoded(Alive, each.body).incarnation == 40 for each in _about(Alive, subject.name, heard))

    deadline = time.monotonic() + 2.0 + limit * bench.node.timing.gossip_interval * 4
    while time.monotonic() < deadline and count() < limit:
        time.sleep(0.05)
    time.sleep(3 * bench.node.timing.gossip_interval + 0.2)
    sent = count()
    expect(sent == limit, f"{limit} copies of the news in all", f"{sent} copies")


def _quiet_down(bench: Bench, *members: Peer) -> None:
    """Wait until the node has nothing to tell any more."""
    deadline = time.monotonic() + 8.0
    while time.monotonic() < deadline:
        for member in members:
            member.forget()
        time.sleep(6 * bench.node.timing.gossip_interval)
        if not any(each.kind in (MessageType.ALIVE, MessageType.USER) for member in members for each in member.heard):
            return


@case("gossip-left", Area.GOSSIP, "M-173", alone=True, severity=Severity.SHOULD)
def who_left_hears_no_gossip(bench: Bench) -> None:
    """News aren't sent to members that left."""
    listener, left = bench.member("listener"), bench.member("left")
    bench.tell(left.dead(left.name, 1))
    bench.wait_for_state(left, LEFT)
    _await([listener], Dead, left.name)
    left.forget()
    for _ in range(3):
        listener.incarnation += 1
        bench.tell(listener.alive)
        _await([listener], Alive, listener.name)
        listener.forget()
    heard = [each for each in left.heard if each.kind == MessageType.ALIVE]
    expect(not heard, "no gossip to who left", heard)


@case("gossip-size", Area.LIMITS, "M-014", "M-015", alone=True, limit=60)
def packets_have_a_size(bench: Bench) -> None:
    """However many news there are, no packet is larger than the configured 1400 bytes and what Go itself may
    add to them.
    """
    listener, end = bench.member("listener"), bench.stranger()
    # All gossip ends at one place, and is made of what compression can't shorten.
    place = {"addr": listener.ip, "port": listener.port}
    bench.exchange([bench.new_entry("news", meta=os.urandom(200), **place) for _ in range(60)])
    deadline = time.monotonic() + 4.0
    while time.monotonic() < deadline:
        bench.ask(end)
        time.sleep(0.1)
    sizes = sorted(len(each.data) for each in bench.trace.entries() if each.kind == "packet" and not each.sent)
    most = bench.node.timing.udp_buffer_size + SLACK
    expect(sizes, "packets", "none came")
    expect(sizes[-1] <= most, f"packets of at most {most} bytes", sizes[-5:])
