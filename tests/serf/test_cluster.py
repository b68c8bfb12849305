"""Whole behaviours: several engines on a network in memory, on virtual time."""

import pytest

from serfcompat.serf.effects import CloseQuery, DeliverAck, DeliverResponse, Quit, TimedOut
from serfcompat.serf.events import QueryEvent
from serfcompat.serf.member import MemberStatus
from serfcompat.serf.queries import QueryParams
from serfcompat.serf.state import SerfState
from serfcompat.wire.address import Address
from serfcompat.wire.serf_messages import UserEventMessage

from .nodes import SECOND, Cluster, Node, read_push_pull

pytestmark = pytest.mark.sim

ALIVE, LEAVING, LEFT, FAILED = MemberStatus.ALIVE, MemberStatus.LEAVING, MemberStatus.LEFT, MemberStatus.FAILED


def statuses(cluster, name):
    return [str(node.status(name)) for node in cluster.nodes.values()]


def everybody(cluster, name, status):
    return all(node.status(name) is status for node in cluster.nodes.values())


def test_clocks_after_the_first_join_are_upstreams():  # spec serf §3
    cluster = Cluster("seed", "joiner")
    cluster.run(2)
    for node in cluster.nodes.values():
        assert node.core.clock.time == 2
        assert (node.ltime("joiner"), node.ltime("seed")) == (1, 0)


def test_a_user_event_reaches_everybody_once():
    cluster = Cluster("a", "b", "c", "d")
    cluster.run(2)
    cluster.step("b", lambda: cluster["b"].engine.user_event("deploy", b"v1", True, cluster.now_ns))
    cluster.run(5)
    for node in cluster.nodes.values():
        assert [e.payload for e in node.events() if str(e) == "user-event: deploy"] == [b"v1"]


def test_a_newcomer_hears_the_history_unless_it_ignores_it():
    cluster = Cluster("a")
    cluster.step("a", lambda: cluster["a"].engine.user_event("deploy", b"v1", False, 0))
    for name, ignore_old in (("b", False), ("c", True)):
        cluster.add(name)
        cluster.join(name, "a", ignore_old=ignore_old)
        assert ("user-event: deploy" in cluster[name].told()) is not ignore_old
    cluster.run(10)
    assert "user-event: deploy" not in cluster["c"].told()


def test_a_query_collects_acks_and_answers_and_closes():
    cluster = Cluster("a", "b", "c", tags={"role": "web"})
    cluster.run(2)
    started = []

    def ask():
        params = QueryParams(request_ack=True, filter_nodes=["b", "c"], filter_tags={"role": "^w"}, relay_factor=1)
        query = cluster["a"].engine.query("uptime", b"?", params, cluster.now_ns)
        started.append(query)
        return query.effects

    cluster.step("a", ask)
    cluster.until(lambda: all("query: uptime" in cluster[name].told() for name in "bc"))
    for name in "bc":
        node = cluster[name]
        [query] = [e for e in node.events() if isinstance(e, QueryEvent)]
        cluster.step(name, lambda node=node, query=query: node.engine.respond(query, b"up", cluster.now_ns))
    a = cluster["a"]
    cluster.until(lambda: a.of(CloseQuery))
    key = started[0].key
    assert {effect.from_ for effect in a.of(DeliverAck)} == {"b", "c"}
    assert sorted((e.query, e.from_, e.payload) for e in a.of(DeliverResponse)) == [
        (key, "b", b"up"),
        (key, "c", b"up"),
    ]
    assert a.of(CloseQuery) == [CloseQuery(key)]
    assert cluster.now_ns == started[0].deadline_ns
    assert "query: uptime" not in a.told()
    duplicates = a.metrics.counters.get("serf.query_duplicate_responses", 0)
    assert duplicates + 2 <= 4  # a relay may have been the asker itself


def test_a_graceful_leave_is_seen_as_one_and_not_reconnected():
    cluster = Cluster("a", "b", "c")
    cluster.run(2)
    b = cluster["b"]
    cluster.step("b", lambda: b.engine.begin_leave("t", cluster.now_ns))
    cluster.until(lambda: cluster.finished("b", "t"))
    assert b.engine.state is SerfState.LEFT
    assert b.told()[-1] == "member-leave b"
    cluster.down.add("b")
    cluster.run(5)
    for name in "ac":
        assert cluster[name].status("b") is LEFT
        assert "member-leave b" in cluster[name].told()
        assert "member-failed b" not in cluster[name].told()


def test_a_node_that_dies_has_failed_and_comes_back_by_reconnect():
    cluster = Cluster("a", "b", "c", reconnect_interval=5.0)
    cluster.run(2)
    cluster.down.add("c")
    cluster.until(lambda: all(cluster[name].status("c") is FAILED for name in "ab"))
    cluster.run(60)  # long enough for memberlist to forget it
    cluster.down.clear()
    cluster.until(lambda: all(cluster[name].status("c") is ALIVE for name in "ab"), within=120)
    assert cluster["a"].told().count("member-join c") == 2


@pytest.mark.statement("S-068", "S-092")
def test_a_failed_node_is_force_left_everywhere():
    cluster = Cluster("a", "b", "c")
    cluster.run(2)
    cluster.down.add("c")
    cluster.until(lambda: all(cluster[name].status("c") is FAILED for name in "ab"))
    cluster.step("a", lambda: cluster["a"].engine.force_leave("c", False, "t", cluster.now_ns))
    cluster.until(lambda: cluster.finished("a", "t"))
    cluster.until(lambda: cluster["b"].status("c") is LEFT)
    assert cluster["b"].told()[-2:] == ["member-failed c", "member-leave c"]


def test_a_failed_node_is_pruned_everywhere():
    cluster = Cluster("a", "b", "c")
    cluster.run(2)
    cluster.down.add("c")
    cluster.until(lambda: all(cluster[name].status("c") is FAILED for name in "ab"))
    cluster.step("a", lambda: cluster["a"].engine.force_leave("c", True, "t", cluster.now_ns))
    cluster.until(lambda: cluster["b"].status("c") is None)
    assert cluster["b"].told()[-2:] == ["member-leave c", "member-reap c"]
    cluster.until(lambda: cluster.finished("a", "t"))


@pytest.mark.parametrize("who", ["a", "d"])
def test_who_left_is_pruned_also_by_those_who_talked_about_it_meanwhile(who):
    """Each push/pull dates the leave one later; upstream's prune, by whoever has talked less, is old news then."""
    cluster = Cluster("a", "b", "c", "d", push_pull_interval=0.0)
    cluster.run(2)
    cluster.step("d", lambda: cluster["d"].engine.begin_leave("left", cluster.now_ns))
    cluster.until(lambda: cluster.finished("d", "left") and everybody(cluster, "d", LEFT))
    for _ in range(3):
        cluster.push_pull("b", "c")
    assert cluster["b"].ltime("d") > cluster[who].core.clock.time
    cluster.step(who, lambda: cluster[who].engine.force_leave("d", True, "t", cluster.now_ns))
    cluster.until(lambda: all(cluster[name].status("d") is None for name in "abc"))
    cluster.until(lambda: cluster.finished(who, "t"))


def test_an_alive_node_refutes_its_force_leave():
    cluster = Cluster("a", "b", "c")
    cluster.run(2)
    cluster.step("a", lambda: cluster["a"].engine.force_leave("c", False, "t", cluster.now_ns))
    assert cluster["a"].status("c") is LEAVING
    cluster.until(lambda: everybody(cluster, "c", ALIVE))
    cluster.run(5)
    assert everybody(cluster, "c", ALIVE)
    assert len({node.ltime("c") for node in cluster.nodes.values()}) == 1


@pytest.mark.statement("S-093")
def test_a_force_leave_of_oneself_comes_to_nothing():
    cluster = Cluster("a", "b", "c")
    cluster.run(2)
    before = cluster["b"].ltime("a")
    cluster.step("a", lambda: cluster["a"].engine.force_leave("a", False, "t", cluster.now_ns))
    cluster.until(lambda: cluster.finished("a", "t"))
    cluster.run(5)
    assert everybody(cluster, "a", ALIVE)
    ltimes = {node.ltime("a") for node in cluster.nodes.values()}
    assert len(ltimes) == 1
    assert ltimes.pop() > before
    assert not cluster["a"].of(TimedOut)


def test_a_restarted_node_is_not_held_to_its_old_leave():
    cluster = Cluster("a", "b")
    cluster.run(2)
    cluster.step("b", lambda: cluster["b"].engine.begin_leave("t", cluster.now_ns))
    cluster.until(lambda: cluster.finished("b", "t"))
    cluster.restart("b")
    cluster.join("b", "a")
    cluster.until(lambda: cluster["a"].status("b") is ALIVE)
    cluster.run(5)
    assert cluster["a"].status("b") is cluster["b"].status("b") is ALIVE


@pytest.mark.statement("S-042")
@pytest.mark.parametrize(("size", "gossiped"), [(1395, True), (1396, False)])
def test_1395_bytes_are_the_most_that_is_ever_gossiped(size, gossiped):
    cluster = Cluster("a", "b", user_event_size_limit=9216, push_pull_interval=0.0)
    cluster.run(10)
    cluster["a"].gossip()
    frame = len(UserEventMessage(1, b"n", b"x" * 1000, False).encode()) - 1000
    cluster.step("a", lambda: cluster["a"].engine.user_event("n", b"x" * (size - frame), False, cluster.now_ns))
    cluster.run(20)
    assert ("user-event: n" in cluster["b"].told()) is gossiped
    assert len(cluster["a"].core.queues.events) == (not gossiped)


def test_what_is_too_large_for_gossip_spreads_by_push_pull():
    cluster = Cluster("a", "b", user_event_size_limit=9216)
    cluster.run(2)
    cluster.step("a", lambda: cluster["a"].engine.user_event("big", b"x" * 5000, False, cluster.now_ns))
    cluster.until(lambda: "user-event: big" in cluster["b"].told(), within=90)


@pytest.mark.statement("S-145")
def test_two_of_one_name_with_nobody_else_both_quit():
    cluster = Cluster("a", "b")
    cluster.run(1)
    a = cluster["a"]
    # A stranger called `a` joins b by another address.
    stranger = Node("a", address=Address(b"\x0a\x00\x00\x63", 7946))
    cluster.nodes["a2"] = stranger
    cluster.step("a2", lambda: stranger.engine.start(cluster.now_ns))
    cluster.down.add("b")  # nobody who could vote
    state = read_push_pull(stranger.engine.local_state(True))
    cluster.step("a", lambda: a.engine.merge_remote_state(state, True, cluster.now_ns))
    state = read_push_pull(a.engine.local_state(True))
    cluster.step("a2", lambda: stranger.engine.merge_remote_state(state, True, cluster.now_ns))
    cluster.until(lambda: a.of(Quit) and stranger.of(Quit))


@pytest.mark.statement("S-144")
def test_the_newcomer_of_two_with_one_name_quits():
    cluster = Cluster("a", "b", "c", "d")
    cluster.run(3)
    stranger = Node("a", address=Address(b"\x0a\x00\x00\x63", 7946))
    cluster.nodes["a2"] = stranger
    cluster.step("a2", lambda: stranger.engine.start(cluster.now_ns))
    cluster.join("a2", "b")
    cluster.until(lambda: stranger.of(Quit))
    cluster.run(10)
    assert not cluster["a"].of(Quit)


@pytest.mark.statement("S-018")
def test_only_changed_metadata_is_an_update():
    cluster = Cluster("a", "b")
    cluster.run(2)
    a, b = cluster["a"], cluster["b"]
    a.core.swim.table.own_vsn = bytes((1, 5, 2, 2, 5, 5))
    cluster.step("a", lambda: a.engine.set_tags({}, "t", cluster.now_ns))
    cluster.until(lambda: cluster.finished("a", "t"))
    cluster.run(5)
    assert "member-update a" not in b.told()
    cluster.step("a", lambda: a.engine.set_tags({"x": "y"}, "u", cluster.now_ns))
    cluster.until(lambda: "member-update a" in b.told())
    assert b.core.members.by_name[b"a"].view().delegate_cur == 5


@pytest.mark.statement("S-203")
def test_metrics_are_called_as_upstreams():
    cluster = Cluster("a", "b", "c", flap_timeout=600.0, reconnect_interval=5.0, queue_check_interval=5.0)
    cluster.run(2)
    a = cluster["a"]
    cluster.step("a", lambda: a.engine.user_event("deploy", None, False, cluster.now_ns))
    cluster.step("a", lambda: a.engine.query("_serf_ping", None, QueryParams(request_ack=True), cluster.now_ns).effects)
    cluster.step("b", lambda: cluster["b"].engine.set_tags({"x": "y"}, "t", cluster.now_ns))
    cluster.down.add("c")
    cluster.until(lambda: a.status("c") is FAILED)
    cluster.down.clear()
    cluster.until(lambda: a.status("c") is ALIVE)
    cluster.step("b", lambda: cluster["b"].engine.begin_leave("t", cluster.now_ns))
    cluster.until(lambda: a.status("b") is LEFT)
    counted = {name for name in a.metrics.counters if name.startswith("serf.")}
    assert counted == {
        "serf.member.join",
        "serf.member.left",
        "serf.member.failed",
        "serf.member.update",
        "serf.member.flap",
        "serf.events",
        "serf.events.deploy",
        "serf.queries",
        "serf.queries._serf_ping",
        "serf.query_acks",
    }
    assert {name for name in a.metrics.samples if name.startswith("serf.")} == {
        "serf.msgs.received",
        "serf.msgs.sent",
        "serf.queue.Intent",
        "serf.queue.Event",
        "serf.queue.Query",
        "serf.coordinate.adjustment-ms",
    }


def test_an_idle_cluster_goes_quiet():
    cluster = Cluster("a", "b", "c")
    cluster.run(20)
    for node in cluster.nodes.values():
        assert node.engine.stats()["intent_queue"] == "0"
    before = cluster.packets
    cluster.run(10)
    assert cluster.packets - before <= 3 * 10 * 2 + 6  # a ping and an ack per node and second


def test_nodes_learn_each_others_coordinates():
    cluster = Cluster("a", "b")
    cluster.run(10)
    assert cluster["a"].engine.cached_coordinate("b") is not None
    assert cluster["a"].engine.cached_coordinate("nobody") is None
    assert cluster.now_ns == 10 * SECOND
