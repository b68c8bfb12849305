"""Full state exchange: what is told, what is merged, and who is refused (spec memberlist §2.6, §6.8, §6.12, §6.13)."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serfcompat.errors import MergeRefused
from serfcompat.swim.effects import SetTimer, StartPushPull
from serfcompat.swim.events import NodeJoined, NodeLeft, NodeState, NodeUpdated, RemoteStateReceived
from serfcompat.swim.hooks import Hooks
from serfcompat.swim.pushpull import scaled_interval
from serfcompat.wire.address import Address
from serfcompat.wire.messages import PushPullNode
from tests.swim.harness import (
    ELSEWHERE,
    HERE,
    QUIET,
    SECOND,
    THERE,
    VSN,
    Node,
    address_of,
    alive,
    dead,
    events,
    of,
    quiet,
    read_push_pull,
    suspect,
)

ALIVE, SUSPECT, DEAD, LEFT = NodeState


def entry(name: str, state: int = 0, incarnation: int = 1, address=THERE, *, meta=None, vsn=VSN) -> PushPullNode:
    return PushPullNode(name.encode(), address.ip, address.port, meta, incarnation, state, vsn)


# -- when and with whom -----------------------------------------------------------------------


@pytest.mark.statement("M-174")
@pytest.mark.parametrize(
    ("nodes", "times"), [(0, 1), (1, 1), (32, 1), (33, 2), (64, 2), (65, 3), (128, 3), (129, 4), (256, 4), (257, 5)]
)
def test_larger_clusters_exchange_less_often(nodes, times):
    assert scaled_interval(30 * SECOND, nodes) == times * 30 * SECOND


@pytest.mark.statement("M-174")
def test_the_next_exchange_is_set_by_the_size_of_now():
    me = Node()
    assert 30 * SECOND <= me.timers["push-pull",] < 60 * SECOND  # a stagger, and one interval
    me.timer("push-pull")
    assert me.timers["push-pull",] == me.now_ns + 30 * SECOND
    me.knows_many(32)
    me.timer("push-pull")
    assert me.timers["push-pull",] == me.now_ns + 60 * SECOND


@pytest.mark.statement("M-175")
def test_an_exchange_is_with_one_alive_peer_and_no_join():
    for seed in range(20):
        me = Node(seed=seed)
        for name, state in zip("abcd", NodeState, strict=True):
            me.knows(name, address_of(state), state=state)
        assert of(StartPushPull, me.timer("push-pull")) == [StartPushPull(address_of(0), b"a", join=False)]


@pytest.mark.statement("M-175")
def test_alone_there_is_nobody_to_exchange_with():
    me = Node()
    assert me.timer("push-pull") == [SetTimer(("push-pull",), me.now_ns + 30 * SECOND)]


# -- what we tell -----------------------------------------------------------------------------


@pytest.mark.statement("M-064")
def test_local_state_has_every_node_in_any_state_with_its_versions():
    me = quiet()
    for name, state in zip("abcd", NodeState, strict=True):
        me.knows(name, address_of(state), state=state, incarnation=7, meta=b"m")
    told = read_push_pull(me.engine.local_state(False)).nodes
    assert list(told) == [
        entry("me", address=HERE),
        *(entry(name, state, 7, address_of(state), meta=b"m") for name, state in zip("abcd", NodeState, strict=True)),
    ]


def test_a_node_whose_versions_are_unknown_is_not_told():
    """Six zero bytes would make the other side refuse the whole exchange (defect B-15)."""
    me = quiet()
    me.hear(alive("x", vsn=None))
    assert [node.name for node in read_push_pull(me.engine.local_state(False)).nodes] == [b"me"]


@pytest.mark.parametrize("join", [True, False])
@pytest.mark.parametrize(("state", "told"), [(b"state", b"state"), (None, None), (b"", None)])
def test_local_state_carries_the_users(join, state, told):
    asked = []
    me = quiet(hooks=Hooks(local_state=lambda join: asked.append(join) or state))
    message = read_push_pull(me.engine.local_state(join))
    assert (message.join, message.user_state, asked) == (join, told, [join])


@pytest.mark.statement("M-205")
def test_local_state_publishes_how_many_nodes_are_in_each_state():
    me = quiet()
    for name, state in zip("abcde", [ALIVE, SUSPECT, DEAD, DEAD, ALIVE], strict=True):
        me.knows(name, state=state)
    size = len(me.engine.local_state(False))
    gauges = me.metrics.gauges
    counts = {state: gauges[f'memberlist.node.instances{{node_state="{state}"}}'] for state in ("alive", "suspect")}
    assert counts == {"alive": 3, "suspect": 1}
    assert gauges['memberlist.node.instances{node_state="dead"}'] == 2
    assert gauges['memberlist.node.instances{node_state="left"}'] == 0
    assert gauges["memberlist.size.local"] == size


# -- what we merge ----------------------------------------------------------------------------


@pytest.mark.statement("M-176")
def test_an_alive_entry_is_an_alive_claim():
    me = quiet()
    (joined,) = events(me.merge(entry("x", ALIVE, 3, meta=b"m")))
    assert isinstance(joined, NodeJoined)
    assert me.gossip() == [alive("x", 3, meta=b"m")]


@pytest.mark.statement("M-176")
def test_a_left_entry_is_a_leave():
    me = quiet()
    me.knows("x")
    (left,) = events(me.merge(entry("x", LEFT, 3)))
    assert isinstance(left, NodeLeft)
    assert me.state("x") is LEFT
    assert me.gossip() == [dead("x", 3, by="x")]


@pytest.mark.statement("M-176")
@pytest.mark.parametrize("state", [DEAD, SUSPECT])
def test_a_dead_or_suspect_entry_is_a_suspicion_of_ours(state):
    me = quiet()
    me.knows("x")
    assert events(me.merge(entry("x", state, 3))) == []
    assert me.state("x") is SUSPECT
    assert me.gossip() == [suspect("x", 3, by="me")]


@pytest.mark.statement("M-176")
@pytest.mark.parametrize("state", [4, 255, -1])
def test_a_state_from_the_future_is_ignored(state):
    me = quiet()
    me.knows("x")
    assert me.merge(entry("x", state, 9), entry("y", state)) == []
    assert (me.state("x"), me.state("y")) == (ALIVE, None)


@pytest.mark.statement("M-130", "M-139", "M-140")
@pytest.mark.parametrize("state", NodeState)
def test_what_is_remembered_of_our_last_life_is_refuted(state):
    me = quiet()
    assert events(me.merge(entry("me", state, 5, HERE, meta=b"old"))) == []
    assert me.gossip() == [alive("me", 6, HERE)]


@pytest.mark.statement("M-068")
@pytest.mark.parametrize(("protocol", "port", "stored"), [(2, 9000, 9000), (2, 0, 7946), (1, 9000, 7946)])
def test_before_protocol_2_and_for_port_0_every_node_listens_where_we_do(protocol, port, stored):
    me = quiet(protocol_version=protocol)
    me.merge(PushPullNode(b"x", THERE.ip, port, None, 1, 0, VSN))
    assert me.node("x").port == stored


@pytest.mark.statement("M-067")
def test_the_users_state_comes_last_and_only_if_there_is_some():
    me = quiet()
    heard = events(me.merge(entry("x"), user_state=b"state", join=True))
    assert [type(event) for event in heard] == [NodeJoined, RemoteStateReceived]
    assert heard[-1] == RemoteStateReceived(b"state", True)
    assert events(me.merge(user_state=None)) == []


@pytest.mark.statement("M-177")
@pytest.mark.parametrize("join", [True, False])
def test_the_merge_hook_is_asked_for_joins_only_and_before_anything_is_merged(join):
    seen = []

    def hook(nodes):
        seen.append([(node.name, node.state, node.incarnation, node.vsn) for node in nodes])
        assert me.state("x") is None

    me = quiet(hooks=Hooks(merge=hook))
    me.merge(entry("x", incarnation=2), entry("y", DEAD), join=join)
    assert seen == ([[(b"x", ALIVE, 2, VSN), (b"y", DEAD, 1, VSN)]] if join else [])
    assert me.state("x") is ALIVE


@pytest.mark.statement("M-177")
def test_the_merge_hook_may_refuse_everything():
    me = quiet(hooks=Hooks(merge=lambda _nodes: "not you"))
    with pytest.raises(MergeRefused, match="not you"):
        me.merge(entry("x"), user_state=b"state", join=True)
    assert me.state("x") is None
    assert me.effects == []


def test_an_entry_too_large_to_keep_is_skipped():
    me = quiet()
    me.merge(entry("x", meta=b"m" * 9000), entry("y"))
    assert (me.state("x"), me.state("y")) == (None, ALIVE)
    assert me.count("serfcompat.drop.claim_too_large") == 1


# -- who may merge ----------------------------------------------------------------------------


def versions(least: int, most: int, spoken: int, *, delegate: bool = False) -> bytes:
    return bytes((1, 5, 2, least, most, spoken) if delegate else (least, most, spoken, 0, 0, 0))


@pytest.mark.statement("M-178")
@pytest.mark.parametrize("delegate", [False, True])
@pytest.mark.parametrize(
    ("local", "remote", "fits"),
    [
        ([(0, 0, 0)], [(0, 1, 0)], True),
        ([(0, 0, 0)], [(1, 1, 1)], False),
        ([(0, 1, 0), (0, 2, 1)], [(1, 3, 1)], False),
        ([(0, 3, 2), (0, 2, 0)], [(0, 2, 1), (0, 5, 0)], True),
    ],
)
def test_the_examples_of_appendix_c(local, remote, fits, delegate):
    me = Node(**QUIET)
    me.table.ring.clear()
    for number, triple in enumerate(local):
        me.knows(f"l{number}", vsn=versions(*triple, delegate=delegate))
    nodes = [entry(f"r{n}", vsn=versions(*triple, delegate=delegate)) for n, triple in enumerate(remote)]
    if fits:
        me.merge(*nodes)
    else:
        with pytest.raises(MergeRefused):
            me.merge(*nodes)


@pytest.mark.statement("M-178")
@pytest.mark.parametrize("state", [SUSPECT, DEAD, LEFT])
def test_who_is_not_alive_is_checked_but_does_not_vote(state):
    me = quiet()
    me.merge(entry("x", state, vsn=versions(1, 1, 1)))  # would vote for 1 only; our 2 still fits
    with pytest.raises(MergeRefused, match="remote node 'y' speaks protocol version 6"):
        me.merge(entry("y", state, vsn=versions(1, 6, 6)))


@pytest.mark.statement("M-178")
def test_our_own_nodes_are_checked_too():
    me = quiet()
    me.knows("old", state=DEAD, vsn=versions(1, 2, 1))
    with pytest.raises(MergeRefused, match="local node 'old' speaks protocol version 1"):
        me.merge(entry("x", vsn=versions(2, 5, 2)))
    assert me.state("x") is None


@pytest.mark.statement("M-178")
@pytest.mark.parametrize(("state", "fits"), [(ALIVE, False), (SUSPECT, True), (DEAD, True), (LEFT, True)])
def test_of_our_own_nodes_too_only_the_alive_vote(state, fits):
    me = quiet()
    me.knows("old", state=state, vsn=versions(1, 1, 1))
    if fits:
        me.merge(entry("x"))
    else:
        with pytest.raises(MergeRefused, match=r"remote node 'x' speaks protocol version 2, .* \[1, 1\]"):
            me.merge(entry("x"))
    assert (me.state("x") is ALIVE) == fits


@pytest.mark.statement("M-178")
def test_a_refusal_names_the_first_that_does_not_fit():
    me = quiet()
    with pytest.raises(MergeRefused, match=r"remote node 'y' speaks delegate version 3, .* \[0, 0\]"):
        me.merge(entry("x"), entry("y", vsn=bytes((1, 5, 2, 0, 9, 3))), entry("z", vsn=bytes((1, 5, 2, 0, 9, 4))))


@pytest.mark.statement("M-179")
@pytest.mark.parametrize("vsn", [None, b"", VSN[:5]])
@pytest.mark.parametrize("state", NodeState)
def test_an_entry_without_versions_makes_the_merge_fail(vsn, state):
    me = quiet()
    with pytest.raises(MergeRefused, match="remote node 'x' speaks protocol version 0"):
        me.merge(entry("x", state, vsn=vsn))


@pytest.mark.statement("M-178")
def test_five_bytes_of_versions_are_enough_to_vote():
    me = quiet()
    me.knows("local", vsn=bytes((1, 5, 5, 0, 0, 0)))
    with pytest.raises(MergeRefused, match=r"remote node 'x' speaks protocol version 0"):
        me.merge(entry("x", vsn=bytes((1, 1, 1, 0, 0))))
    with pytest.raises(MergeRefused, match=r"only \[1, 1\]"):
        me.merge(entry("y", vsn=VSN), entry("x", vsn=bytes((1, 1, 1, 0, 0))))


# -- laws -------------------------------------------------------------------------------------


def entries_of(*states: NodeState) -> st.SearchStrategy[list[PushPullNode]]:
    return st.lists(
        st.builds(
            lambda name, state, incarnation, meta: entry(name, state, incarnation, meta=meta),
            st.sampled_from("xyz"),
            st.sampled_from(states),
            st.integers(1, 4),
            st.sampled_from([None, b"m"]),
        ),
        max_size=6,
    )


def outcome(me: Node) -> set[tuple]:
    return {(node.name, node.state, node.incarnation) for node in me.table.ring}


@pytest.mark.property
@pytest.mark.statement("M-117", "M-142", "M-176")
@given(entries_of(*NodeState))
@settings(max_examples=100)
def test_merging_the_same_again_changes_nothing(entries):
    me = quiet()
    me.merge(*entries)
    before = outcome(me)
    me.table.broadcasts.reset()
    # Accusations may move on what another entry has said since; so let it settle once.
    me.merge(*entries)
    settled = outcome(me)
    me.table.broadcasts.reset()
    assert of(NodeJoined, events(me.merge(*entries))) == []
    assert outcome(me) == settled
    assert {name for name, *_ in before} == {name for name, *_ in settled}
    assert me.gossip() == []


def told_in_two_orders(entries: list[PushPullNode], seed: int) -> list[Node]:
    entries = [entry(name) for name in "xyz"] + entries
    nodes = []
    for order in (entries, random.Random(seed).sample(entries, len(entries))):
        nodes.append(quiet())
        for _ in range(3):
            nodes[-1].merge(*order)
    return nodes


@pytest.mark.property
@pytest.mark.statement("M-117", "M-176")
@given(entries_of(ALIVE, SUSPECT), st.integers(0, 2**32))
@settings(max_examples=80)
def test_once_all_is_told_the_order_of_telling_does_not_matter(entries, seed):
    """The higher incarnation wins; at the same one suspect beats alive."""
    one, other = told_in_two_orders(entries, seed)
    assert outcome(one) == outcome(other)


@pytest.mark.property
@given(entries_of(*NodeState), st.integers(0, 2**32))
@settings(max_examples=80)
def test_whatever_is_told_in_whatever_order_the_highest_incarnation_is_remembered(entries, seed):
    """Upstream forgets it if the node was accused already, see `claims._heard_of`."""
    for me in told_in_two_orders(entries, seed):
        for name in (b"x", b"y", b"z"):
            assert me.table.nodes[name].incarnation == max([1, *(e.incarnation for e in entries if e.name == name)])


@pytest.mark.statement("M-117", "M-122")
@pytest.mark.parametrize("address", [THERE, ELSEWHERE, Address(THERE.ip, 7947)])
@pytest.mark.parametrize(("known", "told"), [(1, 1), (1, 2), (2, 1)])
@pytest.mark.parametrize("state", NodeState)
def test_the_short_cut_for_old_news_changes_nothing(known, told, address, state):
    """What `merge` skips, `on_alive` would have ignored."""
    plain, asked = quiet(), quiet(hooks=Hooks(alive=lambda _node: None))  # a hook: no short cut
    results = []
    for me in (plain, asked):
        me.knows("x", incarnation=known, state=state)
        results.append((events(me.merge(entry("x", ALIVE, told, address, meta=b"m"))), outcome(me), me.gossip()))
    assert results[0] == results[1]


@pytest.mark.statement("M-120")
def test_the_alive_hook_is_asked_about_old_news_too():
    asked = []
    me = quiet(hooks=Hooks(alive=lambda node: asked.append(node.name)))
    me.knows("x")
    me.merge(entry("x"))
    assert asked == [b"me", b"x"]


@pytest.mark.statement("M-130")
def test_other_words_in_our_name_at_our_own_incarnation_are_refuted():
    me = quiet()
    me.merge(entry("me", address=HERE, meta=b"other"))
    assert me.gossip() == [alive("me", 2, HERE)]


def test_a_meta_change_at_a_newer_incarnation_is_an_update():
    me = quiet()
    me.knows("x")
    (updated,) = events(me.merge(entry("x", ALIVE, 2, meta=b"new")))
    assert isinstance(updated, NodeUpdated)
