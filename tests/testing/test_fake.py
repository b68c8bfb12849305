"""The fake does what its user says, and looks like the real one."""

import inspect
import threading

import pytest

from serfcompat import (
    DeadlineExceeded,
    EventType,
    JoinError,
    MemberEvent,
    MemberStatus,
    QueryEvent,
    Serf,
    SerfState,
    StateError,
    UsageError,
    UserEvent,
)
from serfcompat.testing.fake import FakeSerf, member
from serfcompat.wire.address import Address


@pytest.fixture
def serf():
    return FakeSerf([member("web1", tags={"role": "web"}), member("web2", tags={"role": "web"}, status="failed")])


def test_its_calls_are_those_of_the_real_one():
    """Every public call of the fake exists there, and takes what the real one takes."""
    own = {"happen", "set_members", "answers", "calls", "responses", "unreachable"}
    for name, function in inspect.getmembers(FakeSerf, inspect.isfunction):
        if (name.startswith("_") and name not in ("__enter__", "__exit__")) or name in own:
            continue
        real = inspect.signature(getattr(Serf, name)).parameters
        fake = inspect.signature(function).parameters
        if any(parameter.kind is parameter.VAR_KEYWORD for parameter in fake.values()):
            real = {name: real[name] for name in fake if name in real}
            fake = {name: parameter for name, parameter in fake.items() if parameter.kind is not parameter.VAR_KEYWORD}
        assert list(fake) == list(real), name


def test_members_are_who_it_was_told(serf):
    assert {m.name: str(m.status) for m in serf.members()} == {"web1": "alive", "web2": "failed", "me": "alive"}
    assert [m.name for m in serf.members(status="alive", tags={"role": "web"})] == ["web1"]
    assert serf.local_member().name == "me"
    assert serf.leader(tags={"role": "web"}).name == "web1"
    serf.set_members([member("db", addr="10.0.0.9", port=1)])
    assert [m.address for m in serf.members(name="db")] == ["10.0.0.9:1"]


def test_what_happens_is_heard_and_changes_who_is_known(serf):
    heard = []
    serf.on("member-failed", lambda event: heard.append(event.members[0].name))
    events, users = serf.events(), serf.events(kinds=("user:deploy",))
    serf.happen(MemberEvent(EventType.MEMBER_FAILED, (member("web1", status="failed"),)))
    serf.happen(MemberEvent(EventType.MEMBER_REAP, (member("web2", status="failed"),)))
    serf.happen(UserEvent(5, "deploy", b"v2", False))
    assert heard == ["web1"]
    assert [str(events.get(0)) for _ in range(3)] == ["member-failed", "member-reap", "user-event: deploy"]
    assert users.get(0).payload == b"v2"
    assert {m.name: m.status for m in serf.members()} == {"web1": MemberStatus.FAILED, "me": MemberStatus.ALIVE}
    with pytest.raises(UsageError, match="no kind of event"):
        serf.on("members-failed", print)


def test_a_handler_stops_with_its_subscription(serf):
    heard = []
    subscription = serf.on("user", heard.append)
    subscription.close()
    serf.happen(UserEvent(5, "deploy", b"v2", False))
    assert heard == []


def test_calls_are_recorded_in_order(serf):
    heard = serf.events()
    with serf:
        assert serf.join(["10.0.0.2", "10.0.0.3"]) == 2
        serf.set_tags({"role": "db"})
        serf.user_event("deploy", b"v1")
        serf.remove_failed_node("web2")
        serf.leave()
    assert serf.calls == [
        ("start",),
        ("join", ["10.0.0.2", "10.0.0.3"]),
        ("set_tags", {"role": "db"}),
        ("user_event", "deploy", b"v1"),
        ("remove_failed_node", "web2", False),
        ("leave",),
        ("shutdown",),
    ]
    assert [event.name for event in heard] == ["deploy"]
    assert serf.state is SerfState.SHUTDOWN
    with pytest.raises(StateError):
        serf.members()


def test_its_own_tags_and_removals_are_seen(serf):
    serf.set_tags({"role": "db"})
    assert serf.local_member().tags == {"role": "db"}
    serf.remove_failed_node("web2")
    assert [str(m.status) for m in serf.members(name="web2")] == ["left"]
    serf.remove_failed_node("web2", prune=True)
    assert serf.members(name="web2") == []


def test_events_for_others_are_not_heard_here(serf):
    heard = serf.events()
    serf.set_tags({"role": "db"})
    serf.user_event("deploy", tags={"role": "web"})
    serf.user_event("backup", tags={"role": "db"})
    serf.shutdown()
    assert [event.name for event in heard] == ["backup"]
    assert [call[1] for call in serf.calls if call[0] == "user_event"] == ["deploy", "backup"]


def test_addresses_may_be_out_of_reach(serf):
    serf.unreachable = {"10.0.0.2"}
    assert serf.join(["10.0.0.2", "10.0.0.3"]) == 1
    with pytest.raises(JoinError, match=r"Failed to join 10\.0\.0\.2"):
        serf.join(["10.0.0.2"])


def test_queries_have_scripted_answers(serf):
    serf.answers["load"] = {"web1": b"0.5", "me": b"0.1"}
    serf.answers["echo"] = lambda payload: {"web1": payload}
    answers = serf.query("load", request_ack=True)
    assert {answer.from_: answer.payload for answer in answers} == {"web1": b"0.5", "me": b"0.1"}
    assert sorted(answers.acks()) == ["me", "web1"]
    assert answers.finished
    assert [answer.payload for answer in serf.query("echo", b"hi")] == [b"hi"]
    silent = serf.query("unknown")
    assert list(silent) == []
    assert silent.missing == {"web1", "me"}


def test_queries_to_the_application_are_answered(serf):
    serf.on("query:load", lambda query: serf.respond(query, b"0.7"))
    query = QueryEvent(1, 2, "load", None, Address(b"\x0a\0\0\1", 7946), "web1", 10**12)
    serf.happen(query)
    assert serf.responses == [(query, b"0.7")]


def test_waiting_never_blocks(serf):
    assert len(serf.wait_for(2)) == 2
    with pytest.raises(DeadlineExceeded, match="2 alive members match, 5 were waited for"):
        serf.wait_for(5, timeout=3600)


def test_a_consumer_in_a_thread_is_woken(serf):
    heard, events = [], serf.events()
    thread = threading.Thread(target=lambda: heard.extend(str(event) for event in events))
    thread.start()
    serf.happen(UserEvent(5, "deploy", b"v2", False))
    serf.shutdown()
    thread.join(timeout=10)
    assert heard == ["user-event: deploy"]
