"""What is agreed on below Serf: protocol versions, encryption, compression, labels, and what old versions say."""

from __future__ import annotations

import re

import pytest

from serfcompat import JoinError, NodeState, RPCError
from serfcompat.wire.messages import Ack, Dead, Ping, PushPullNode
from serfcompat.wire.types import MessageType
from tests.interop.cases import LIMIT
from tests.interop.mixed import Mixed, await_members, await_state, failures, join, suspects, table
from tests.interop.test_events_and_queries import is_user_event

pytestmark = [pytest.mark.interop, pytest.mark.socket]
AES_128 = bytes(range(16))
VERSIONS = bytes((1, 5, 2, 2, 5, 4))
"What today's Serf agents advertise: memberlist's versions and Serf's."


def live_together(mixed, ours, go, other):
    """Join, gossip in both directions, probes in both directions, and leaves seen by both."""
    join(ours, go, other)
    assert table(ours) == table(go) == table(other)
    listener = mixed.listen(go)
    ours.serf.user_event("from-ours", b"x" * 200)
    assert listener.wait_for_user_event("from-ours", limit=LIMIT).payload == b"x" * 200
    go.client.user_event("from-go", b"y" * 200)
    assert ours.wait_for_event(is_user_event("from-go")).payload == b"y" * 200
    go.wait_until(lambda: go.client.coordinate("ours"), lambda found: found is not None, limit=LIMIT)
    ours.wait_until(lambda: ours.serf.cached_coordinate("go"), lambda found: found is not None)
    assert not failures(ours, go, other)
    assert other.leave() == 0
    await_members({"other": "left"}, ours, go)
    ours.serf.leave()
    ours.stop()
    await_members({"ours": "left"}, go)


@pytest.mark.statement("M-208")
def test_aes_128(case):
    with Mixed(case, key=AES_128) as mixed:
        live_together(mixed, mixed.ours("ours"), mixed.go("go"), mixed.go("other"))


@pytest.mark.statement("M-207", "M-208")
@pytest.mark.parametrize("protocol", [1, 2, 5])
def test_memberlist_protocols_plain_and_with_aes_128(case, protocol):
    """Join, gossip, probe, leave. Of upstream's HEAD there is no agent: `tests/vectors/test_head.py` has its bytes.

    Protocol 1 pads what it encrypts; agents take both forms, and have chosen the other one for themselves."""
    with Mixed(case, key=AES_128 if case.encrypted else None) as mixed:
        go, other = mixed.go("go"), mixed.go("other")
        ours = mixed.bare("ours", protocol_version=protocol)
        join(go, other)
        assert ours.memberlist.join([go.gossip]) == 1
        for agent in (go, other):
            members = agent.wait_for_members({"ours": "alive"}, limit=LIMIT)
            assert members["ours"].protocol_cur == protocol
        ours.wait_until(lambda: len(ours.memberlist.members()), lambda count: count == 3)

        if case.encrypted:
            with mixed.stranger() as stranger:
                ours.memberlist.send_to(stranger.address, b"a message", b"stranger")
                assert stranger.receive_datagram()[0] == (0 if protocol == 1 else 1)

        listener = mixed.listen(other)
        ours.tell(b"from-ours", b"payload")
        assert listener.wait_for_user_event("from-ours", limit=LIMIT).payload == b"payload"
        other.client.user_event("from-go", b"payload")
        ours.wait_until(lambda: ours.ears.events, lambda events: b"from-go" in [event.name for event in events])

        ours.wait_until(lambda: ours.ears.answered, lambda names: names >= {"go", "other"})
        go.wait_until(lambda: go.client.coordinate("ours"), lambda found: found is not None, limit=LIMIT)

        assert other.leave() == 0
        ours.wait_until(lambda: ours.ears.left.get("other"), lambda state: state == NodeState.LEFT)
        ours.memberlist.leave(LIMIT)
        with mixed.stranger() as observer:
            await_state(NodeState.LEFT, "ours", go, observer)


@pytest.mark.statement("M-209")
@pytest.mark.parametrize("silent", ["ours", "go", "both"])
def test_compression_off(case, silent):
    with Mixed(case) as mixed:
        flags = [] if silent == "ours" else ["-disable-compression"]
        ours = mixed.ours("ours", enable_compression=silent == "go")
        go, other = mixed.go("go", *flags), mixed.go("other", *flags)
        if not case.encrypted:
            with mixed.stranger() as stranger:
                for node in (ours, go):
                    off = silent == "both" or node.name == silent
                    first = stranger.first_byte_of_state(node.gossip)
                    assert first == (MessageType.PUSH_PULL if off else MessageType.COMPRESS)
        live_together(mixed, ours, go, other)


def test_a_label_keeps_clusters_apart(case):
    """Ours with a label live together as ever; a Go agent, which has none, gets in by neither way."""
    with Mixed(case) as mixed:
        one, two = (mixed.ours(name, label=b"blue") for name in ("one", "two"))
        wrong, go = mixed.ours("wrong", label=b"red"), mixed.go("go")
        join(one, two)
        two.serf.user_event("among-us", b"blue")
        assert one.wait_for_event(is_user_event("among-us")).payload == b"blue"
        one.wait_until(lambda: one.serf.cached_coordinate("two"), lambda found: found is not None)
        for outsider in (wrong, go):
            with pytest.raises(JoinError):
                one.serf.join([outsider.gossip])
        with pytest.raises(RPCError):
            go.client.join([one.gossip])
        with pytest.raises(JoinError):
            wrong.serf.join([one.gossip])
        assert set(one.members()) == set(two.members()) == {"one", "two"}
        assert set(go.members()) == {"go"}
        one.wait_for_log("another label than ours")


@pytest.mark.statement("M-211")
def test_our_leave_is_no_death(case):
    """As memberlist tells it, beside what Serf's intents say."""
    with Mixed(case) as mixed, mixed.stranger() as observer:
        go, serf, bare = mixed.go("go"), mixed.ours("serf"), mixed.bare("bare")
        join(go, serf)
        bare.memberlist.join([go.gossip])
        await_members({"bare": "alive"}, go, serf)
        bare.memberlist.leave(LIMIT)
        serf.serf.leave()
        for name in ("bare", "serf"):
            await_state(NodeState.LEFT, name, go, observer)
        await_members({"serf": "left"}, go)


@pytest.mark.statement("M-211")
def test_a_leave_of_old_versions_is_a_death(case):
    """Until v0.1.5 a leaving node didn't say that it itself had sent the message. Go takes it as ours does."""
    with Mixed(case) as mixed, mixed.stranger() as old:
        ours, go = mixed.ours("ours"), mixed.go("go")
        for node in (ours, go):
            for name, from_, state in ((b"old", b"", NodeState.DEAD), (b"new", b"new", NodeState.LEFT)):
                old.push_pull(node.gossip, [PushPullNode(name, old.ip, old.port, b"", 1, 0, VERSIONS)])
                await_state(NodeState.ALIVE, name.decode(), node, old)
                old.send(Dead(1, name, from_).encode(), node.gossip)
                await_state(state, name.decode(), node, old)
                assert not [line for line in node.log if re.search(suspects(name.decode()), line)]


@pytest.mark.statement("M-212")
def test_a_ping_that_names_no_source_is_answered_to_where_it_came_from(case):
    """Until v0.1.7 none did. Go answers as ours does."""
    with Mixed(case) as mixed, mixed.stranger() as old, mixed.stranger() as elsewhere:
        ours, go = mixed.ours("ours"), mixed.go("go")
        join(ours, go)
        for node in (ours, go):
            old.send(Ping(7, node.name.encode()).encode(), node.gossip)
            assert Ack.decode(old.receive(MessageType.ACK)).seq_no == 7
            old.send(Ping(8, b"", elsewhere.ip, elsewhere.port, b"elsewhere").encode(), node.gossip)
            assert Ack.decode(elsewhere.receive(MessageType.ACK)).seq_no == 8
            # For somebody else: not answered. The next ping's ack shows that it was passed over.
            old.send(Ping(9, b"somebody else").encode(), node.gossip)
            old.send(Ping(10, node.name.encode()).encode(), node.gossip)
            assert Ack.decode(old.receive(MessageType.ACK)).seq_no == 10
