"""`Serf` on real loopback sockets: the blocking API from threads and greenlets."""

import contextlib
import itertools
import os
import threading
import time

import gevent
import pytest

from serfcompat import (
    Config,
    DeadlineExceeded,
    EventQueueFull,
    EventType,
    JoinError,
    MemberStatus,
    PayloadTooLarge,
    Serf,
    SerfState,
    StartError,
    StateError,
    UsageError,
)
from serfcompat.runtime.waiting import pause
from serfcompat.swim.metrics import CountingMetrics

pytestmark = pytest.mark.socket

_hosts = itertools.count(1)
KEY = b"0123456789abcdef"


def free_address() -> str:
    """A loopback address that no other test of this process uses."""
    return f"127.31.{os.getpid() % 250}.{next(_hosts)}"


@pytest.fixture
def cluster():
    """Starts nodes, joined to the first one, and shuts down whatever a test left running."""
    with contextlib.ExitStack() as stack:
        first = []

        def start(name, *, home="auto", join=True, metrics=None, **config):
            config = {"bind_addr": free_address(), "leave_propagate_delay": 0.1} | config
            node = stack.enter_context(Serf(Config.local(node_name=name, **config), home=home, metrics=metrics))
            if first and join:
                node.join([where(first[0])])
            first.append(node)
            return node

        yield start


def where(node) -> str:
    memberlist = node.config.memberlist
    return f"{memberlist.bind_addr}:{memberlist.bind_port}"


def next_of(events, kind, timeout=15):
    """The next event of a kind."""
    deadline = time.monotonic() + timeout
    while True:
        event = events.get(timeout=max(0.0, deadline - time.monotonic()))
        if event.type is kind:
            return event


def statuses(node) -> dict[str, MemberStatus]:
    return {member.name: member.status for member in node.members()}


def test_join_event_query_tags_and_leave(cluster):
    a = cluster("a", tags={"role": "web"})
    events = a.events()
    b = cluster("b")
    assert next_of(events, EventType.MEMBER_JOIN).members[0].name == "b"
    assert statuses(a) == statuses(b) == {"a": MemberStatus.ALIVE, "b": MemberStatus.ALIVE}
    b.user_event("deploy", b"v1")
    event = next_of(events, EventType.USER)
    assert (event.name, event.payload) == ("deploy", b"v1")

    def answer():
        a.respond(next_of(events, EventType.QUERY), b"0.5")

    answering = threading.Thread(target=answer)
    answering.start()
    with b.query("load", request_ack=True, filter_tags={"role": "^web$"}, timeout=10) as answers:
        response = answers.get(timeout=10)
        assert (response.from_, response.payload) == ("a", b"0.5")
        assert next(answers.acks()) == "a"
    answering.join()
    assert answers.finished
    assert list(answers) == []

    b.set_tags({"role": "db"})
    assert next_of(events, EventType.MEMBER_UPDATE).members[0].tags == {"role": "db"}
    b.leave()
    assert next_of(events, EventType.MEMBER_LEAVE).members[0].name == "b"
    assert b.state is SerfState.LEFT
    assert statuses(a)["b"] is MemberStatus.LEFT


def test_a_node_that_dies_is_seen_as_failed_and_can_be_declared_gone(cluster):
    a, b, c = cluster("a"), cluster("b"), cluster("c")
    events = a.events()
    b.shutdown()
    assert next_of(events, EventType.MEMBER_FAILED, timeout=40).members[0].name == "b"
    # Who declares it gone knows that it failed. ⚠ A prune by a member that holds it to be leaving waits some
    # seconds, as upstream's does; push/pulls make it old news meanwhile.
    until(lambda: statuses(c)["b"] is MemberStatus.FAILED, timeout=40)
    c.remove_failed_node("b")
    assert next_of(events, EventType.MEMBER_LEAVE).members[0].name == "b"
    assert statuses(a) == {"a": MemberStatus.ALIVE, "b": MemberStatus.LEFT, "c": MemberStatus.ALIVE}
    c.remove_failed_node("b", prune=True)
    assert next_of(events, EventType.MEMBER_REAP).members[0].name == "b"
    assert set(statuses(a)) == {"a", "c"}


def test_a_query_ends_by_itself_and_that_is_no_error(cluster):
    a = cluster("a")
    began = time.monotonic()
    assert list(a.query("anybody", timeout=0.2)) == []
    assert time.monotonic() - began >= 0.2


def test_subscribers_are_independent_and_a_slow_one_loses_only_its_own(cluster):
    a = cluster("a")
    slow, quick = a.events(maxsize=1), a.events()
    for number in range(3):
        a.user_event(f"e{number}")
    assert [next_of(quick, EventType.USER).name for _ in range(3)] == ["e0", "e1", "e2"]
    assert slow.get(timeout=1).name == "e0"
    assert slow.dropped == 2
    slow.close()
    a.user_event("e3")
    assert next_of(quick, EventType.USER).name == "e3"


@pytest.mark.statement("S-170")
def test_with_a_snapshot_a_full_subscriber_drops_and_blocks_nobody(cluster, tmp_path):
    path = tmp_path / "snapshot"
    a = cluster("a", snapshot_path=str(path))
    asleep, awake = a.events(["user"], maxsize=2), a.events(["user"], maxsize=0)
    for number in range(20):
        a.user_event(f"e{number}")  # would never return if delivery waited for who sleeps
    assert [next_of(awake, EventType.USER).name for _ in range(20)] == [f"e{number}" for number in range(20)]
    assert (len(asleep), asleep.dropped) == (2, 18)
    assert [asleep.get(0).name for _ in range(2)] == ["e0", "e1"]
    a.shutdown()
    assert "event-clock: 20\n" in path.read_text()  # what the application missed is recorded


def test_ignore_old_keeps_history_away(cluster):
    a = cluster("a")
    a.user_event("history")
    new, old = cluster("new", join=False), cluster("old", join=False)
    for node, ignore_old in ((new, True), (old, False)):
        events = node.events()
        node.join([where(a)], ignore_old=ignore_old)
        a.user_event(f"now for {node.config.node_name}")
        first = next_of(events, EventType.USER)
        assert first.name == ("now for new" if ignore_old else "history")


@pytest.mark.statement("S-091", "S-087")
def test_a_node_that_left_cannot_join_and_may_leave_again(cluster):
    a, b = cluster("a"), cluster("b")
    b.leave()
    b.leave()
    with pytest.raises(StateError, match="Serf can't Join after Leave or Shutdown"):
        b.join([where(a)])


def test_shutdown_ends_events_queries_and_waiting_calls(cluster):
    a = cluster("a")
    events, answers = a.events(), a.query("nobody", timeout=60)
    taken = []
    taking = threading.Thread(target=lambda: taken.extend(events))
    waiting = threading.Thread(target=lambda: taken.append(a.wait_shutdown(30)))
    taking.start()
    waiting.start()
    a.shutdown()
    taking.join(10)
    waiting.join(10)
    assert not taking.is_alive()
    assert True in taken
    assert list(answers) == []
    assert a.state is SerfState.SHUTDOWN
    a.shutdown()
    with pytest.raises(StateError):
        a.user_event("too late")


def test_payloads_over_the_limit_say_how_much_is_allowed(cluster):
    a = cluster("a")
    with pytest.raises(PayloadTooLarge) as caught:
        a.user_event("big", b"x" * 600)
    assert caught.value.limit == 512
    assert caught.value.size > 512
    with pytest.raises(PayloadTooLarge, match="query exceeds limit of 1024 bytes"):
        a.query("big", b"x" * 1100)


def test_keys_rotate_on_the_whole_cluster(cluster, tmp_path):
    import base64
    import json

    file = tmp_path / "keyring"
    a, b = cluster("a", secret_key=KEY, keyring_file=str(file)), cluster("b", secret_key=KEY)
    new = base64.b64encode(b"n" * 32).decode()
    old = base64.b64encode(KEY).decode()
    for result in (b.keys.install(new), b.keys.use(new), b.keys.remove(old)):
        assert result.error is None
        assert (result.num_nodes, result.num_resp) == (2, 2)
    assert b.keys.list().keys == {new: 2}
    assert json.loads(file.read_text()) == [new]
    refused = a.keys.remove(new)
    assert refused.error == "2/2 nodes reported failure"
    assert set(refused.messages) == {"a", "b"}
    events = b.events()
    a.user_event("still together")
    assert next_of(events, EventType.USER).name == "still together"


def test_a_snapshot_brings_a_node_back_and_history_is_not_replayed(cluster, tmp_path):
    path = str(tmp_path / "snapshot")
    a = cluster("a")
    b = cluster("b", snapshot_path=path)
    events = b.events()
    a.user_event("before")
    assert next_of(events, EventType.USER).name == "before"
    address = b.config.memberlist.bind_addr
    b.shutdown()
    b = cluster("b", snapshot_path=path, bind_addr=address, join=False)
    events = b.events()
    if "a" not in statuses(b):
        assert next_of(events, EventType.MEMBER_JOIN).members[0].name == "a"
    a.user_event("after")
    assert next_of(events, EventType.USER).name == "after"


def test_a_snapshot_that_cannot_be_opened_is_named(tmp_path):
    serf = Serf(Config.local(node_name="x", bind_addr=free_address(), snapshot_path=str(tmp_path / "no" / "file")))
    with pytest.raises(StartError, match=r"failed to open snapshot: open .*no/file: no such file or directory"):
        serf.start()


def test_a_failed_join_names_every_address(cluster):
    a = cluster("a")
    with pytest.raises(JoinError) as caught:
        a.join([f"{free_address()}:1", f"{free_address()}:2"])
    assert len(caught.value.failures) == 2


def test_from_eight_threads_nothing_is_lost(cluster):
    a = cluster("a", event_buffer=2048)
    cluster("b", event_buffer=2048)
    events = a.events(maxsize=0)
    calls = 50

    def work(number):
        for step in range(calls):
            a.user_event(f"e{number}-{step}")
            assert len(a.members()) == 2
            a.stats()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    got = {next_of(events, EventType.USER).name for _ in range(8 * calls)}
    assert got == {f"e{number}-{step}" for number in range(8) for step in range(calls)}


def fill(node) -> int:
    """Send events until one is refused; how many were taken."""
    taken = itertools.count()
    with contextlib.suppress(EventQueueFull):
        while True:
            node.user_event("e", b"%d" % next(taken), block=False)
    return next(taken) - 1


def test_a_caller_is_slowed_down_before_its_events_are_lost(cluster):
    metrics = CountingMetrics()
    a = cluster("a", gossip_interval=0.02, retransmit_mult=8, metrics=metrics)
    events = [
        node.events(["user"], maxsize=0) for node in (cluster("b", retransmit_mult=8), cluster("c", retransmit_mult=8))
    ]
    number = fill(a)
    assert a.events_held == 1
    for more in range(200):
        a.user_event("e", b"%d" % (number + more))
    assert a.events_held > 2
    assert metrics.counters["serfcompat.user_event.held"] == a.events_held
    for heard in events:
        assert {next_of(heard, EventType.USER).payload for _ in range(number + 200)} == {
            b"%d" % n for n in range(number + 200)
        }


def test_who_waits_for_room_is_told_when_time_or_the_node_is_over(cluster):
    a = cluster("a", gossip_interval=0.0, probe_interval=60.0)  # nothing is ever sent
    cluster("b")
    fill(a)
    with pytest.raises(EventQueueFull, match=r"within 0\.05 s"):
        a.user_event("late", timeout=0.05)
    told = []

    def wait():
        try:
            a.user_event("never")
        except StateError as error:
            told.append(str(error))

    waiting = threading.Thread(target=wait)
    held = a.events_held
    waiting.start()
    while a.events_held == held:
        a.stats()
    a.shutdown()
    waiting.join(10)
    assert told == ["the node was shut down before there was room for the event"]


def test_a_gevent_program_uses_the_same_calls_inline(cluster):
    def program():
        a, b = cluster("a"), cluster("b")
        events = b.events()
        a.user_event("hello")
        return next_of(events, EventType.USER).name, a._node.home_thread == threading.get_ident()

    assert gevent.spawn(program).get(timeout=20) == ("hello", True)


def test_a_force_leave_that_nobody_hears_times_out_or_returns(cluster):
    a, b, c = cluster("a", broadcast_timeout=0.0), cluster("b"), cluster("c")
    with pytest.raises(DeadlineExceeded, match="timed out broadcasting node removal"):
        a.remove_failed_node("ghost")
    assert set(statuses(b)) >= {"a", "b"}
    assert c.state is SerfState.ALIVE


def test_a_query_ends_as_soon_as_everybody_has_answered(cluster):
    a, b = cluster("a"), cluster("b")
    for node in (a, b):
        node.on("query:load", lambda query, node=node: node.respond(query, node.config.node_name.encode()))
    began = time.monotonic()
    answers = a.query("load", timeout=60)
    assert answers.expected == {"a", "b"}
    assert {(r.from_, r.payload) for r in answers} == {("a", b"a"), ("b", b"b")}
    assert time.monotonic() - began < 30
    assert answers.missing == frozenset()
    silent = a.query("load", timeout=1, filter_nodes=["b", "nobody"], until_deadline=True)
    assert [r.from_ for r in silent] == ["b"]


def test_the_missing_are_named_when_time_runs_out(cluster):
    a, b = cluster("a"), cluster("b")
    a.on("query", lambda query: a.respond(query, b"here"))
    answers = b.query("roll-call", timeout=1)
    assert [r.from_ for r in answers] == ["a"]
    assert answers.missing == {"b"}


def test_subscriptions_take_only_their_kinds(cluster):
    a = cluster("a")
    deploys, members, bad = a.events(["user:deploy"]), a.events(["member-join"]), a.events
    a.user_event("other")
    a.user_event("deploy", b"2")
    assert deploys.get(timeout=5).payload == b"2"
    cluster("b")
    assert members.get(timeout=5).members[0].name == "b"
    with pytest.raises(UsageError, match="no kind of event is called 'member:x'"):
        bad(["member:x"])


def test_a_handler_that_raises_is_logged_and_called_again(cluster, caplog):
    a = cluster("a")
    got, done = [], threading.Event()

    def handler(event):
        got.append(event.name)
        if len(got) == 2:
            done.set()
        raise RuntimeError("the application's fault")

    subscription = a.on("user", handler)
    a.user_event("one")
    a.user_event("two")
    assert done.wait(5)
    assert got == ["one", "two"]
    subscription.close()
    a.shutdown()
    assert "the application's fault" in caplog.text


def until(condition, timeout=20):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        pause(0.002)


@pytest.mark.parametrize("inline", [False, True])
def test_a_handler_may_run_several_times_at_once_but_no_more(cluster, inline):
    def program():
        a = cluster("a")
        running, most, done, all_there = [], [], [], []

        def handler(event):
            running.append(event)
            most.append(len(running))
            while not all_there:
                pause(0.002)
            running.remove(event)
            done.append(event.name)

        a.on("user", handler, workers=3)
        for number in range(12):
            a.user_event(f"e{number}")
        until(lambda: len(running) == 3)
        all_there.append(True)
        until(lambda: len(done) == 12)
        assert sorted(done) == sorted(f"e{number}" for number in range(12))
        assert max(most) == 3
        with pytest.raises(UsageError, match="at least one worker"):
            a.on("user", handler, workers=0)

    if inline:
        gevent.spawn(program).get()
    else:
        program()


def test_waiting_for_members(cluster):
    a = cluster("a", tags={"role": "lb"})
    with pytest.raises(DeadlineExceeded, match=r"1 alive members match after 0\.05 s, 2 were waited for"):
        a.wait_for(2, timeout=0.05)
    starting = threading.Thread(target=cluster, args=("b",), kwargs={"tags": {"role": "web"}})
    starting.start()
    assert [m.name for m in a.wait_for(1, tags={"role": "web"}, timeout=20)] == ["b"]
    starting.join()
    assert a.leader().name == "a"
    assert a.leader(tags={"role": "web"}).name == "b"
    assert a.leader(tags={"role": "nobody"}) is None
    b_seen = a.members(tags={"role": "web"}, status="alive")
    assert [m.name for m in b_seen] == ["b"]


def test_the_nearest_member_is_known_after_a_probe(cluster):
    a, b = cluster("a", probe_interval=0.1, probe_timeout=0.05), cluster("b")
    deadline = time.monotonic() + 20
    while not (found := a.nearest(1)):
        assert time.monotonic() < deadline
        b.stats()
    ((member, seconds),) = found
    assert member.name == "b"
    assert 0 <= seconds < 1
