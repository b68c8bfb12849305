"""A few engines together, on virtual time: what the rules make when they meet."""

from __future__ import annotations

import pytest

from serfcompat.swim.events import NodeJoined, NodeLeft, NodeState, PingCompleted
from serfcompat.swim.suspicion import suspicion_timeouts
from tests.swim.harness import KEY, MS, SECOND, Network, Node, address_of, suspect

pytestmark = pytest.mark.sim


def cluster(size: int, **config) -> tuple[Network, list[Node]]:
    """A cluster in which everybody knows everybody."""
    network = Network()
    nodes = [network.add(f"n{n}", address_of(n), seed=n, **config) for n in range(size)]
    for node in nodes[1:]:
        network.join(node, nodes[0])
    assert network.run(30 * SECOND, until=lambda: all(len(node.engine.members()) == size for node in nodes))
    network.happened.clear()
    return network, nodes


def views(nodes: list[Node], name: str) -> set[NodeState | None]:
    return {node.state(name) for node in nodes}


def lost(network: Network) -> list[tuple[str, NodeState]]:
    return [
        (event.node.name.decode(), event.node.state) for _, _, event in network.happened if isinstance(event, NodeLeft)
    ]


@pytest.mark.statement("M-115", "M-183")
def test_a_join_spreads_to_everybody():
    network, nodes = cluster(8)
    assert all((node.incarnation, node.state) == (1, NodeState.ALIVE) for one in nodes for node in one.table.ring)
    assert network.run(60 * SECOND) is False
    assert all(len(node.table.broadcasts) == 0 for node in nodes)


@pytest.mark.statement("M-154", "M-156", "M-161")
def test_a_quiet_cluster_stays_quiet():
    network, nodes = cluster(5)
    network.run(300 * SECOND)
    assert lost(network) == []
    assert {node.engine.health_score for node in nodes} == {0}
    assert all(node.count("memberlist.msg.suspect") == 0 for node in nodes)
    assert {type(event) for _, _, event in network.happened} == {PingCompleted}


@pytest.mark.statement("M-146", "M-150", "M-156")
def test_a_crash_is_detected_by_all_within_the_bounds():
    network, nodes = cluster(8)
    network.kill(address_of(7))
    crashed_ns = network.now_ns
    others = nodes[:7]
    assert network.run(120 * SECOND, until=lambda: views(others, "n7") == {NodeState.DEAD})
    shortest_ns, longest_ns = suspicion_timeouts(4, 6, 8, SECOND)
    first_ns = next(at_ns for at_ns, _, event in network.happened if isinstance(event, NodeLeft))
    # One interval for a probe to fail; at worst two rounds of the ring until n7 is probed.
    assert shortest_ns < first_ns - crashed_ns < longest_ns + 2 * 8 * SECOND
    network.run(SECOND)
    assert lost(network) == [("n7", NodeState.DEAD)] * 7


@pytest.mark.statement("M-170")
def test_the_dead_are_forgotten_after_a_while():
    network, nodes = cluster(4)
    network.kill(address_of(3))
    network.run(150 * SECOND)
    assert views(nodes[:3], "n3") == {None}
    assert {len(node.table.ring) for node in nodes[:3]} == {3}


@pytest.mark.statement("M-140", "M-141", "M-189")
def test_a_leave_is_seen_as_one_by_all():
    network, nodes = cluster(6)
    network.step(nodes[5], lambda swim, now_ns: swim.leave(now_ns, "token"))
    assert network.run(10 * SECOND, until=lambda: views(nodes, "n5") == {NodeState.LEFT})
    assert network.run(10 * SECOND, until=lambda: "token" in network.finished)
    network.run(20 * SECOND)
    assert lost(network) == [("n5", NodeState.LEFT)] * 6


@pytest.mark.statement("M-188")
def test_an_update_reaches_everybody():
    network, nodes = cluster(6)
    nodes[2].table.hooks.node_meta = lambda _limit: b"new"
    network.step(nodes[2], lambda swim, now_ns: swim.update_node(now_ns, "token"))
    assert network.run(10 * SECOND, until=lambda: {node.node("n2").meta for node in nodes} == {b"new"})
    assert network.run(10 * SECOND, until=lambda: "token" in network.finished)
    assert {node.node("n2").incarnation for node in nodes} == {2}


@pytest.mark.statement("M-158", "M-161", "M-165")
def test_relays_rescue_a_node_that_one_other_cannot_reach():
    network, nodes = cluster(5, disable_tcp_pings=True)
    network.udp_cut = lambda one, other: {one, other} == {address_of(0), address_of(1)}
    network.run(120 * SECOND)
    assert lost(network) == []
    assert {node.engine.health_score for node in nodes} == {0}


@pytest.mark.statement("M-160", "M-162")
def test_tcp_rescues_a_node_that_no_packet_reaches():
    network, nodes = cluster(4)
    network.udp_cut = lambda one, _other: one == address_of(3)
    network.run(60 * SECOND)
    assert lost(network) == []
    assert views(nodes[:3], "n3") == {NodeState.ALIVE}


@pytest.mark.statement("M-126", "M-137", "M-139", "M-157")
def test_a_node_that_was_away_for_a_moment_refutes_what_is_said():
    network, nodes = cluster(8)
    network.cut = lambda one, other: address_of(7) in (one, other)
    assert network.run(60 * SECOND, until=lambda: NodeState.SUSPECT in views(nodes[:7], "n7"))
    network.run(500 * MS)
    network.cut = lambda _one, _other: False
    network.run(30 * SECOND)
    assert ("n7", NodeState.DEAD) not in lost(network)
    assert views(nodes, "n7") == {NodeState.ALIVE}
    assert {node.node("n7").incarnation for node in nodes} == {nodes[7].table.incarnation} != {1}


@pytest.mark.statement("M-128", "M-173")
def test_a_node_held_for_dead_lately_comes_back_by_itself():
    network, nodes = cluster(6, push_pull_interval=0.0)
    network.cut = lambda one, other: address_of(5) in (one, other)
    assert network.run(90 * SECOND, until=lambda: views(nodes[:5], "n5") == {NodeState.DEAD})
    network.cut = lambda _one, _other: False
    assert network.run(30 * SECOND, until=lambda: views(nodes, "n5") == {NodeState.ALIVE})


@pytest.mark.statement("M-130", "M-131", "M-139")
@pytest.mark.parametrize("dead", [True, False])
def test_a_restart_under_the_same_name_is_accepted_after_a_join(dead):
    network, nodes = cluster(6)
    network.kill(address_of(5))
    if dead:
        assert network.run(90 * SECOND, until=lambda: views(nodes[:5], "n5") == {NodeState.DEAD})
    again = network.add("n5", address_of(5), seed=99, delegate_protocol=(0, 1, 0))
    network.join(again, nodes[0])
    survivors = [*nodes[:5], again]
    assert network.run(20 * SECOND, until=lambda: views(survivors, "n5") == {NodeState.ALIVE})
    assert network.run(20 * SECOND, until=lambda: {n.node("n5").vsn[4] for n in survivors} == {1})


@pytest.mark.statement("M-123")
def test_a_name_that_left_is_free_at_once_for_another_address():
    network, nodes = cluster(4)
    network.step(nodes[3], lambda swim, now_ns: swim.leave(now_ns, "token"))
    network.run(5 * SECOND)
    network.kill(address_of(3))
    again = network.add("n3", address_of(33), seed=99)
    network.join(again, nodes[0])
    assert network.run(20 * SECOND, until=lambda: views([*nodes[:3], again], "n3") == {NodeState.ALIVE})
    assert {node.node("n3").address for node in nodes[:3]} == {address_of(33)}


@pytest.mark.statement("M-113")
def test_encryption_is_introduced_in_three_steps_without_losing_anybody():
    network, nodes = cluster(2, probe_interval=1.0, disable_tcp_pings=True)
    layers = [node.engine.layers for node in nodes]

    def step(change) -> None:
        for one in (0, 1):  # one node after the other, with time between them
            change(one)
            network.run(20 * SECOND)

    def understand(one: int) -> None:
        layers[one].verify_incoming = layers[one].verify_outgoing = False
        nodes[one].engine.keyring.add(KEY)

    def encrypt(one: int) -> None:
        layers[one].verify_outgoing = True

    def insist(one: int) -> None:
        layers[one].verify_incoming = True

    for change in (understand, encrypt, insist):
        step(change)
    assert lost(network) == []
    assert all(node.count("serfcompat.drop.decrypt") == 0 for node in nodes)
    assert all(node.count("memberlist.msg.suspect") == 0 for node in nodes)


def test_a_paused_node_does_not_declare_another_dead_on_waking():
    """Its timers are overdue, but the refutation waits among the packets that it has not read yet."""
    network, nodes = cluster(6)
    sleeper, accused = nodes[5], nodes[0]
    rumour = suspect("n0", 1, by="somebody").encode()
    network.step(sleeper, lambda swim, now_ns: swim.on_packet(rumour, address_of(9), now_ns))
    assert network.run(SECOND, until=lambda: NodeState.SUSPECT in views(nodes[1:5], "n0"))
    network.pause(sleeper)
    network.run(60 * SECOND)
    assert accused.node("n0").incarnation == 2
    assert sleeper.state("n0") is NodeState.SUSPECT
    network.happened.clear()
    network.resume(sleeper)
    network.run(20 * SECOND)
    assert sleeper.state("n0") is NodeState.ALIVE
    assert lost(network) == []


def test_joins_of_a_whole_cluster_are_told_once_for_each_pair():
    network = Network()
    nodes = [network.add(f"n{n}", address_of(n), seed=n) for n in range(10)]
    for node in nodes[1:]:
        network.join(node, nodes[0])
    network.run(60 * SECOND)
    joins = [(to, event.node.name) for _, to, event in network.happened if isinstance(event, NodeJoined)]
    assert len(joins) == len(set(joins)) == 100
