"""Each law holds a quiet cluster innocent, and catches what it is there for."""

import random

import pytest

from serfcompat.serf.config import Config
from serfcompat.serf.effects import Deliver
from serfcompat.serf.events import UserEvent
from serfcompat.serf.member import MemberStatus
from serfcompat.sim.bounds import (
    calm_down_ns,
    convergence_ns,
    detection_ns,
    longest_suspicion_ns,
    shortest_suspicion_ns,
    spread_ns,
)
from serfcompat.sim.checkers import swim_laws
from serfcompat.sim.cluster import Cluster
from serfcompat.sim.serf_checkers import serf_laws
from serfcompat.sim.units import SECOND
from serfcompat.sim.watch import Broken, Watch
from serfcompat.swim.config import MemberlistConfig
from serfcompat.swim.effects import SetTimer
from serfcompat.swim.events import NodeState
from serfcompat.swim.suspicion import suspicion_timeouts, timeout_ns

pytestmark = pytest.mark.sim


@pytest.fixture
def watched():
    watch = Watch(swim_laws() + serf_laws())
    cluster = Cluster(5, seed=7, dice=random.Random, observers=[watch])
    cluster.run(1)
    cluster.watch_ = watch
    return cluster


def node_at(cluster, observer, name):
    """One node's own entry for another, ready to be falsified."""
    table = cluster[observer].swim.table
    return table.own(table.nodes[name.encode()])


def breaks(cluster, law, seconds=2):
    with pytest.raises(Broken, match=f"^{law}: ") as caught:
        cluster.run(seconds)
    assert caught.value.law == law


def test_a_quiet_cluster_is_innocent(watched):
    watched.run(100)
    watched.watch_.at_end()


def test_incarnations_never_go_back(watched):
    node_at(watched, "n1", "n3").incarnation = 0
    breaks(watched, "incarnations never go back")


def test_only_news_revives(watched):
    node = node_at(watched, "n1", "n3")
    watched.crash("n3")
    watched.until(lambda: node.state is NodeState.DEAD)
    watched.run(5)  # until nobody repeats it any more
    node.state = NodeState.ALIVE
    breaks(watched, "only news revives")


@pytest.mark.parametrize("state", [NodeState.DEAD, NodeState.LEFT])
def test_death_has_a_cause(watched, state):
    node_at(watched, "n1", "n3").state = state
    breaks(watched, "death has a cause")


def test_suspicion_lasts_long_enough(watched):
    watched.crash("n3")
    watched.until(lambda: any(watched[n].swim.table.suspicions for n in watched.running))
    host = next(watched[n] for n in watched.running if watched[n].swim.table.suspicions)
    watched.run(1)

    def hurry(engine, now_ns):
        host.swim.table.suspicions[b"n3"].due_ns = now_ns
        return engine.on_timer(("suspicion", b"n3"), now_ns)

    with pytest.raises(Broken, match=r"suspicion lasts long enough: .* suspected for 1\.\d+ s only"):
        watched.driver.step(host, "timer", ("suspicion", b"n3"), hurry)


def test_who_answers_is_not_suspected(watched):
    watched.run(calm_down_ns(MemberlistConfig.lan(), 5) / SECOND + 1)
    copies = watched.network.copies  # a fault that nobody was told of
    watched.network.copies = lambda a, b, size, dice: () if "n3" in (a, b) else copies(a, b, size, dice)
    watched.network.connected = lambda a, b: "n3" not in (a, b)
    breaks(watched, "who answers is not suspected", 10)


def test_suspicions_end(watched):
    perform = watched.driver._perform_one
    set_timer = perform[SetTimer]
    perform[SetTimer] = lambda host, effect: effect.key[0] == "suspicion" or set_timer(host, effect)
    watched.crash("n3")
    breaks(watched, "suspicions end", 90)


def test_nobody_doubts_itself(watched):
    node_at(watched, "n2", "n2").state = NodeState.SUSPECT
    breaks(watched, "nobody doubts itself")


def test_accusations_are_answered(watched, monkeypatch):
    monkeypatch.setattr("serfcompat.swim.claims.refute", lambda table, accused: None)
    watched.network.impair()
    watched.pause("n3")
    watched.until(lambda: any(watched[n].swim.table.suspicions for n in watched.running))
    watched.resume("n3")
    breaks(watched, "accusations are answered", 5)


def test_queues_are_bounded(watched):
    for i in range(50):
        watched["n1"].swim.table.broadcasts.put(b"\x04x", name=b"stranger %d" % i)
    breaks(watched, "queues are bounded")


def test_gossip_ends(watched):
    watched["n1"].swim.table.broadcasts.retransmit_mult = 10**6
    watched.crash("n3")
    breaks(watched, "gossip ends", 120)


def test_views_converge(watched):
    watched.crash("n3")
    with pytest.raises(Broken, match="n1 sees n3 alive, which does not run"):
        watched.watch_.at_end()
    watched.restart("n3")
    with pytest.raises(Broken, match="n3 doesn't know n1, which runs"):
        watched.watch_.at_end()


def test_events_are_delivered_once(watched):
    event = UserEvent(5, "deploy", b"v2", False)
    watched.driver.perform(watched["n1"], "packet", ("n2", b""), [Deliver(event)])
    with pytest.raises(Broken, match="events once everywhere: n1 delivers user-event: deploy a second time"):
        watched.driver.perform(watched["n1"], "packet", ("n2", b""), [Deliver(event)])


def test_events_reach_everybody(watched):
    watched.user_event("n1", "deploy")
    with pytest.raises(Broken, match=r"events once everywhere: n\d never heard of event deploy of n1"):
        watched.watch_.at_end()
    watched.run(10)
    watched.watch_.at_end()


def test_clocks_never_go_back(watched):
    watched["n1"].engine.core.event_clock.time = 0
    breaks(watched, "clocks never go back")


def test_statuses_agree(watched):
    watched.crash("n3")
    watched.until(lambda: all(watched.sees(n, "n3") == "failed" for n in watched.running))
    watched.run(60)
    watched.watch_.at_end()
    members = watched["n2"].engine.core.members
    members.become(members.by_name[b"n3"], MemberStatus.LEFT)
    with pytest.raises(Broken, match="statuses agree: n1 sees n3 failed, n2 sees it left"):
        watched.watch_.at_end()


def test_intents_are_not_lost(watched):
    watched.leave("n3")
    watched.until(lambda: not watched["n3"].running)
    watched.run(30)
    watched.watch_.at_end()
    members = watched["n2"].engine.core.members
    members.become(members.by_name[b"n3"], MemberStatus.FAILED)
    with pytest.raises(Broken, match=r"intents are not lost: n\d heard that n3 left, n2 sees it failed"):
        watched.watch_.at_end()


def test_who_left_and_came_back_is_alive(watched):
    watched.leave("n3")
    watched.until(lambda: not watched["n3"].running)
    watched.restart("n3")
    watched.run(30)
    watched.watch_.at_end()


def test_metadata_is_the_newest(watched):
    watched.set_tags("n3", {"role": "web"})
    watched.run(30)
    watched.watch_.at_end()
    node_at(watched, "n1", "n3").meta = b"old"
    with pytest.raises(Broken, match="views converge: n1 knows old metadata of n3"):
        watched.watch_.at_end()


# -- bounds ------------------------------------------------------------------------------------


@pytest.mark.parametrize("nodes", [2, 5, 10, 100, 1000])
@pytest.mark.parametrize("accusers", [1, 2, 3, 9])
def test_the_shortest_suspicion_is_lifeguards(nodes, accusers):
    config = MemberlistConfig.lan()
    low, high = suspicion_timeouts(config.suspicion_mult, config.suspicion_max_timeout_mult, nodes, SECOND)
    wanted = 2 if nodes >= 4 else 0
    true = timeout_ns(min(accusers - 1, wanted), wanted, low, high) if wanted else low
    assert true * 0.99 - 2_000_000 <= shortest_suspicion_ns(config, nodes, accusers) <= true
    assert longest_suspicion_ns(config, nodes) >= high if wanted else low


def test_bounds_grow_with_the_cluster():
    config = Config.lan()
    for bound in (calm_down_ns, spread_ns, detection_ns):
        assert 0 < bound(config.memberlist, 5) < bound(config.memberlist, 500)
    assert convergence_ns(config, 5) < convergence_ns(config, 500)
