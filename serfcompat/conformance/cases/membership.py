"""Joining, leaving, failing and coming back, as Serf tells it."""

from __future__ import annotations

import signal

from serfcompat.conformance.case import Area, Broken, Level, Severity, case, expect
from serfcompat.conformance.lab import Lab, refusal
from serfcompat.conformance.peer import Heard
from serfcompat.testing.node import AgentError
from serfcompat.wire.messages import Dead
from serfcompat.wire.types import MessageType

AGENT = Level.AGENT


@case("join", Area.MEMBERSHIP, "A-215", "S-060", "S-001", level=AGENT)
def members_know_each_other(lab: Lab) -> None:
    """After a join both agents have both members: name, address, port, tags, protocol versions and status alive."""
    tags = {"a": {"role": "web"}, "b": {"role": "db", "zone": "Ä"}}
    a, b = lab.agents("a", "b", tags=tags)
    for agent in (a, b):
        for other in (a, b):
            member = agent.members()[other.name]
            found = (member.addr, member.port, dict(member.tags), member.protocol_max, member.delegate_max)
            wanted = (other.host, 7946, tags[other.name], 5, 5)
            expect(found == wanted, f"{other.name} at {agent.name}: {wanted}", found)


@case("join-count", Area.MEMBERSHIP, "A-042", "A-214", "M-180", level=AGENT)
def a_join_counts_who_answered(lab: Lab) -> None:
    """A join tells how many of the addresses answered; it fails only if none did."""
    a, b = lab.agent("a"), lab.agent("b")
    nobody = "127.0.0.1:9"
    count = b.client.join([nobody, a.gossip])
    expect(count == 1, "1 of two addresses", count)
    refusal(b.client.join, [nobody])


@case("join-transitive", Area.MEMBERSHIP, "M-115", "S-060", level=AGENT)
def who_joins_one_joins_all(lab: Lab) -> None:
    """Who joins one member is soon known to all, and knows all."""
    a, b, c = lab.agent("a"), lab.agent("b"), lab.agent("c")
    b.client.join([a.gossip])
    c.client.join([b.gossip])
    lab.await_members((a, b, c), dict.fromkeys("abc", "alive"))


@case("join-event", Area.MEMBERSHIP, "S-061", "A-225", level=AGENT)
def a_join_is_an_event(lab: Lab) -> None:
    """A new member is told by an event member-join."""
    a, b = lab.agent("a"), lab.agent("b", "-tag=role=web")
    listener = lab.listen(a)
    b.client.join([a.gossip])
    event = listener.wait_for_member_event("member-join", "b")
    tags = {member.name: dict(member.tags) for member in event.members}
    expect(tags["b"] == {"role": "web"}, "the new member with its tags", event)


@case("leave", Area.MEMBERSHIP, "S-087", "A-238", "S-076", "M-211", level=AGENT)
def who_leaves_has_left(lab: Lab) -> None:
    """An agent that is told to leave ends with status 0; the others have it as left, by an event member-leave."""
    a, b = lab.agents("a", "b")
    listener = lab.listen(a)
    code = b.leave()
    expect(code == 0, "exit status 0", code)
    lab.await_members([a], {"b": "left"})
    listener.wait_for_member_event("member-leave", "b")


@case("leave-told", Area.MEMBERSHIP, "M-211", "S-087", "M-189", level=AGENT)
def who_leaves_says_so_itself(lab: Lab) -> None:
    """An agent that leaves tells memberlist as well: by a dead message from itself, so that nobody has to miss it."""
    agent = lab.agent("a")
    peer = lab.bench(agent).member("peer")
    agent.client.leave()

    def told(heard: Heard) -> bool:
        claim = Dead.decode(heard.body)
        return claim.node == claim.from_ == b"a"

    try:
        peer.wait_for(MessageType.DEAD, told, limit=10.0)
    except TimeoutError as error:
        raise Broken("a dead message from a about a", str(error)) from error


@case("interrupt", Area.MEMBERSHIP, "A-157", "A-162", level=AGENT)
def an_interrupt_is_a_leave(lab: Lab) -> None:
    """SIGINT makes an agent leave, and end with status 0."""
    a, b = lab.agents("a", "b")
    b.process.send_signal(signal.SIGINT)
    code = b.wait_for_exit()
    expect(code == 0, "exit status 0", code)
    lab.await_members([a], {"b": "left"})


@case("terminate", Area.MEMBERSHIP, "A-159", level=AGENT, severity=Severity.SHOULD)
def a_termination_is_no_leave(lab: Lab) -> None:
    """SIGTERM ends an agent at once with status 1; to the others it has failed."""
    a, b = lab.agents("a", "b")
    b.process.send_signal(signal.SIGTERM)
    code = b.wait_for_exit()
    expect(code == 1, "exit status 1", code)
    lab.await_members([a], {"b": "failed"})


@case("failure", Area.MEMBERSHIP, "S-076", level=AGENT)
def who_dies_has_failed(lab: Lab) -> None:
    """An agent that ends without a word has failed, by an event member-failed."""
    a, b, c = lab.agents("a", "b", "c")
    listener = lab.listen(a)
    b.kill()
    lab.await_members([a, c], {"b": "failed"})
    listener.wait_for_member_event("member-failed", "b")


@case("come-back", Area.MEMBERSHIP, "S-079", "M-128", level=AGENT)
def who_failed_comes_back(lab: Lab) -> None:
    """An agent that failed and begins anew under its name and address is alive again, with its new tags."""
    a, b = lab.agents("a", "b")
    b.kill()
    lab.await_members([a], {"b": "failed"})
    again = lab.agent("b", "-tag=life=2", host=b.host)
    again.client.join([a.gossip])
    lab.await_members([a, again], {"a": "alive", "b": "alive"})
    a.wait_until(lambda: dict(a.members()["b"].tags), lambda tags: tags == {"life": "2"})


@case("come-back-left", Area.MEMBERSHIP, "S-079", "M-123", level=AGENT)
def who_left_comes_back(lab: Lab) -> None:
    """An agent that left and begins anew, even at another address, is alive again."""
    a, b = lab.agents("a", "b")
    b.leave()
    lab.await_members([a], {"b": "left"})
    again = lab.agent("b")
    again.client.join([a.gossip])
    lab.await_members([a, again], {"a": "alive", "b": "alive"})
    found = a.members()["b"].addr
    expect(found == again.host, f"b at its new address {again.host}", found)


@case("reconnect", Area.MEMBERSHIP, "S-100", level=AGENT, limit=90, severity=Severity.SHOULD)
def a_pause_is_forgiven(lab: Lab) -> None:
    """An agent that stood still until it had failed is alive again when it goes on."""
    a, b = lab.agents("a", "b")
    b.pause()
    try:
        lab.await_members([a], {"b": "failed"})
    finally:
        b.resume()
    lab.await_members([a, b], {"a": "alive", "b": "alive"}, limit=60.0)


@case("force-leave", Area.MEMBERSHIP, "A-035", "S-068", level=AGENT)
def a_failed_member_can_be_made_to_leave(lab: Lab) -> None:
    """A failed member that somebody forces out has left, in everybody's eyes."""
    a, b, c = lab.agents("a", "b", "c")
    b.kill()
    lab.await_members([a, c], {"b": "failed"})
    listener = lab.listen(c)
    a.client.force_leave("b")
    lab.await_members([a, c], {"b": "left"})
    listener.wait_for_member_event("member-leave", "b")


@case("force-leave-prune", Area.MEMBERSHIP, "A-035", "S-082", level=AGENT)
def a_pruned_member_is_forgotten(lab: Lab) -> None:
    """A failed member that is pruned is forgotten by everybody."""
    a, b, c = lab.agents("a", "b", "c")
    b.kill()
    lab.await_members([a, c], {"b": "failed"})
    a.client.force_leave("b", prune=True)
    lab.await_members([a, c], {"b": "gone"})


@case("force-leave-alive", Area.MEMBERSHIP, "A-036", "S-071", level=AGENT)
def who_lives_cannot_be_forced_out(lab: Lab) -> None:
    """A living member that somebody forces out contradicts, and stays alive in everybody's eyes."""
    a, b, c = lab.agents("a", "b", "c")
    heard = lab.listen(b)
    for attempt in range(4):  # gossip may miss somebody, in Go as well
        a.client.force_leave("b")
        a.client.user_event(f"after-{attempt}")
        heard.wait_for_user_event(f"after-{attempt}")
        try:
            lab.await_members([a, b, c], dict.fromkeys("abc", "alive"), limit=4.0)
            return
        except AgentError:
            if attempt == 3:
                raise


@case("force-leave-unknown", Area.MEMBERSHIP, "S-092", "A-033", level=AGENT)
def nobody_can_be_forced_out(lab: Lab) -> None:
    """To force out somebody whom nobody knows is no error, and nobody comes of it."""
    a = lab.agent("a")
    a.client.force_leave("nobody")
    expect(set(a.members()) == {"a"}, "one member", a.members())


@case("start-join", Area.MEMBERSHIP, "A-124", level=AGENT, severity=Severity.SHOULD)
def agents_join_when_they_start(lab: Lab) -> None:
    """An agent that is started with -join joins."""
    a = lab.agent("a")
    b = lab.agent("b", f"-join={a.gossip}")
    lab.await_members([a, b], {"a": "alive", "b": "alive"})


@case("start-retry-join", Area.MEMBERSHIP, "A-126", level=AGENT, severity=Severity.SHOULD)
def agents_try_again_to_join(lab: Lab) -> None:
    """An agent that is started with -retry-join runs on until it finds the others."""
    host = lab.free_host()
    a = lab.agent("a", f"-retry-join={host}:7946", "-retry-interval=1s")
    expect(set(a.members()) == {"a"}, "one member", a.members())
    b = lab.agent("b", host=host)
    lab.await_members([a, b], {"a": "alive", "b": "alive"})


@case("snapshot-rejoin", Area.SNAPSHOT, "S-183", "S-171", level=AGENT)
def a_snapshot_brings_an_agent_back(lab: Lab) -> None:
    """An agent with a snapshot joins its former members by itself when it starts again."""
    a = lab.agent("a")
    flag = f"-snapshot={lab.folder() / 'snapshot'}"
    b = lab.agent("b", flag)
    lab.join(a, b)
    b.client.user_event("flush")  # ⚠ lines are written when a later one comes
    lab.folder()
    b.kill()
    lab.await_members([a], {"b": "failed"})
    again = lab.agent("b", flag, host=b.host)
    lab.await_members([a, again], {"a": "alive", "b": "alive"})


@case("snapshot-lines", Area.SNAPSHOT, "S-171", "S-179", level=AGENT, severity=Severity.SHOULD)
def a_snapshot_has_gos_lines(lab: Lab) -> None:
    """A snapshot has a line per member, `alive: name host:port`, and lines for the three clocks."""
    path = lab.folder() / "snapshot"
    a, b = lab.agent("a"), lab.agent("b", f"-snapshot={path}")
    lab.join(a, b)
    b.client.user_event("tick")
    code = b.leave()
    expect(code == 0, "exit status 0", code)
    lines = path.read_text(encoding="utf-8").splitlines()
    wanted = f"alive: a {a.gossip}"
    expect(wanted in lines, f"the line {wanted!r}", lines)
    clocks = {line.partition(":")[0] for line in lines}
    expect({"clock", "event-clock"} <= clocks, "lines for the clocks: clock, event-clock", lines)
    expect("leave" in lines, "a line `leave` at last", lines)


@case("snapshot-after-leave", Area.SNAPSHOT, "S-175", level=AGENT)
def who_left_does_not_come_back_by_itself(lab: Lab) -> None:
    """An agent that left doesn't rejoin by its snapshot when it starts again."""
    a = lab.agent("a")
    flag = f"-snapshot={lab.folder() / 'snapshot'}"
    b = lab.agent("b", flag)
    lab.join(a, b)
    b.leave()
    lab.await_members([a], {"b": "left"})
    again = lab.agent("b", flag, host=b.host)
    a.client.user_event("meanwhile")
    expect(set(again.members()) == {"b"}, "one member", again.members())


@case("snapshot-old-events", Area.SNAPSHOT, "S-185", level=AGENT)
def old_events_are_not_heard_again(lab: Lab) -> None:
    """An agent that starts again with its snapshot doesn't hear events again that it has heard before."""
    a = lab.agent("a")
    flag = f"-snapshot={lab.folder() / 'snapshot'}"
    b = lab.agent("b", flag)
    lab.join(a, b)
    heard = lab.listen(b)
    a.client.user_event("old")
    heard.wait_for_user_event("old")
    b.leave()
    again = lab.agent("b", flag, "-rejoin", host=b.host)
    later = lab.listen(again)
    lab.await_members([a, again], {"a": "alive", "b": "alive"})
    a.client.user_event("new")
    later.wait_for_user_event("new")
    names = [str(event) for event in later.heard if "old" in str(event)]
    expect(not names, "only the new event", names)
