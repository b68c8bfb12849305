"""What a node does about false claims about itself."""

from __future__ import annotations

import dataclasses
from functools import partial

from serfcompat.conformance.bench import ALIVE, Bench
from serfcompat.conformance.case import Area, Broken, Severity, case, expect
from serfcompat.conformance.peer import Heard, Peer
from serfcompat.wire.messages import Alive, Dead, PushPullNode, Suspect
from serfcompat.wire.types import MessageType


def _itself(bench: Bench) -> PushPullNode:
    found = bench.entry(bench.name)
    if found is None:
        raise Broken("the node itself in its state", "it isn't there")
    return found


def _refutes(bench: Bench, claim: Suspect | Dead | Alive) -> PushPullNode:
    """What the node says about itself after it raised its incarnation over that of a claim by one."""
    bench.tell(claim)
    wanted = claim.incarnation + 1
    found = bench.wait_for_entry(
        bench.name,
        lambda e: e is not None and e.incarnation >= wanted,
        f"the incarnation {wanted} of a refutation, after {claim}",
    )
    assert found is not None
    expect(found.incarnation == wanted, f"incarnation {wanted}: one more than that of the claim", found)
    expect(found.state == ALIVE, "alive in its own eyes", found)
    return found


@case("refute-suspect", Area.REFUTE, "M-139", alone=True)
def an_accusation_is_refuted(bench: Bench) -> None:
    """A node that is suspected raises its incarnation over that of the accusation by one, and stays alive."""
    accuser = bench.member("accuser")
    _refutes(bench, accuser.suspect(bench.name, _itself(bench).incarnation))
    _refutes(bench, accuser.suspect(bench.name, _itself(bench).incarnation + 10))


@case("refute-dead", Area.REFUTE, "M-140", alone=True)
def a_death_is_refuted(bench: Bench) -> None:
    """A node that is said to be dead, or to have left, raises its incarnation over that of the claim by one."""
    accuser = bench.member("accuser")
    _refutes(bench, accuser.dead(bench.name, _itself(bench).incarnation + 3))
    _refutes(bench, Dead(_itself(bench).incarnation, bench.name, bench.name))


@case("refute-other-meta", Area.REFUTE, "M-130", "M-144", alone=True)
def false_metadata_are_refuted(bench: Bench) -> None:
    """An alive message about the node itself with its incarnation and other metadata is refuted with its own
    metadata.
    """
    me = _itself(bench)
    claim = Alive(me.incarnation, me.name, me.addr, me.port, b"kit-false", me.vsn)
    found = _refutes(bench, claim)
    wanted = dataclasses.replace(me, incarnation=found.incarnation)
    expect(found == wanted, f"nothing but the incarnation changed: {wanted}", found)


@case("refute-future", Area.REFUTE, "M-131", alone=True)
def a_future_life_is_refuted(bench: Bench) -> None:
    """An alive message about the node itself with a higher incarnation, from a former life, is outbid by one."""
    me = _itself(bench)
    _refutes(bench, Alive(me.incarnation + 20, me.name, me.addr, me.port, me.meta, me.vsn))


@case("refute-not-stale", Area.REFUTE, "M-132", "M-129", alone=True)
def stale_claims_are_not_refuted(bench: Bench) -> None:
    """Claims about the node itself with a lower incarnation, and true ones, are ignored."""
    accuser = bench.member("accuser")
    me = _refutes(bench, accuser.suspect(bench.name, _itself(bench).incarnation + 5))
    bench.tell(accuser.suspect(me.name, me.incarnation - 1))
    bench.tell(accuser.dead(me.name, me.incarnation - 1))
    bench.tell(Alive(me.incarnation - 1, me.name, me.addr, me.port, b"old", me.vsn))
    bench.tell(Alive(me.incarnation, me.name, me.addr, me.port, me.meta, me.vsn))
    bench.settle()
    found = _itself(bench)
    expect(found == me, f"still {me}", found)


@case("refute-not-conflict", Area.REFUTE, "M-133", spoils=True)
def another_address_is_a_conflict(bench: Bench) -> None:
    """An alive message with the node's name and another address is a conflict of names: it is not refuted, and
    not believed.
    """
    me = _itself(bench)
    bench.tell(Alive(me.incarnation + 1, me.name, b"\x7f\x7f\x7f\x02", me.port, me.meta, me.vsn))
    bench.settle()
    found = _itself(bench)
    expect(found == me, f"still {me}", found)


@case("refute-told", Area.REFUTE, "M-139", "M-144", alone=True)
def a_refutation_is_gossiped(bench: Bench) -> None:
    """A refutation is an alive message with the node's address, metadata and versions, and reaches the members
    by gossip.
    """
    member = bench.member("listener")
    me = _itself(bench)
    claim = member.suspect(bench.name, me.incarnation + 2)
    bench.tell(claim)
    told = _alive_about(bench, member, me.name, claim.incarnation)
    wanted = Alive(claim.incarnation + 1, me.name, me.addr, me.port, me.meta, me.vsn)
    expect(told == wanted, repr(wanted), told)


@case("refute-by-push-pull", Area.REFUTE, "M-176", "M-139", alone=True)
def claims_in_a_state_are_refuted(bench: Bench) -> None:
    """A node that finds itself suspect, dead or left in another's state refutes it."""
    for state in (1, 2, 3):
        me = _itself(bench)
        bench.exchange([dataclasses.replace(me, state=state)])
        outbid = partial(_has_incarnation, me.incarnation + 1)
        bench.wait_for_entry(bench.name, outbid, f"incarnation {me.incarnation + 1}")


def _has_incarnation(wanted: int, entry: PushPullNode | None) -> bool:
    return entry is not None and entry.incarnation == wanted


@case("refute-last-incarnation", Area.REFUTE, "M-145", spoils=True, severity=Severity.SHOULD)
def incarnations_wrap(bench: Bench) -> None:
    """An accusation at the last incarnation does no harm to the process; incarnations are counted modulo 2**32."""
    accuser = bench.member("accuser")
    bench.tell(accuser.suspect(bench.name, 2**32 - 1))
    bench.lives("an accusation at the last incarnation")
    bench.state()


def _alive_about(bench: Bench, member: Peer, name: bytes, above: int) -> Alive:
    def right(heard: Heard) -> bool:
        claim = Alive.decode(heard.body)
        return claim.node == name and claim.incarnation > above

    try:
        return Alive.decode(member.wait_for(MessageType.ALIVE, right, limit=10.0).body)
    except TimeoutError as error:
        raise Broken(f"an alive message about {name!r} at a member", str(error)) from error
