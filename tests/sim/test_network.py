import random

import pytest

from serfcompat.sim.impairments import Changed, HostLoss, Unplugged, one_way, sides
from serfcompat.sim.latency import Fixed
from serfcompat.sim.network import Conditions, Network

MS = 1_000_000


def network(**conditions):
    return Network(Conditions(latency=Fixed(MS), **conditions))


def arrived(net, source="a", target="b", *, times=2000, size=100):
    dice = random.Random(7)
    return [net.copies(source, target, size, dice) for _ in range(times)]


def share_lost(net, **how):
    copies = arrived(net, **how)
    return sum(not c for c in copies) / len(copies)


def test_a_quiet_network_delivers_each_datagram_once_after_its_latency():
    assert set(arrived(network())) == {(MS,)}


def test_loss_takes_its_share_and_is_counted():
    net = network(loss=0.2)
    assert share_lost(net) == pytest.approx(0.2, abs=0.03)
    assert net.lost == sum(not c for c in arrived(network(loss=0.2)))


def test_duplicates_come_later():
    copies = arrived(network(duplicate=0.3))
    assert sum(len(c) == 2 for c in copies) / len(copies) == pytest.approx(0.3, abs=0.03)
    assert {c for c in copies if len(c) == 2} == {(MS, 2 * MS)}


def test_what_is_reordered_is_late_by_up_to_ten_latencies():
    delays = [c[0] for c in arrived(network(reorder=0.5))]
    assert min(delays) == MS
    assert 5 * MS < max(delays) <= 11 * MS


def test_a_size_limit_loses_what_is_larger():
    net = network(size_limit=100)
    assert share_lost(net, size=100) == 0
    assert share_lost(net, size=101) == 1


def test_a_block_is_one_way_and_a_stream_needs_both():
    net = network()
    net.impair(one_way("a", "b"))
    assert share_lost(net) == 1
    assert share_lost(net, source="b", target="a") == 0
    assert not net.connected("a", "b")
    assert not net.connected("b", "a")


def test_sides_hear_themselves_but_not_each_other():
    net = network()
    net.impair(sides([["a", "b"], ["c"], ["d"]]))
    reachable = {(x, y) for x in "abcd" for y in "abcd" if net.connected(x, y)}
    assert reachable == {("a", "a"), ("b", "b"), ("c", "c"), ("d", "d"), ("a", "b"), ("b", "a")}


def test_an_unplugged_host_hears_only_itself():
    net = network()
    net.impair(Unplugged("a"))
    assert net.connected("a", "a")
    assert not net.connected("a", "b")
    assert net.connected("b", "c")


def test_a_hosts_loss_counts_both_ways_and_leaves_others_alone():
    net = network()
    net.impair(HostLoss("a", 0.5))
    assert share_lost(net) == pytest.approx(0.5, abs=0.04)
    assert share_lost(net, source="b", target="a") == pytest.approx(0.5, abs=0.04)
    assert share_lost(net, source="b", target="c") == 0


def test_each_impairment_is_taken_back_by_itself():
    net = network()
    first, second = one_way("a", "b"), one_way("a", "b")
    net.impair(first, second)
    net.mend(first)
    net.mend(first)
    assert not net.connected("a", "b")
    net.mend(second)
    assert net.connected("a", "b")


def test_of_two_changes_the_later_counts_until_it_is_taken_back():
    net = network()
    first, second = Changed("loss", 0.5), Changed("loss", 1.0)
    net.impair(first, second)
    assert net.conditions.loss == 1.0
    net.mend(second)
    assert net.conditions.loss == 0.5
    net.mend(first)
    assert net.conditions == net.usual


def test_healing_one_host_leaves_the_others_cut():
    net = network()
    net.impair(sides([["a", "b"], ["c"]]), Unplugged("d"), HostLoss("a", 0.5), Changed("loss", 0.1))
    net.heal("a")
    assert net.connected("a", "c")
    assert not net.connected("b", "c")
    assert not net.connected("b", "d")
    assert net.host_loss == {}
    net.heal()
    assert net.connected("b", "c")
    assert net.connected("b", "d")
    assert net.conditions.loss == 0.1


def test_loss_makes_streams_slow_but_does_not_break_them():
    dice = random.Random(7)
    net = network(loss=0.3)
    delays = [net.stream_delay("a", "b", dice) for _ in range(500)]
    assert min(delays) == MS
    assert set(delays) >= {MS, 201 * MS, 601 * MS}
    assert max(delays) < 20_000 * MS
