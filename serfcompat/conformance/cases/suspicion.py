"""How long a suspect may live."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

from serfcompat.conformance.bench import ALIVE, DEAD, SUSPECT, Bench
from serfcompat.conformance.case import Area, Broken, NotApplicable, Severity, case, expect
from serfcompat.conformance.peer import Heard, Peer
from serfcompat.swim.suspicion import confirmations_wanted, suspicion_timeouts
from serfcompat.wire.messages import Dead, Suspect
from serfcompat.wire.types import MessageType

EARLY, LATE = 0.35, 2.5
"Seconds by which a judgement may come before and after its time, on a busy machine."


def _timeouts(bench: Bench) -> tuple[float, float, int]:
    """Shortest and longest life of a suspect in seconds, and how many confirmations make it the shortest."""
    timing, nodes = bench.node.timing, len(bench.state().nodes)
    interval_ns = int(timing.probe_interval * 1e9)
    low, high = suspicion_timeouts(timing.suspicion_mult, timing.suspicion_max_timeout_mult, nodes, interval_ns)
    return low / 1e9, high / 1e9, confirmations_wanted(timing.suspicion_mult, nodes)


def _dies_within(bench: Bench, suspect: Peer, began: float, low: float, high: float) -> None:
    bench.wait_for_state(suspect, DEAD, limit=high - (time.monotonic() - began))
    lived = time.monotonic() - began
    expect(lived >= low, f"a suspect lives for {low:.2f} s at least", f"{lived:.2f} s")


@case("suspicion-small", Area.SUSPICION, "M-152", "M-150", "M-149", alone=True, limit=60)
def without_other_accusers_the_shortest_time_counts(bench: Bench) -> None:
    """With so few nodes that nobody could confirm it, a suspect is declared dead after the shortest time."""
    suspect = bench.member("suspect")
    low, _, wanted = _timeouts(bench)
    if wanted:
        raise NotApplicable("the node knows so many nodes already that others could confirm a suspicion")
    bench.tell(suspect.suspect(suspect.name, 1))
    began = time.monotonic()
    bench.wait_for_state(suspect, SUSPECT)
    _dies_within(bench, suspect, began, low - EARLY, low + LATE)


def _company(bench: Bench) -> list[Peer]:
    """So many members that suspicions can be confirmed, and three beside."""
    return [bench.member("accuser") for _ in range(4)]


@case("suspicion-alone", Area.SUSPICION, "M-149", "M-150", alone=True, limit=90)
def a_lone_accuser_has_to_wait(bench: Bench) -> None:
    """With enough nodes to confirm it, a suspicion that nobody confirms is given far more than the shortest time."""
    accuser, *_ = _company(bench)
    suspect = bench.member("suspect")
    low, high, wanted = _timeouts(bench)
    expect(wanted > 0, "a cluster in which suspicions can be confirmed")
    bench.tell(accuser.suspect(suspect.name, 1))
    began = time.monotonic()
    bench.wait_for_state(suspect, SUSPECT)
    # Far more than the shortest, whatever the number of nodes and the machine's mood; the longest would take too long.
    while time.monotonic() - began < min(high - 1.0, 2.0 * low + LATE):
        known = bench.entry(suspect.name)
        expect(
            known is not None and known.state == SUSPECT,
            f"a suspect lives for {high:.1f} s if nobody confirms it",
            f"after {time.monotonic() - began:.1f} s: {known}",
        )
        time.sleep(0.2)


@case("suspicion-confirmed", Area.SUSPICION, "M-137", "M-150", "M-149", "M-151", alone=True, limit=90)
def confirmations_shorten_the_wait(bench: Bench) -> None:
    """As many confirmations from different accusers as are wanted shorten the wait to the shortest time; fewer
    don't.
    """
    first, *others = _company(bench)
    suspect = bench.member("suspect")
    low, _, wanted = _timeouts(bench)
    expect(0 < wanted <= len(others), "a cluster in which suspicions can be confirmed")
    bench.tell(first.suspect(suspect.name, 1))
    began = time.monotonic()
    bench.wait_for_state(suspect, SUSPECT)
    for other in others[:wanted]:
        bench.tell(other.suspect(suspect.name, 1))
    _dies_within(bench, suspect, began, low - EARLY, low + LATE)


@case("suspicion-same-accuser", Area.SUSPICION, "M-137", alone=True, limit=90)
def nobody_confirms_himself(bench: Bench) -> None:
    """The same accuser again, however often, doesn't shorten the wait."""
    accuser, *_ = _company(bench)
    suspect = bench.member("suspect")
    low, _, wanted = _timeouts(bench)
    expect(wanted > 0, "a cluster in which suspicions can be confirmed")
    bench.tell(accuser.suspect(suspect.name, 1))
    began = time.monotonic()
    bench.wait_for_state(suspect, SUSPECT)
    for _ in range(5):
        bench.tell(accuser.suspect(suspect.name, 1))
    while time.monotonic() - began < low + LATE:
        known = bench.entry(suspect.name)
        expect(known is not None and known.state == SUSPECT, "still a suspect", known)
        time.sleep(0.2)


@case("suspicion-spread", Area.SUSPICION, "M-137", "M-138", alone=True, limit=60)
def confirmations_are_passed_on(bench: Bench) -> None:
    """A new accuser's confirmation is gossiped under its own name; beyond those that are wanted, none is."""
    company = [first, *others] = _company(bench)
    suspect = bench.member("suspect")
    _, _, wanted = _timeouts(bench)
    bench.tell(first.suspect(suspect.name, 1))
    bench.wait_for_state(suspect, SUSPECT)
    for other in others[:wanted]:
        bench.tell(other.suspect(suspect.name, 1))
        heard = partial(_told, [*company, suspect], suspect, other)
        bench.wait(heard, bool, f"gossip that {other.name!r} suspects too", limit=8.0)
    late = others[wanted]
    bench.tell(late.suspect(suspect.name, 1))
    bench.settle()
    time.sleep(8 * bench.node.timing.gossip_interval)
    told = _told([*company, suspect], suspect, late)
    expect(not told, f"no gossip that {late.name!r} suspects too, since nobody has to know", "there is")


def _told(listeners: Sequence[Peer], suspect: Peer, by: Peer) -> bool:
    """Whether any of these has heard that somebody suspects another."""
    return any(
        (claim.node, claim.from_) == (suspect.name, by.name)
        for listener in listeners
        for each in listener.heard
        if each.kind == MessageType.SUSPECT
        for claim in [Suspect.decode(each.body)]
    )


@case("suspicion-saved", Area.SUSPICION, "M-126", "M-146", alone=True, limit=60)
def who_refutes_in_time_lives(bench: Bench) -> None:
    """A suspect that refutes is alive, and isn't declared dead when the time of the old suspicion is over."""
    suspect = bench.member("suspect")
    low, _, _ = _timeouts(bench)
    bench.tell(suspect.suspect(suspect.name, 1))
    began = time.monotonic()
    bench.wait_for_state(suspect, SUSPECT)
    suspect.incarnation = 2
    bench.tell(suspect.alive)
    bench.wait_for_state(suspect, ALIVE)
    while time.monotonic() - began < low + 1.0:
        known = bench.entry(suspect.name)
        expect(known is not None and known.state == ALIVE, "alive after its refutation", known)
        time.sleep(0.2)


@case("suspicion-declared", Area.SUSPICION, "M-146", alone=True, limit=60, severity=Severity.SHOULD)
def the_declarer_gives_its_own_name(bench: Bench) -> None:
    """Whoever declares a suspect dead says so by gossip, under its own name and with the suspected incarnation."""
    suspect = bench.member("suspect")
    _, high, _ = _timeouts(bench)
    bench.tell(suspect.suspect(suspect.name, 3))

    def right(heard: Heard) -> bool:
        return Dead.decode(heard.body).node == suspect.name

    try:
        told = Dead.decode(suspect.wait_for(MessageType.DEAD, right, limit=high + LATE).body)
    except TimeoutError as error:
        raise Broken("gossip of the suspect's death, which reaches itself", str(error)) from error
    wanted = Dead(3, suspect.name, bench.name)
    expect(told == wanted, repr(wanted), told)
