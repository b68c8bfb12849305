"""How Go agents and our nodes find out that a member is gone, or only seems to be."""

from __future__ import annotations

import re

import pytest

from serfcompat import NodeState
from serfcompat.wire.messages import Ack, Alive, IndirectPing, Nack, Ping, PushPullNode, Suspect
from serfcompat.wire.types import MessageType
from tests.interop.cases import LIMIT
from tests.interop.mixed import REFUTES, Mixed, await_members, await_state, failures, join, suspects, table
from tests.interop.test_membership import is_about

pytestmark = [pytest.mark.interop, pytest.mark.socket]


def test_a_killed_go_agent_is_failed_for_all(case):
    with Mixed(case) as mixed:
        ours, go, victim = mixed.ours("ours"), mixed.go("go"), mixed.go("victim")
        join(ours, go, victim)
        victim.kill()
        await_members({"victim": "failed"}, ours, go)
        ours.wait_for_event(is_about("member-failed", "victim"))


def test_our_node_that_ends_without_a_word_is_failed_for_all(case):
    with Mixed(case) as mixed:
        ours, go, victim = mixed.ours("ours"), mixed.go("go"), mixed.ours("victim")
        join(ours, go, victim)
        victim.stop()
        await_members({"victim": "failed"}, ours, go)
        go.wait_for_log("EventMemberFailed: victim", limit=LIMIT)


def test_two_alone_need_nobody_else_to_tell(case):
    with Mixed(case) as mixed:
        ours, go = mixed.ours("ours"), mixed.go("go")
        join(ours, go)
        go.kill()
        await_members({"go": "failed"}, ours)


def test_one_that_stands_still_for_a_moment_refutes(case):
    """Whoever suspects it first, both kinds do then, and both believe that it lives."""
    with Mixed(case, profile="lan") as mixed, mixed.stranger() as observer:
        ours, go, still = mixed.ours("ours"), mixed.go("go"), mixed.go("still")
        join(ours, go, still)
        still.pause()
        try:
            for node in (ours, go):
                await_state(NodeState.SUSPECT, "still", node, observer)
        finally:
            still.resume()
        still.wait_for_log(REFUTES, limit=LIMIT)
        for node in (ours, go):
            await_state(NodeState.ALIVE, "still", node, observer)
        assert not failures(ours, go)


def test_we_refute_what_is_said_at_a_go_agent(case):
    with Mixed(case) as mixed, mixed.stranger() as liar:
        ours, go = mixed.ours("ours"), mixed.go("go")
        join(ours, go)
        before = incarnation(liar, "ours", go)
        liar.send(Suspect(before, node=b"ours", from_=b"liar").encode(), go.gossip)
        ours.wait_for_log(REFUTES)
        go.wait_until(lambda: incarnation(liar, "ours", go), lambda now: now > before, limit=LIMIT)
        assert liar.state_of("ours", go.gossip) == NodeState.ALIVE
        assert not failures(ours, go)


def test_go_refutes_what_is_said_at_ours(case):
    with Mixed(case) as mixed, mixed.stranger() as liar:
        ours, go = mixed.ours("ours"), mixed.go("go")
        join(ours, go)
        before = incarnation(liar, "go", ours)
        liar.send(Suspect(before, node=b"go", from_=b"liar").encode(), ours.gossip)
        go.wait_for_log(REFUTES, limit=LIMIT)
        ours.wait_until(lambda: incarnation(liar, "go", ours), lambda now: now > before)
        assert liar.state_of("go", ours.gossip) == NodeState.ALIVE
        assert not failures(ours, go)


def incarnation(stranger, name, at):
    return next(node.incarnation for node in stranger.push_pull(at.gossip).nodes if node.name == name.encode())


def test_we_ping_for_a_go_agent(case):
    with Mixed(case) as mixed:
        check_relays(mixed, mixed.go("prober"), [mixed.ours(name) for name in RELAYS])


def test_go_pings_for_us(case):
    with Mixed(case) as mixed:
        check_relays(mixed, mixed.ours("prober"), [mixed.go(name) for name in RELAYS])


RELAYS = ("relay1", "relay2", "relay3")
"Enough that one is always drawn."


def check_relays(mixed, prober, relays):
    """A member answers only the relays' pings; they pass that on, and so three probes end without suspicion.

    A relay that the machine lets wait for half a second passes it on too late; such a probe proves nothing, and the
    member refutes.
    """
    with mixed.stranger() as half_deaf:
        join(prober, *relays)
        vsn, life, suspected = bytes((1, 5, 2, 2, 5, 4)), 1, 0
        me = PushPullNode(b"half-deaf", half_deaf.ip, half_deaf.port, b"", life, 0, vsn)
        half_deaf.push_pull(prober.gossip, [me])
        # Nobody else need know it; those who do must not find it dead meanwhile.
        where = {relay.name.encode(): relay.gossip for relay in relays}
        good = -1  # with the second ping, the first probe has ended
        for _ in range(12):
            while (ping := Ping.decode(half_deaf.receive(MessageType.PING))).source_node in where:
                half_deaf.send(Ack(ping.seq_no, None).encode(), where[ping.source_node])
            before, suspected = suspected, len(re.findall(suspects("half-deaf"), "\n".join(prober.log)))
            if suspected == before:
                good += 1
            else:
                life += 1
                half_deaf.send(Alive(life, me.name, me.addr, me.port, b"", vsn).encode(), prober.gossip)
            if good == 3:
                break
        assert good == 3, f"{suspected} suspicions"
        await_state(NodeState.ALIVE, "half-deaf", prober, half_deaf)


def test_both_answer_an_indirect_ping_alike(case):
    with Mixed(case) as mixed, mixed.stranger() as asker, mixed.stranger() as dumb:
        ours, go = mixed.ours("ours"), mixed.go("go")
        join(ours, go)
        for relay, target in ((ours, go), (go, ours)):
            where = [int(part) for part in target.host.split(".")]
            good = IndirectPing(7, bytes(where), 7946, target.name.encode(), nack=True)
            asker.send(good.encode(), relay.gossip)
            # The target's payload, its coordinate, isn't passed on.
            assert Ack.decode(asker.receive(MessageType.ACK)) == Ack(7, None)
            bad = IndirectPing(8, dumb.ip, dumb.port, b"dumb", nack=True)
            asker.send(bad.encode(), relay.gossip)
            assert Nack.decode(asker.receive(MessageType.NACK)) == Nack(8)


def test_we_force_a_failed_go_agent_out(case):
    with Mixed(case, profile="lan") as mixed:
        ours, go, victim = mixed.ours("ours"), mixed.go("go"), mixed.go("victim")
        join(ours, go, victim)
        victim.kill()
        await_members({"victim": "failed"}, ours, go)
        ours.serf.remove_failed_node("victim")
        await_members({"victim": "left"}, ours, go)
        ours.serf.remove_failed_node("victim", prune=True)
        check_gone(ours, go)


def test_go_forces_a_failed_node_of_ours_out(case):
    with Mixed(case, profile="lan") as mixed:
        ours, go, victim = mixed.ours("ours"), mixed.go("go"), mixed.ours("victim")
        join(ours, go, victim)
        victim.stop()
        await_members({"victim": "failed"}, ours, go)
        go.client.force_leave("victim")
        await_members({"victim": "left"}, ours, go)
        go.client.force_leave("victim", prune=True)
        check_gone(ours, go)


def test_who_left_is_forgotten_also_by_those_who_talked_about_it(case):
    """Each push/pull dates its leave one later, and then a prune that is one later as well is old news to them."""
    with Mixed(case, profile="lan") as mixed:
        victim, one, two = mixed.ours("victim"), mixed.go("one"), mixed.go("two")
        join(victim, one, two)
        victim.serf.leave()
        await_members({"victim": "left"}, one, two)
        one.client.join([two.gossip])
        victim.serf.remove_failed_node("victim", prune=True)
        check_gone(one, two)


# With the local profile an intent is sent twice, and both may go to the dead one, which is gossiped to for a while.


def check_gone(*nodes):
    for node in nodes:
        node.wait_until(node.members, lambda members: "victim" not in members, limit=LIMIT)
    assert table(nodes[0]) == table(nodes[1])


def test_one_that_is_forced_out_alive_refutes(case):
    with Mixed(case) as mixed:
        ours, go, witness = mixed.ours("ours"), mixed.go("go"), mixed.go("witness")
        join(ours, go, witness)
        ours.serf.remove_failed_node("go")
        go.wait_for_log("Refuting an older leave intent", limit=LIMIT)
        go.client.force_leave("ours")
        ours.wait_for_log("Refuting an older leave intent")
        await_members({"ours": "alive", "go": "alive"}, ours, go, witness)
