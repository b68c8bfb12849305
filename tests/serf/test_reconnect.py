"""Reaching failed and previously known members again."""

import logging

import pytest

from serfcompat.serf.effects import JoinPrevious, Rejoin
from serfcompat.serf.reaper import on_reap_tick
from serfcompat.serf.reconnect import PreviousNodes, on_reconnect_tick
from serfcompat.serf.snapshot import Snapshot
from serfcompat.wire.address import Address
from serfcompat.wire.serf_messages import LeaveIntent

from .nodes import Node

LOG = logging.getLogger("serfcompat.serf")
SECOND = 10**9
DAY = 86400 * SECOND


def cluster(alive=0, failed=0, left=0):
    node = Node()
    names = [f"{kind}{n}" for kind, count in (("a", alive), ("f", failed), ("l", left)) for n in range(count)]
    for name in names:
        node.joins(name)
        if name[0] == "l":
            node.hear(LeaveIntent(1, name.encode()))
        if name[0] != "a":
            node.leaves(name)
    node.gossip()
    node.forget()
    return node


def tick(node, draw):
    node.dice.next = [draw]
    on_reconnect_tick(node.core, 0)
    node.settle()
    return node.of(Rejoin)


@pytest.mark.statement("S-099")
@pytest.mark.parametrize(
    ("alive", "failed", "left", "chance"), [(4, 1, 2, 0.25), (2, 1, 0, 0.5), (1, 2, 0, 1.0), (0, 1, 0, 1.0)]
)
def test_the_chance_is_failed_to_alive(alive, failed, left, chance, caplog):
    caplog.set_level(logging.DEBUG)
    assert len(tick(cluster(alive, failed, left), chance)) == 1
    if chance < 1:
        assert tick(cluster(alive, failed, left), chance + 1e-9) == []
        assert caplog.messages[-1] == "serf: forgoing reconnect for random throttling"


@pytest.mark.statement("S-100")
def test_one_failed_member_is_joined_by_name_and_address_without_an_intent(caplog):
    caplog.set_level(logging.INFO)
    node = cluster(alive=1, failed=3)
    seen = set()
    for _ in range(60):
        [rejoin] = tick(node, 0.0)
        seen.add(rejoin.name)
        assert rejoin.to == Address(b"\x0a\x00\x00\x09", 7946)
        node.forget()
    assert seen == {b"f0", b"f1", b"f2"}
    assert caplog.messages[-1].endswith(" 10.0.0.9:7946")
    assert caplog.messages[-1].startswith("serf: attempting reconnect to f")
    assert node.gossip() == []


def torn_apart(**config):
    """Two members failed, and were reaped a moment ago."""
    node = Node(reconnect_timeout=10.0, **config)
    for name in ("f", "g"):
        node.joins(name)
        node.leaves(name)
    on_reap_tick(node.core, 11 * SECOND)
    assert not len(node.core.members)
    node.settle()
    node.forget()
    return node


def asked(node, now_ns, rounds=40):
    for _ in range(rounds):
        on_reconnect_tick(node.core, now_ns)
    node.settle()
    return {rejoin.name for rejoin in node.of(Rejoin)}


def test_who_failed_and_was_reaped_is_still_asked_to_join():
    assert asked(torn_apart(), 300 * DAY) == {b"f", b"g"}
    assert asked(torn_apart(), 366 * DAY) == set()
    assert asked(torn_apart(former_member_time=0.0), 12 * SECOND) == set()


def test_a_large_cluster_asks_each_former_member_once_per_interval_in_all():
    node = torn_apart()
    for n in range(200):
        node.joins(f"a{n}")
    node.forget()
    for _ in range(200):  # as if each of them had made its tick
        on_reconnect_tick(node.core, 12 * SECOND)
    node.settle()
    assert 0 < len(node.of(Rejoin)) < 10


def test_a_former_member_that_came_back_or_left_is_not_asked():
    node = torn_apart()
    node.joins("f")
    node.hear(LeaveIntent(99, b"g"))
    node.forget()
    assert asked(node, 12 * SECOND) == set()


def test_who_left_and_was_reaped_is_not_asked():
    node = Node(tombstone_timeout=10.0)
    node.joins("l")
    node.hear(LeaveIntent(9, b"l"))
    node.leaves("l")
    on_reap_tick(node.core, 11 * SECOND)
    assert asked(node, 12 * SECOND) == set()


def test_without_failed_members_nothing_is_drawn():
    node = cluster(alive=3)
    node.dice.next = [0.0]
    on_reconnect_tick(node.core, 0)
    assert node.dice.next == [0.0]


def restarted(*lines):
    snapshot = Snapshot.replay("".join(f"{line}\n" for line in lines).encode(), log=LOG)
    return Node(restored=snapshot).start()


@pytest.mark.statement("S-183")
def test_known_nodes_are_tried_until_one_answers(caplog):
    caplog.set_level(logging.INFO)
    node = restarted("alive: me 10.0.0.1:7946", "alive: a 10.0.0.2:1", "alive: b x 10.0.0.3:2", "alive:  10.0.0.4:3")
    [first] = node.of(JoinPrevious)
    node.did(node.engine.on_previous_joined(False, 0))
    node.did(node.engine.on_previous_joined(True, 0))
    tried = [effect.address for effect in node.of(JoinPrevious)]
    assert tried[0] == first.address
    assert len(set(tried)) == 2
    assert set(tried) < {"a/10.0.0.2:1", "b x/10.0.0.3:2", "10.0.0.4:3"}
    lines = [m for m in caplog.messages if "re-join" in m.lower()]
    assert [line.rpartition(": ")[0].rpartition(": ")[0] for line in lines] == [
        "serf: Attempting re-join to previously known node",
        "serf: Attempting re-join to previously known node",
        "serf: Re-joined to previously known node",
    ]
    assert node.gossip() == []


def test_known_nodes_are_tried_in_random_order():
    lines = [f"alive: n{number} 10.0.0.2:{number}" for number in range(20)]
    snapshot = Snapshot.replay("".join(f"{line}\n" for line in lines).encode(), log=LOG)
    firsts = set()
    for seed in range(8):
        node = Node(restored=snapshot)
        node.dice.seed(seed)
        node.engine._previous = PreviousNodes(node.core)
        firsts.update(effect.address for effect in node.start().of(JoinPrevious))
    assert len(firsts) > 1


@pytest.mark.statement("S-184")
def test_knowing_only_oneself_is_knowing_nobody(caplog):
    node = restarted("alive: me 10.0.0.1:7946")
    assert node.of(JoinPrevious) == []
    assert caplog.messages == ["serf: Failed to re-join any previously known node"]


def test_an_empty_snapshot_is_no_reason_to_warn(caplog):
    restarted()
    assert not caplog.records


def test_when_nobody_answers_it_is_said_once(caplog):
    node = restarted("alive: a 10.0.0.2:1", "alive: b 10.0.0.3:1")
    for _ in range(2):
        node.did(node.engine.on_previous_joined(False, 0))
    assert caplog.messages == ["serf: Failed to re-join any previously known node"]
