"""User events."""

from __future__ import annotations

from functools import partial

from serfcompat.conformance.case import Area, Broken, Level, Severity, case, expect
from serfcompat.conformance.lab import Lab, refusal
from serfcompat.conformance.serfside import (
    empty_state,
    exchange_serf,
    hear,
    hear_body,
    heard_nothing,
    say,
    serf_state,
)
from serfcompat.serf.events import UserEvent
from serfcompat.testing.listener import Listener
from serfcompat.wire.gomsgpack import write_text
from serfcompat.wire.serf_messages import BufferedEvent, EventSlot, UserEventMessage

AGENT = Level.AGENT


def _heard(listener: Listener, name: str) -> list[UserEvent]:
    return [event for event in listener.heard if isinstance(event, UserEvent) and event.name == name]


def _is_called(name: bytes, event: UserEventMessage) -> bool:
    return event.name == name


@case("event-sent", Area.EVENTS, "S-052", "S-019", "S-023", level=AGENT)
def events_are_gossiped(lab: Lab) -> None:
    """A user event is gossiped in Go's bytes, with Lamport time 1 for the first one and 2 for the second."""
    agent = lab.agent("a")
    peer = lab.bench(agent).member("peer")
    for ltime, payload in ((1, None), (2, b"\0\xffx")):
        agent.client.user_event(f"event-{ltime}", payload)
        name = f"event-{ltime}".encode()
        body = hear_body(peer, UserEventMessage, partial(_is_called, name))
        wanted = UserEventMessage(ltime, name, payload, False)
        expect(UserEventMessage.decode(body) == wanted, repr(wanted), UserEventMessage.decode(body))
        expect(wanted.encode()[1:] == body, wanted.encode()[1:].hex(), body.hex())


@case("event-everybody", Area.EVENTS, "S-104", "A-225", level=AGENT)
def events_reach_everybody_once(lab: Lab) -> None:
    """A user event reaches every member once, also its sender, with its payload and the same Lamport time."""
    agents = lab.agents("a", "b", "c")
    listeners = [lab.listen(agent) for agent in agents]
    for _ in range(3):  # gossip may miss somebody
        agents[0].client.user_event("deploy", b"v2")
    agents[1].client.user_event("after")
    for listener in listeners:
        listener.wait_for_user_event("after")
    heard = [{(event.ltime, event.payload) for event in _heard(listener, "deploy")} for listener in listeners]
    counts = [len(_heard(listener, "deploy")) for listener in listeners]
    expect(heard[0] == {(time, b"v2") for time in (1, 2, 3)}, "Lamport times 1 to 3 at the sender", heard[0])
    expect(all(found <= heard[0] for found in heard), "the same events everywhere", heard)
    expect(counts == [len(found) for found in heard], "each event once", counts)


@case("event-duplicate", Area.EVENTS, "S-104", "S-106", level=AGENT)
def the_same_event_is_heard_once(lab: Lab) -> None:
    """An event with the same time, name and payload is heard once; any difference makes it another event."""
    agent = lab.agent("a")
    bench, listener = lab.bench(agent), lab.listen(agent)
    for payload in (b"x", b"x", b"y", None, b""):
        say(bench, UserEventMessage(7, b"same", payload, False))
        bench.ask(bench.stranger())
    say(bench, UserEventMessage(8, b"same", b"x", False))
    say(bench, UserEventMessage(9, b"end", None, False))
    listener.wait_for_user_event("end")
    listener.wait_for(lambda event: isinstance(event, UserEvent) and (event.name, event.ltime) == ("same", 8))
    found = sorted((event.ltime, event.payload or b"") for event in _heard(listener, "same"))
    wanted = [(7, b""), (7, b"x"), (7, b"y"), (8, b"x")]
    expect(found == wanted, repr(wanted), found)


@case("event-passed-on", Area.EVENTS, "S-038", level=AGENT)
def events_are_passed_on_unchanged(lab: Lab) -> None:
    """A new event is gossiped on as it came, byte by byte, with fields that nobody knows."""
    agent = lab.agent("a")
    bench = lab.bench(agent)
    peer = bench.member("peer")
    body = b"\x84" + write_text(b"Name") + write_text(b"odd") + write_text(b"Zzz") + b"\x91\xc3"
    body += write_text(b"LTime") + b"\xcd\x00\x05" + write_text(b"CC") + b"\x01"
    say(bench, b"\x03" + body)
    heard = hear_body(peer, UserEventMessage, lambda event: event.name == b"odd")
    expect(heard == body, body.hex(), heard.hex())


@case("event-witness", Area.EVENTS, "S-047", "S-052", level=AGENT)
def event_times_go_on_from_what_was_heard(lab: Lab) -> None:
    """After an event of time T the agent's own next event has time T + 1; an older one changes nothing."""
    agent = lab.agent("a")
    bench = lab.bench(agent)
    peer = bench.member("peer")
    for ltime, name in ((50, b"one"), (20, b"two")):
        say(bench, UserEventMessage(ltime, name, None, False))
        hear(peer, UserEventMessage, partial(_is_called, name))
    agent.client.user_event("mine")
    mine = hear(peer, UserEventMessage, lambda event: event.name == b"mine")
    expect(mine.ltime == 51, "Lamport time 51", mine)


@case("event-old", Area.EVENTS, "S-107", level=AGENT)
def old_events_are_dropped(lab: Lab) -> None:
    """An event more than 512 Lamport times behind is dropped; one within them is heard."""
    agent = lab.agent("a")
    bench, listener = lab.bench(agent), lab.listen(agent)
    peer = bench.member("peer")
    say(bench, UserEventMessage(1000, b"now", None, False))
    listener.wait_for_user_event("now")
    say(bench, UserEventMessage(400, b"too-old", None, False))
    say(bench, UserEventMessage(600, b"old-enough", None, False))
    listener.wait_for_user_event("old-enough")
    hear(peer, UserEventMessage, lambda event: event.name == b"old-enough")
    expect(not _heard(listener, "too-old"), "no event of 600 times ago", _heard(listener, "too-old"))
    heard_nothing(peer, UserEventMessage, lambda event: event.name == b"too-old", "nothing old is passed on")


@case("event-by-state", Area.EVENTS, "S-110", "S-109", level=AGENT)
def missed_events_come_with_the_state(lab: Lab) -> None:
    """Events that an agent missed come with another's state, and are not to be coalesced."""
    agent = lab.agent("a")
    bench, listener = lab.bench(agent), lab.listen(agent)
    peer = bench.member("peer")
    slots = [EventSlot(3, [BufferedEvent(b"missed", b"x"), BufferedEvent(b"missed", None)]), None]
    exchange_serf(bench, peer, empty_state(event_ltime=4, events=slots), join=False)
    listener.wait_for_user_event("missed")
    say(bench, UserEventMessage(5, b"end", None, False))
    listener.wait_for_user_event("end")
    found = [(event.ltime, event.payload, event.coalesce) for event in _heard(listener, "missed")]
    expect(found == [(3, b"x", False), (3, None, False)], "both events of time 3", found)
    heard_nothing(peer, UserEventMessage, lambda e: e.name == b"missed", "what came by a state isn't gossiped")


@case("event-replay", Area.EVENTS, "S-109", level=AGENT)
def history_comes_only_if_wanted(lab: Lab) -> None:
    """Who joins doesn't hear events from before the join, unless it asks for a replay."""
    a, b, c = lab.agent("a"), lab.agent("b"), lab.agent("c")
    a.client.user_event("history")
    fresh, curious = lab.listen(b), lab.listen(c)
    b.client.join([a.gossip])
    c.client.join([a.gossip], replay=True)
    curious.wait_for_user_event("history")
    a.client.user_event("news")
    fresh.wait_for_user_event("news")
    expect(not _heard(fresh, "history"), "no history without a replay", _heard(fresh, "history"))


@case("event-limit", Area.EVENTS, "S-102", "S-103", "A-030", level=AGENT, severity=Severity.SHOULD)
def events_have_a_size(lab: Lab) -> None:
    """An event of more than 512 bytes, name and payload, is refused; one that is refused takes no Lamport time."""
    agent = lab.agent("a")
    said = refusal(agent.client.user_event, "big", bytes(510))
    expect("512" in said, "a refusal that names the limit of 512 bytes", said)
    said = refusal(agent.client.user_event, "x", bytes(500))
    expect("512" in said, "a refusal of what is too large only with its encoding", said)
    agent.client.user_event("big", bytes(400))
    found = serf_state(lab.bench(agent)).event_ltime
    expect(found == 2, "the event clock at 2 after a single event", found)


@case("event-coalesced", Area.EVENTS, "S-167", "A-182", level=AGENT, severity=Severity.SHOULD)
def the_coalesce_flag_is_passed_on(lab: Lab) -> None:
    """An event that may be coalesced says so on the wire and to listeners."""
    agent = lab.agent("a")
    peer, listener = lab.bench(agent).member("peer"), lab.listen(agent)
    agent.client.user_event("many", b"1", coalesce=True)
    heard = hear(peer, UserEventMessage, lambda event: event.name == b"many")
    expect(heard.cc, "a message that may be coalesced", heard)
    event = listener.wait_for_user_event("many")
    expect(event.coalesce, "an event that may be coalesced", event)


@case("event-filter", Area.EVENTS, "A-222", "A-224", level=AGENT)
def streams_are_filtered(lab: Lab) -> None:
    """A stream for `user:deploy` brings user events of that name and nothing else."""
    agent = lab.agent("a")
    with agent.client.stream("user:deploy") as records:
        agent.client.stats()  # the stream has begun when the next answer comes
        agent.client.user_event("other")
        agent.client.user_event("deploy", b"x")
        try:
            record = records.get(10.0)
        except TimeoutError as error:
            raise Broken("the event that was asked for", "nothing within 10 s") from error
        expect(isinstance(record, UserEvent) and record.name == "deploy", "the event deploy", record)
