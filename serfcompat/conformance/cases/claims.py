"""Which claims about nodes are believed."""

from __future__ import annotations

from serfcompat.conformance.bench import ALIVE, DEAD, LEFT, SUSPECT, Bench
from serfcompat.conformance.case import Area, case, expect
from serfcompat.wire.messages import Alive, PushPullNode


def claim_of(entry: PushPullNode, **changes: object) -> Alive:
    """The alive message about a node."""
    values = {
        "incarnation": entry.incarnation,
        "node": entry.name,
        "addr": entry.addr,
        "port": entry.port,
        "meta": entry.meta,
        "vsn": entry.vsn,
    }
    return Alive(**(values | changes))  # type: ignore[arg-type]


def remains(bench: Bench, name: bytes, wanted: PushPullNode | None, what: str) -> None:
    """Broken if what the node knows about another changed by what was sent before."""
    bench.settle()
    found = bench.entry(name)
    expect(found == wanted, f"{what}: still {wanted}", found)


@case("alive-new", Area.CLAIMS, "M-115")
def a_new_node_is_believed(bench: Bench) -> None:
    """An alive message about an unknown node makes it known and alive, with address, metadata and versions as told."""
    member = bench.peer("new", meta=b"kit-meta")
    bench.forget_later(member.name)
    bench.wait_sending(member.alive.encode(), member.name)
    known = bench.wait_for_state(member, ALIVE)
    wanted = PushPullNode(member.name, member.ip, member.port, b"kit-meta", 1, ALIVE, member.vsn)
    expect(known == wanted, repr(wanted), known)


@case("alive-stale", Area.CLAIMS, "M-117")
def the_same_incarnation_says_nothing_new(bench: Bench) -> None:
    """An alive message about a known node with the same incarnation, or a lower one, is ignored."""
    member = bench.peer("stale", meta=b"first")
    member.incarnation = 5
    bench.join(member)
    known = bench.wait_for_state(member, ALIVE)
    for incarnation in (5, 4, 0):
        bench.tell(Alive(incarnation, member.name, member.ip, member.port, b"second", member.vsn))
    remains(bench, member.name, known, "a stale alive message is ignored")


@case("alive-newer", Area.CLAIMS, "M-127")
def a_higher_incarnation_is_believed(bench: Bench) -> None:
    """An alive message with a higher incarnation brings new metadata."""
    member = bench.member("newer")
    member.incarnation, member.meta = 2, b"second"
    bench.tell(member.alive)
    bench.wait_for_entry(
        member.name, lambda e: e is not None and (e.incarnation, e.meta) == (2, b"second"), "the newer metadata"
    )


@case("alive-incarnation-0", Area.CLAIMS, "M-116")
def incarnation_0_is_no_life(bench: Bench) -> None:
    """An unknown node with incarnation 0 doesn't become alive."""
    entry = bench.new_entry("unborn", incarnation=0)
    bench.tell(claim_of(entry))
    bench.settle()
    found = bench.entry(entry.name)
    expect(found is None or found.state == DEAD, "an unknown or dead node", found)


@case("alive-bad-versions", Area.CLAIMS, "M-118")
def impossible_versions_are_ignored(bench: Bench) -> None:
    """An alive message whose lowest or highest protocol is 0, or whose lowest is above the highest, is ignored."""
    rest = (bench.me.vsn or bytes(6))[2:]
    for low, high in ((0, 5), (1, 0), (5, 2)):
        entry = bench.new_entry("impossible", vsn=bytes((low, high)) + rest)
        bench.tell(claim_of(entry))
        remains(bench, entry.name, None, f"a node that speaks protocols {low} to {high} is ignored")


@case("alive-other-address", Area.CLAIMS, "M-122", "M-121")
def a_living_node_keeps_its_address(bench: Bench) -> None:
    """A name that is alive can't be taken over from another address or port, whatever the incarnation; the same
    IPv4 address in 16 bytes is another.
    """
    member = bench.member("owner")
    known = bench.wait_for_state(member, ALIVE)
    mapped = b"\0" * 10 + b"\xff\xff" + member.ip
    for addr, port in ((member.ip, member.port + 1), (b"\x7f\x7f\x7f\x01", member.port), (mapped, member.port)):
        bench.tell(Alive(9, member.name, addr, port, b"taken", member.vsn))
    remains(bench, member.name, known, "somebody else's claim to the name is ignored")


@case("alive-address-of-left", Area.CLAIMS, "M-123")
def a_name_that_left_is_free(bench: Bench) -> None:
    """The name of a node that left may be taken from another address at once, even with a lower incarnation."""
    old, new = bench.peer("old"), bench.peer("new")
    old.incarnation = 7
    bench.join(old)
    bench.wait_for_state(old, ALIVE)
    bench.tell(old.dead(old.name, 7))
    bench.wait_for_state(old, LEFT)
    bench.tell(Alive(3, old.name, new.ip, new.port, None, new.vsn))
    bench.wait_for_entry(
        old.name,
        lambda e: e is not None and (e.port, e.incarnation, e.state) == (new.port, 3, ALIVE),
        f"alive at port {new.port} with incarnation 3",
    )


@case("alive-back-from-dead", Area.CLAIMS, "M-128", "M-117")
def the_dead_come_back_with_a_new_incarnation(bench: Bench) -> None:
    """A dead node comes back with a higher incarnation, and not with the one it died with."""
    member, accuser = bench.member("back"), bench.member("accuser")
    bench.tell(accuser.dead(member.name, 1))
    known = bench.wait_for_state(member, DEAD)
    bench.tell(member.alive)
    remains(bench, member.name, known, "the old incarnation doesn't bring the dead back")
    member.incarnation = 2
    bench.tell(member.alive)
    bench.wait_for_state(member, ALIVE)


@case("suspect-believed", Area.CLAIMS, "M-136")
def an_accusation_is_believed(bench: Bench) -> None:
    """An accusation of an alive node with its incarnation, or a higher one, makes it suspect with that incarnation."""
    member, accuser = bench.member("accused"), bench.member("accuser")
    bench.tell(accuser.suspect(member.name, 4))
    known = bench.wait_for_state(member, SUSPECT)
    expect(known.incarnation == 4, "the incarnation of the accusation, 4", known)


@case("suspect-stale", Area.CLAIMS, "M-135")
def a_stale_accusation_is_ignored(bench: Bench) -> None:
    """An accusation with a lower incarnation than the known one is ignored, and so is one of an unknown node."""
    member, accuser = bench.peer("accused"), bench.member("accuser")
    member.incarnation = 6
    bench.join(member)
    known = bench.wait_for_state(member, ALIVE)
    bench.tell(accuser.suspect(member.name, 5))
    bench.tell(accuser.suspect(b"kit-nobody", 5))
    remains(bench, member.name, known, "a stale accusation is ignored")
    found = bench.entry(b"kit-nobody")
    expect(found is None, "nobody becomes known by an accusation", found)


@case("suspect-of-dead", Area.CLAIMS, "M-135")
def the_dead_are_not_suspected(bench: Bench) -> None:
    """An accusation of a node that is dead or left changes nothing."""
    dead, left, accuser = bench.member("dead"), bench.member("left"), bench.member("accuser")
    bench.tell(accuser.dead(dead.name, 1))
    bench.tell(left.dead(left.name, 1))
    states = [bench.wait_for_state(dead, DEAD), bench.wait_for_state(left, LEFT)]
    for known in states:
        bench.tell(accuser.suspect(known.name, 1))
    bench.settle()
    found = [bench.entry(known.name) for known in states]
    expect(found == states, f"still {states}", found)


@case("suspect-refuted", Area.CLAIMS, "M-126")
def a_refutation_is_believed(bench: Bench) -> None:
    """A suspect that says with a higher incarnation that it lives is alive again, and stays so."""
    member, accuser = bench.member("accused"), bench.member("accuser")
    bench.tell(accuser.suspect(member.name, 1))
    bench.wait_for_state(member, SUSPECT)
    member.incarnation = 2
    bench.tell(member.alive)
    bench.wait_for_state(member, ALIVE)


@case("dead-or-left", Area.CLAIMS, "M-141")
def death_and_leave_are_told_apart(bench: Bench) -> None:
    """A dead message from the node itself means that it left; from anybody else, that it died."""
    dead, left, accuser = bench.member("dead"), bench.member("left"), bench.member("accuser")
    bench.tell(accuser.dead(dead.name, 1))
    bench.tell(left.dead(left.name, 1))
    bench.wait_for_state(dead, DEAD)
    bench.wait_for_state(left, LEFT)


@case("dead-stays-dead", Area.CLAIMS, "M-142")
def the_dead_cannot_leave(bench: Bench) -> None:
    """A dead message about a node that is dead changes nothing: it can't leave any more."""
    member, accuser = bench.member("dead"), bench.member("accuser")
    bench.tell(accuser.dead(member.name, 1))
    known = bench.wait_for_state(member, DEAD)
    bench.tell(member.dead(member.name, 1))
    remains(bench, member.name, known, "the dead stay dead")


@case("dead-stale", Area.CLAIMS, "M-142")
def a_stale_death_is_ignored(bench: Bench) -> None:
    """A dead message with a lower incarnation than the known one is ignored, and so is one about an unknown node."""
    member, accuser = bench.peer("living"), bench.member("accuser")
    member.incarnation = 6
    bench.join(member)
    known = bench.wait_for_state(member, ALIVE)
    bench.tell(accuser.dead(member.name, 5))
    bench.tell(member.dead(member.name, 5))
    bench.tell(accuser.dead(b"kit-nobody", 5))
    remains(bench, member.name, known, "stale news of a death are ignored")
    found = bench.entry(b"kit-nobody")
    expect(found is None, "nobody becomes known by a death", found)
