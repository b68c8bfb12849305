"""Serf's join and leave intents and their Lamport times."""

from __future__ import annotations

from functools import partial

from serfcompat.conformance.case import Area, Level, Severity, case, expect
from serfcompat.conformance.lab import Lab
from serfcompat.conformance.serfside import (
    empty_state,
    exchange_serf,
    hear,
    hear_body,
    heard_nothing,
    say,
    serf_state,
)
from serfcompat.wire.gomsgpack import write_text
from serfcompat.wire.messages import Dead
from serfcompat.wire.serf_messages import JoinIntent, LeaveIntent, UserEventMessage

AGENT = Level.AGENT


@case("intent-join-sent", Area.INTENTS, "S-057", "S-052", "S-019", level=AGENT)
def a_join_is_announced(lab: Lab) -> None:
    """An agent that joins gossips a join intent with its name and its Lamport time, in Go's bytes."""
    agent = lab.agent("a")
    bench = lab.bench(agent)
    peer = bench.member("peer")
    agent.client.join([f"{peer.host}:{peer.port}"])
    body = hear_body(peer, JoinIntent, lambda intent: intent.node == b"a")
    intent = JoinIntent.decode(body)
    expect(intent.ltime >= 1, "a Lamport time of 1 at least", intent)
    expect(intent.encode()[1:] == body, intent.encode()[1:].hex(), body.hex())


@case("intent-leave-sent", Area.INTENTS, "S-087", "S-072", level=AGENT)
def a_leave_is_announced(lab: Lab) -> None:
    """An agent that leaves gossips a leave intent with a Lamport time above that of its join, in Go's bytes."""
    agent = lab.agent("a")
    bench = lab.bench(agent)
    peer = bench.member("peer")
    agent.client.join([f"{peer.host}:{peer.port}"])
    joined = hear(peer, JoinIntent, lambda intent: intent.node == b"a")
    agent.client.leave()
    body = hear_body(peer, LeaveIntent, lambda intent: intent.node == b"a")
    intent = LeaveIntent.decode(body)
    expect(intent.ltime > joined.ltime, f"a Lamport time above {joined.ltime}", intent)
    expect(not intent.prune, "no prune", intent)
    expect(intent.encode()[1:] == body, intent.encode()[1:].hex(), body.hex())


@case("intent-passed-on", Area.INTENTS, "S-057", "S-038", level=AGENT)
def intents_are_passed_on_unchanged(lab: Lab) -> None:
    """A new intent is gossiped on as it came, byte by byte, with fields that nobody knows."""
    agent = lab.agent("a")
    bench = lab.bench(agent)
    peer = bench.member("peer")
    body = b"\x83" + write_text(b"LTime") + b"\x09" + write_text(b"Node") + write_text(b"kit-unknown")
    body += write_text(b"Zzz") + b"\x92\x01\xc0"
    say(bench, b"\x01" + body)
    heard = hear_body(peer, JoinIntent, lambda intent: intent.node == b"kit-unknown")
    expect(heard == body, body.hex(), heard.hex())


@case("intent-leave-leaving", Area.INTENTS, "S-067", "S-076", level=AGENT)
def who_announced_its_leave_leaves(lab: Lab) -> None:
    """A leave intent of an alive member makes it leaving; when it is gone then it has left, and not failed."""
    agent = lab.agent("a")
    bench = lab.bench(agent)
    peer = bench.member("peer")
    name = peer.name.decode()
    agent.wait_for_members({name: "alive"})
    say(bench, LeaveIntent(20, peer.name))
    agent.wait_for_members({name: "leaving"})
    bench.tell(Dead(1, peer.name, b"kit-accuser"))
    agent.wait_for_members({name: "left"})


@case("intent-before-member", Area.INTENTS, "S-061", "S-058", level=AGENT)
def an_early_leave_is_remembered(lab: Lab) -> None:
    """A leave intent that comes before the member does counts as soon as it comes."""
    agent = lab.agent("a")
    bench = lab.bench(agent)
    peer = bench.peer("early")
    say(bench, LeaveIntent(6, peer.name))
    witness = bench.member("witness")
    hear(witness, LeaveIntent, lambda intent: intent.node == peer.name)
    bench.join(peer)
    agent.wait_for_members({peer.name.decode(): "leaving"})


@case("intent-stale", Area.INTENTS, "S-064", "S-065", level=AGENT)
def a_stale_intent_is_ignored(lab: Lab) -> None:
    """An intent whose Lamport time is not above that of the last one is ignored; a newer join takes a leave back."""
    agent = lab.agent("a")
    bench = lab.bench(agent)
    peer = bench.member("peer")
    name = peer.name.decode()
    say(bench, LeaveIntent(20, peer.name))
    agent.wait_for_members({name: "leaving"})
    say(bench, JoinIntent(20, peer.name))
    say(bench, JoinIntent(19, peer.name))
    say(bench, JoinIntent(1, b"kit-marker"))
    hear(peer, JoinIntent, lambda intent: intent.node == b"kit-marker")
    agent.wait_for_members({name: "leaving"}, limit=1.0)
    heard_nothing(peer, JoinIntent, lambda i: i.node == peer.name, "no stale intent is passed on")
    say(bench, JoinIntent(21, peer.name))
    agent.wait_for_members({name: "alive"})


@case("intent-refuted", Area.INTENTS, "S-071", level=AGENT)
def a_leave_in_our_name_is_refuted(lab: Lab) -> None:
    """An agent that hears a leave intent of its own that it never sent answers with a join intent that is newer."""
    agent = lab.agent("a")
    bench = lab.bench(agent)
    peer = bench.member("peer")
    say(bench, LeaveIntent(30, b"a"))
    what = "a join intent of the agent's with a Lamport time above 30"  # how far above is its own business
    hear(peer, JoinIntent, lambda intent: intent.node == b"a" and intent.ltime > 30, what=what)
    agent.wait_for_members({"a": "alive"})


@case("intent-witness", Area.INTENTS, "S-047", "S-055", level=AGENT)
def clocks_witness_what_they_hear(lab: Lab) -> None:
    """A Lamport clock that hears time T goes on from T + 1, and doesn't go back for an older one."""
    agent = lab.agent("a")
    bench = lab.bench(agent)
    peer = bench.member("peer")
    for ltime, name in ((41, b"kit-one"), (30, b"kit-two")):
        say(bench, JoinIntent(ltime, name))
        hear(peer, JoinIntent, partial(_is_about, name))
    found = serf_state(bench).ltime
    expect(found == 42, "the member clock at 42 after it heard 41 and 30", found)


def _is_about(name: bytes, intent: JoinIntent) -> bool:
    return intent.node == name


@case("intent-state", Area.INTENTS, "S-074", "S-111", "S-050", level=AGENT)
def serfs_state_is_in_the_exchange(lab: Lab) -> None:
    """A push/pull carries Serf's state: clocks, the time of each member's last intent, who left, and past events."""
    agent = lab.agent("a")
    bench = lab.bench(agent)
    agent.client.user_event("past", b"x")
    peer = bench.member("peer")
    say(bench, JoinIntent(15, peer.name))
    hear(peer, JoinIntent, lambda intent: intent.node == peer.name)
    state = serf_state(bench)
    expect((state.status_ltimes or {}).get(peer.name) == 15, f"time 15 for {peer.name!r}", state.status_ltimes)
    expect(b"a" in (state.status_ltimes or {}), "the agent itself among the members", state.status_ltimes)
    events = [event.name for slot in state.events or () if slot for event in slot.events or ()]
    expect(events == [b"past"], "the past event", events)
    expect(len(state.events or ()) == 512, "512 slots for events, most of them nil", len(state.events or ()))
    expect(state.event_ltime == 2, "the event clock at 2 after the first event", state.event_ltime)


@case("intent-state-merged", Area.INTENTS, "S-050", "S-073", level=AGENT)
def serfs_state_is_merged(lab: Lab) -> None:
    """Clocks of another's state are witnessed; who left according to it has left here as well."""
    agent = lab.agent("a")
    bench = lab.bench(agent)
    peer, gone = bench.member("peer"), bench.member("gone")
    state = empty_state(
        ltime=42,
        event_ltime=50,
        query_ltime=100,
        status_ltimes={gone.name: 8, peer.name: 3},
        left_members=[gone.name],
    )
    exchange_serf(bench, peer, state)
    agent.wait_for_members({gone.name.decode(): "leaving"})

    def clocks() -> tuple[int, int, int]:
        found = serf_state(bench)
        return found.ltime, found.event_ltime, found.query_ltime

    bench.wait(clocks, lambda found: found == (42, 50, 100), "the three clocks at 42, 50 and 100")


@case("intent-nonsense", Area.INTENTS, "S-031", "S-036", "S-037", level=AGENT, severity=Severity.SHOULD)
def nonsense_from_others_does_no_harm(lab: Lab) -> None:
    """Messages of Serf that can't be read, of unknown types, and of no bytes are dropped."""
    agent = lab.agent("a")
    bench = lab.bench(agent)
    peer = bench.member("peer")
    minus = b"\x82" + write_text(b"LTime") + b"\xff" + write_text(b"Node") + write_text(b"kit-minus")
    for data in (
        b"",
        b"\x00",
        b"\x01\xc1",
        b"\x01" + minus,
        b"\x02\xc0",
        b"\x06\xc0",
        b"\x08\xc0",
        b"\x0a",
        b"\xff" * 9,
    ):
        say(bench, data)
    say(bench, UserEventMessage(5, b"after", None, False))
    hear(peer, UserEventMessage, lambda event: event.name == b"after")
    heard_nothing(peer, JoinIntent, lambda intent: intent.node == b"kit-minus", "no nonsense is passed on")
    bench.lives("nonsense in Serf's messages")
    agent.wait_for_members({"a": "alive"})
