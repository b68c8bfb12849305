"""How a node looks after others."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import Self

from serfcompat.conformance.bench import ALIVE, LEFT, SUSPECT, Bench, decoded
from serfcompat.conformance.case import Area, Broken, Severity, case, expect
from serfcompat.conformance.peer import Heard, Peer
from serfcompat.wire.messages import Ack, IndirectPing, Ping, Suspect
from serfcompat.wire.types import MessageType


def _limit(bench: Bench, members: int = 3) -> float:
    """Seconds within which everybody has been probed once, with the health of a node that was refuted at times."""
    return 8 + 3 * members * bench.node.timing.probe_interval


def _ping(bench: Bench, member: Peer) -> Ping:
    """The next ping that the node sends a member. Broken: it sends none."""

    def found(heard: Sequence[Heard]) -> Ping | None:
        for each in heard:
            if each.kind == MessageType.PING:
                return decoded(Ping, each.body)
        return None

    member.forget()
    try:
        return member.wait_until(found, limit=_limit(bench))
    except TimeoutError as error:
        raise Broken("a ping by the node, which probes its members in turn", str(error)) from error


@case("probe-ping", Area.PROBE, "M-167", "M-166")
def members_are_pinged(bench: Bench) -> None:
    """A node pings its members now and then, by name, with its own address and name as the source."""
    member = bench.member()
    ping, me = _ping(bench, member), bench.me
    found = (ping.node, ping.source_addr, ping.source_port, ping.source_node)
    wanted = (member.name, me.addr, me.port, me.name)
    expect(found == wanted, f"node and source {wanted}", found)


@case("probe-numbers", Area.PROBE, "M-168")
def each_ping_has_its_number(bench: Bench) -> None:
    """Each probe has a sequence number of its own."""
    member = bench.member()
    numbers = [_ping(bench, member).seq_no for _ in range(2)]
    expect(numbers[0] != numbers[1], "different sequence numbers", numbers)


def _relays_asked(relay: Peer, silent: Peer, seq_nos: set[int], limit: float) -> IndirectPing:
    def found(heard: Sequence[Heard]) -> IndirectPing | None:
        for each in heard:
            if each.kind == MessageType.INDIRECT_PING:
                request = decoded(IndirectPing, each.body)
                if request.node == silent.name and request.seq_no in seq_nos:
                    return request
        return None

    try:
        return relay.wait_until(found, limit=limit)
    except TimeoutError as error:
        expected = f"an indirect ping for {silent.name!r} with the sequence number of the ping that it did not answer"
        raise Broken(expected, str(error)) from error


def _silence(member: Peer) -> set[int]:
    """Let a member hear pings and not answer them; their numbers, as they come."""
    numbers: set[int] = set()

    def note(ping: Ping) -> bool:
        numbers.add(ping.seq_no)
        return True

    member.on_ping, member.answers_streams = note, False
    return numbers


@case("probe-indirect", Area.PROBE, "M-158", "M-159", alone=True)
def others_are_asked_about_the_silent(bench: Bench) -> None:
    """If a member doesn't answer, others are asked to ping it, with the same sequence number and the node as
    the source.
    """
    relay, silent = bench.member("relay"), bench.member("silent")
    numbers = _silence(silent)
    request, me = _relays_asked(relay, silent, numbers, _limit(bench)), bench.me
    found = (request.target, request.port, request.source_addr, request.source_port, request.source_node)
    wanted = (silent.ip, silent.port, me.addr, me.port, me.name)
    expect(found == wanted, f"target and source {wanted}", found)
    expect(request.nack, "a nack is asked for of a member that understands protocol 4", request)


@case("probe-no-nack", Area.PROBE, "M-158", alone=True)
def old_members_are_not_asked_for_nacks(bench: Bench) -> None:
    """A member that understands protocol 3 at most isn't asked for a nack."""
    vsn = bytearray(bench.me.vsn or bytes(6))
    vsn[1] = 3
    relay, silent = bench.member("relay", vsn=bytes(vsn)), bench.member("silent")
    request = _relays_asked(relay, silent, _silence(silent), _limit(bench))
    expect(not request.nack, "no nack is asked for", request)


@case("probe-suspect", Area.PROBE, "M-156", "M-136", alone=True)
def the_silent_are_suspected(bench: Bench) -> None:
    """A member that answers neither packets nor streams, and that nobody else reaches, is suspected."""
    silent = bench.member("silent")
    _silence(silent)
    bench.wait_for_state(silent, SUSPECT, limit=_limit(bench))


@case("probe-tcp", Area.PROBE, "M-160", "M-162", alone=True)
def tcp_saves_who_loses_packets(bench: Bench) -> None:
    """A member that answers no packets is pinged over TCP with the same sequence number; if it answers there it
    isn't suspected.
    """
    member = bench.member("packetless")
    numbers = _silence(member)
    member.answers_streams = True
    try:
        ping = member.wait_for_stream(MessageType.PING, limit=_limit(bench))
    except TimeoutError as error:
        raise Broken("a ping over TCP", str(error)) from error
    assert isinstance(ping, Ping)
    expect(ping.node == member.name, f"a ping for {member.name!r}", ping)
    expect(ping.seq_no in numbers, f"one of the sequence numbers {sorted(numbers)} of its pings by packet", ping)
    deadline = time.monotonic() + 2.5 * bench.node.timing.probe_interval
    while time.monotonic() < deadline:
        known = bench.entry(member.name)
        expect(known is not None and known.state == ALIVE, "alive, since it answers over TCP", known)
        time.sleep(0.1)


def _stays_alive(bench: Bench, member: Peer, why: str, excused: Callable[[], object] = lambda: False) -> bool:
    """Watch for four probes that nobody suspects a member. False: somebody did, and is excused.

    ⚠ What keeps the member alive must come from another thread: a look is an exchange of state, and takes its time.
    """
    until = time.monotonic() + 4 * bench.node.timing.probe_interval
    while time.monotonic() < until:
        known = bench.entry(member.name)
        alive = known is not None and known.state == ALIVE
        if not alive and excused():
            return False
        expect(alive, f"alive, since {why}", known)
        time.sleep(0.02)
    return True


@case("probe-relayed-ack", Area.PROBE, "M-161", alone=True)
def a_relayed_ack_saves(bench: Bench) -> None:
    """A member that only another one reaches isn't suspected: the relayed ack counts."""
    relay, hidden = bench.member("relay"), bench.member("hidden")
    asked: list[IndirectPing] = []

    def answer(request: IndirectPing) -> None:
        if request.node == hidden.name:
            asked.append(request)
            relay.send(Ack(request.seq_no, None).encode(), bench.node.address)

    relay.on_indirect_ping = answer
    _silence(hidden)
    _stays_alive(bench, hidden, "a relay got an answer")
    expect(asked, "indirect pings", "none came")


class _Tardy:
    """Acknowledges each ping of a member some seconds after it came, whatever else goes on."""

    def __init__(self, member: Peer, to: str, wait: float) -> None:
        self.count = 0
        "Acks that were sent."
        self._slowest = 0.0
        self._waits_since: float | None = None
        self._member, self._to, self._wait = member, to, wait
        self._pings: queue.SimpleQueue[tuple[float, Ping] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._answer, name=f"late acks of {member.who}", daemon=True)
        self._thread.start()
        member.on_ping = self._note

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pings.put(None)
        self._thread.join()

    @property
    def slowest(self) -> float:
        """The most seconds that an ack took from its ping, one that wasn't sent yet included."""
        since = self._waits_since
        return self._slowest if since is None else max(self._slowest, time.monotonic() - since)

    def _note(self, ping: Ping) -> bool:
        self._pings.put((time.monotonic(), ping))
        return True

    def _answer(self) -> None:
        while (next := self._pings.get()) is not None:
            heard, ping = next
            self._waits_since = heard
            time.sleep(max(0.0, heard + self._wait - time.monotonic()))
            self._member.send(Ack(ping.seq_no, None).encode(), self._to)
            self._slowest, self._waits_since = self.slowest, None
            self.count += 1


@case("probe-late-ack", Area.PROBE, "M-161", alone=True)
def a_late_ack_saves(bench: Bench) -> None:
    """An ack that comes after the probe timeout, but before the probe's end, saves the member from suspicion."""
    timing = bench.node.timing
    rest = timing.probe_interval - timing.probe_timeout
    wait, too_late = timing.probe_timeout + 0.2 * rest, timing.probe_timeout + 0.7 * rest

    def saves(member: Peer) -> bool:
        """False: this machine was too busy to send the acks in time, which proves nothing either way."""
        member.answers_streams = False
        with _Tardy(member, bench.node.address, wait) as acks:
            why = f"it answers {wait:.2f} s after the ping"
            if not _stays_alive(bench, member, why, excused=lambda: acks.slowest > too_late):
                bench.tell(member.dead(member.name, 1))  # the next one is to be probed as often
                bench.wait_for_state(member, LEFT)
                return False
            expect(acks.count, "pings", "none came")
        return True

    if not any(saves(bench.member("late")) for _ in range(3)):
        raise RuntimeError(f"too busy a machine: acks that were due {wait:.2f} s after pings left too late")


@case("probe-suspect-told", Area.PROBE, "M-157", alone=True, severity=Severity.SHOULD)
def a_suspect_is_told_so(bench: Bench) -> None:
    """A suspect is pinged by a compound of the ping and the accusation, so that it can refute at once."""
    suspect = bench.member("suspect")
    bench.tell(suspect.suspect(suspect.name, 1))
    bench.wait_for_state(suspect, SUSPECT)
    suspect.forget()

    def found(heard: Sequence[Heard]) -> Suspect | None:
        pings = [each for each in heard if each.kind == MessageType.PING and each.position == 0 and each.of > 1]
        for ping in pings:
            for each in heard:
                if each.datagram is ping.datagram and each.kind == MessageType.SUSPECT and each.position == 1:
                    return decoded(Suspect, each.body)
        return None

    try:
        told = suspect.wait_until(found, limit=_limit(bench))
    except TimeoutError as error:
        raise Broken("a compound of a ping and an accusation", str(error)) from error
    wanted = Suspect(1, suspect.name, bench.name)
    expect(told == wanted, repr(wanted), told)


@case("probe-not-dead", Area.PROBE, "M-169", alone=True, severity=Severity.SHOULD)
def who_left_is_left_alone(bench: Bench) -> None:
    """A member that left isn't probed any more."""
    member, other = bench.member("left"), bench.member("other")
    bench.tell(member.dead(member.name, 1))
    bench.wait_for_state(member, LEFT)
    member.forget()
    for _ in range(3):
        _ping(bench, other)
    pings = [each for each in member.heard if each.kind == MessageType.PING]
    expect(not pings, "no ping of who left", pings)
