"""The public blocking classes, unchanged, on virtual time."""

import logging
import time

import gevent
import pytest

from serfcompat import (
    Config,
    DeadlineExceeded,
    Delegate,
    JoinError,
    Memberlist,
    MemberlistConfig,
    Serf,
    StartError,
    UsageError,
)
from serfcompat.sim.network import Conditions
from serfcompat.testing.virtual_time import virtual_time

QUIET = logging.Logger("quiet", logging.CRITICAL + 1)


@pytest.fixture
def world():
    with virtual_time(seed=7) as world:
        yield world


def node(number, **config):
    memberlist = MemberlistConfig.local(bind_addr=f"10.0.0.{number}", retransmit_mult=4, logger=QUIET)
    return Serf(Config(node_name=f"n{number}", memberlist=memberlist, logger=QUIET, **config)).start()


def cluster(count, **config):
    nodes = [node(number, **config) for number in range(1, count + 1)]
    for other in nodes[1:]:
        other.join(["10.0.0.1"])
    return nodes


def alive(serf):
    return sorted(member.name for member in serf.members(status="alive"))


def test_twenty_nodes_live_a_long_life_in_a_blink(world):
    began = time.monotonic()
    nodes = cluster(20)
    world.until(lambda: all(len(alive(serf)) == 20 for serf in nodes))
    world.sleep(60)
    nodes[4].shutdown()
    world.until(lambda: all(serf.members(status="failed") for serf in nodes if serf is not nodes[4]))
    assert world.now > 60
    assert time.monotonic() - began < 30


def test_your_own_blocking_handler_runs_as_it_is(world):
    a, b = cluster(2)
    done = []

    def deploy(event):
        gevent.sleep(30)  # what a real handler would do here takes its time
        done.append((event.payload, round(world.now)))

    b.on("user:deploy", deploy)
    a.user_event("deploy", b"v1")
    a.user_event("deploy", b"v2")
    world.until(lambda: len(done) == 2, within=100)
    assert done == [(b"v1", 30), (b"v2", 60)]


def test_queries_are_answered_and_end(world):
    nodes = cluster(4)

    def answer(serf):
        for query in serf.events(kinds=("query:load",)):
            gevent.sleep(0.1)
            serf.respond(query, serf.config.node_name.encode())

    for serf in nodes[:3]:
        gevent.spawn(answer, serf)
    gevent.sleep(1)
    answers = nodes[3].query("load", timeout=5)
    assert sorted(one.payload for one in answers) == [b"n1", b"n2", b"n3"]
    assert answers.missing == {"n4"}


def test_waits_have_virtual_timeouts(world):
    [a] = cluster(1)
    before = world.now
    with pytest.raises(DeadlineExceeded, match="1 alive members match after 5 s"):
        a.wait_for(2, timeout=5)
    assert world.now - before == pytest.approx(5, abs=0.1)
    events = a.events()
    with pytest.raises(TimeoutError):
        events.get(timeout=3)
    assert world.now - before == pytest.approx(8, abs=0.1)


def test_a_partition_heals(world):
    nodes = cluster(6, reconnect_interval=5.0)
    world.until(lambda: all(len(alive(serf)) == 6 for serf in nodes))
    cut = world.network.partition(nodes[:2])
    world.until(lambda: alive(nodes[0]) == ["n1", "n2"] and alive(nodes[5]) == ["n3", "n4", "n5", "n6"])
    world.network.mend(cut)
    world.until(lambda: all(len(alive(serf)) == 6 for serf in nodes), within=120)


def test_a_leave_is_no_failure(world):
    a, b, c = cluster(3)
    world.until(lambda: len(alive(c)) == 3)
    b.leave()
    b.shutdown()
    world.sleep(20)
    assert [str(m.status) for s in (a, c) for m in s.members(name="n2")] == ["left", "left"]


def test_joins_fail_as_in_real_life(world):
    a = node(1)
    with pytest.raises(JoinError, match="connection refused"):
        a.join(["10.0.0.9:7946"])
    with pytest.raises(JoinError, match="no host nowhere"):
        a.join(["nowhere"])
    world.network.names["seed"] = ["10.0.0.2"]
    node(2)
    assert a.join(["seed"]) == 1
    with pytest.raises(StartError, match="address already in use"):
        node(2)


def test_the_memberlist_level_works_as_well(world):
    heard = []

    class Ear(Delegate):
        def notify_msg(self, payload):
            heard.append(payload)

    a, b = (
        Memberlist(MemberlistConfig.local(name=f"m{i}", bind_addr=f"10.0.1.{i}", logger=QUIET), Ear()).start()
        for i in (1, 2)
    )
    assert a.join(["10.0.1.2"]) == 1
    world.until(lambda: len(b.members()) == 2)
    a.send_reliable(next(m for m in a.members() if m.name == b"m2"), b"over a stream")
    a.send_best_effort(next(m for m in a.members() if m.name == b"m2"), b"in a packet")
    world.until(lambda: len(heard) == 2)
    assert sorted(heard) == [b"in a packet", b"over a stream"]


def story(seed):
    """What one node hears while another one dies on a lossy network."""
    with virtual_time(seed=seed, conditions=Conditions(loss=0.05)) as world:
        nodes = cluster(5)
        heard = []
        nodes[0].on("member", lambda event: heard.append((str(event), event.members[0].name, world.now)))
        world.sleep(5)
        nodes[3].shutdown()
        world.sleep(30)
        return heard, world.network.network.lost


def test_one_seed_gives_one_story():
    first = story("a")
    assert ("member-failed", "n4") in [(kind, name) for kind, name, _ in first[0]]
    assert first == story("a") != story("b")


def test_the_real_hub_is_back_afterwards():
    for _ in range(2):
        with virtual_time() as world:
            gevent.sleep(1000)
            assert world.now == 1000
    began = time.monotonic()
    gevent.sleep(0.02)
    assert time.monotonic() - began >= 0.015


def test_nodes_that_were_not_shut_down_vanish_with_their_world():
    with virtual_time():
        cluster(3)
    with virtual_time() as world:
        [a] = cluster(1)
        world.sleep(5)
        assert alive(a) == ["n1"]


def test_a_node_can_not_have_a_thread_where_time_is_made_up(world):
    with pytest.raises(UsageError, match="time stands still there"):
        Serf(Config.local(node_name="x"), home="thread").start()


def test_until_gives_up_in_virtual_time(world):
    with pytest.raises(DeadlineExceeded, match="within 7 virtual seconds"):
        world.until(lambda: False, within=7)
    assert world.now == pytest.approx(7, abs=0.1)
