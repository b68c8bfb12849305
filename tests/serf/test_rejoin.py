"""Finding peers again that were forgotten long ago."""

import logging

from serfcompat.serf.effects import AppendSnapshot, JoinAgain, Rejoin, ReplaceSnapshot
from serfcompat.serf.former_peers import FormerPeers
from serfcompat.serf.snapshot import Snapshot
from serfcompat.wire.address import Address
from serfcompat.wire.serf_messages import LeaveIntent

from .nodes import Cluster, Node

LOG = logging.getLogger("serfcompat.serf")
HOUR_NS = 3600 * 1_000_000_000


def node_with(*alive, reaped=(), left=()):
    """A node that knows `alive`, and has forgotten others after they failed or left."""
    node = Node(reconnect_timeout=10.0, tombstone_timeout=10.0).start()
    for name in (*alive, *reaped, *left):
        node.joins(name)
    for name in left:
        node.hear(LeaveIntent(1, name.encode()))
    for name in (*reaped, *left):
        node.leaves(name)
    node.now_ns += HOUR_NS
    node.timer("serf-reap")
    node.gossip()
    node.forget()
    return node


def asked(node, ticks=1):
    """Names asked in each of so many ticks."""
    rounds = []
    for _ in range(ticks):
        node.forget()
        node.timer("serf-rejoin")
        rounds.append([a.partition("/")[0] for effect in node.of(JoinAgain) for a in effect.addresses])
    return rounds


def test_whoever_is_not_alone_asks_nobody_here():
    assert asked(node_with("a", reaped=["x"], left=["y"]), 5) == [[]] * 5


def test_alone_all_who_were_ever_known_are_asked_in_turn():
    node = node_with(reaped=["p", "q", "r", "s"], left=["t"])
    rounds = asked(node, 5)
    assert [len(names) for names in rounds] == [3] * 5
    assert set(rounds[0] + rounds[1]) == {"p", "q", "r", "s", "t"}  # all of them within ceil(5 / 3) ticks


def test_alone_failed_members_and_the_joined_addresses_are_asked_as_well(caplog):
    caplog.set_level(logging.INFO)
    node = Node().start()
    node.joins("a")
    node.did(node.engine.joined(1, False, 0, ["srv+_serf._tcp.example.org", "10.0.0.7"]))
    node.leaves("a")
    node.forget()
    node.timer("serf-rejoin")
    assert node.of(JoinAgain) == [
        JoinAgain(("a/10.0.0.9:7946",)),
        JoinAgain(("srv+_serf._tcp.example.org", "10.0.0.7")),
    ]
    assert "serf: alone: joining srv+_serf._tcp.example.org, 10.0.0.7 again" in caplog.messages


def test_a_join_that_reached_nobody_is_not_repeated():
    node = Node().start()
    node.did(node.engine.joined(0, False, 0, ["10.0.0.7"]))
    assert asked(node) == [[]]


def test_whoever_comes_back_is_former_no_more_and_the_pruned_are_forgotten():
    node = node_with(reaped=["x", "y"])
    node.joins("x")
    assert asked(node) == [[]]
    assert set(node.core.known.addresses) == {b"y"}
    node.leaves("x")
    assert asked(node) == [["x", "y"]] or asked(node) == [["y", "x"]]
    node.did(node.engine.force_leave("x", True, "t", node.now_ns))
    assert asked(node) == [["y"]]
    assert len(node.core.former) == 1


def test_who_leaves_asks_nobody():
    node = node_with(reaped=["x"])
    node.did(node.engine.begin_leave("t", node.now_ns))
    assert asked(node) == [[]]


def test_only_so_many_are_kept():
    peers = FormerPeers()
    for number in range(FormerPeers.LIMIT + 10):
        peers.add(b"%d" % number, b"10.0.0.1:1")
    assert len(peers.addresses) == FormerPeers.LIMIT
    assert b"9" not in peers.addresses
    assert b"10" in peers.addresses


# -- the snapshot ------------------------------------------------------------------------------


def replay(*lines):
    return Snapshot.replay("".join(f"{line}\n" for line in lines).encode(), log=LOG)


def test_a_snapshot_keeps_who_failed_and_who_left(caplog):
    snapshot = replay("alive: a 10.0.0.1:1", "alive: b c 10.0.0.2:2", "not-alive: b c", "#former: d 10.0.0.3:3")
    assert snapshot.alive == {b"a": b"10.0.0.1:1"}
    assert snapshot.former == {b"b c": b"10.0.0.2:2", b"d": b"10.0.0.3:3"}
    assert not caplog.records
    again = replay(*snapshot._compact(0, recovery=False).data.decode().splitlines())
    assert (again.alive, again.former) == (snapshot.alive, snapshot.former)


def test_a_snapshot_keeps_the_joined_addresses():
    node = Node(restored=replay()).start()
    node.did(node.engine.joined(1, False, 0, ["seed.example.org", "bad\nname"]))
    lines = b"".join(effect.data for effect in node.of(AppendSnapshot))
    assert b"#seed: seed.example.org\n" in lines
    assert b"bad" not in lines
    again = Node(restored=replay(*lines.decode().splitlines())).start()
    assert asked(again) == [["seed.example.org"]]


def test_comments_of_a_snapshot_that_say_nothing_are_nothing():
    snapshot = replay("#former: x", "#former:", "#seed: s", "#seed: s", "#pruned: x", "# anything")
    assert snapshot.former == {}
    assert snapshot.seeds == ["s"]


def test_a_snapshot_is_emptied_by_a_leave_and_a_pruned_member_is_struck_out():
    snapshot = replay("alive: a 10.0.0.1:1", "not-alive: a", "#seed: s", "leave")
    assert (snapshot.former, snapshot.seeds) == ({}, [])
    snapshot = replay("alive: a 10.0.0.1:1", "not-alive: a")
    assert [e.data for e in snapshot.forget(b"a", 0)] == [b"#pruned: a\n"]
    assert snapshot.forget(b"a", 0) == []
    assert replay("alive: a 10.0.0.1:1", "not-alive: a", "#pruned: a").former == {}


def test_a_snapshot_keeps_only_so_many():
    lines = [f"#former: n{number} 10.0.0.1:1" for number in range(300)]
    snapshot = replay(*lines)
    assert len(snapshot.former) == FormerPeers.LIMIT
    assert isinstance(snapshot._compact(0, recovery=False), ReplaceSnapshot)


def test_who_was_not_there_when_the_cluster_was_torn_apart_looks_for_the_other_half():
    node = Node(restored=replay("alive: a 10.0.0.2:1", "alive: b [::1]:1", "#former: c x", "alive: me 10.0.0.1:1"))
    node.start()
    node.joins("a")
    node.dice.next = [0.0]
    node.timer("serf-reconnect")
    assert node.of(Rejoin) == [Rejoin(Address(b"\0" * 15 + b"\1", 1), b"b")]


# -- a whole cluster ---------------------------------------------------------------------------


def test_halves_that_have_forgotten_each_other_grow_together_within_the_bound():
    cluster = Cluster("a", "b", "c", "d", reconnect_timeout=30.0, reap_interval=5.0)
    cluster.run(5)
    halves = ({"a", "b"}, {"c", "d"})
    cluster.split = halves
    cluster.run(400)
    for half in halves:
        for name in half:
            assert {n for n in cluster.nodes if cluster[name].status(n) is not None} == half
    cluster.split = None
    # As many are lost as alive: each node asks one of them in every interval of 30 s.
    cluster.until(lambda: all(len(cluster[name].core.members) == 4 for name in cluster.nodes), within=30 + 30)


def test_a_lonely_node_finds_its_cluster_however_long_it_was_away():
    cluster = Cluster("a", "b", "c", reconnect_timeout=30.0, reap_interval=5.0)
    cluster.run(5)
    cluster.split = ({"a"}, {"b", "c"})
    cluster.run(5 * 24 * 3600 / 100)
    assert len(cluster["a"].core.members) == 1
    cluster.split = None
    cluster.until(lambda: len(cluster["a"].core.members) == 3, within=31)
