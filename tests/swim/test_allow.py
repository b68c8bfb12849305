"""CIDR allow lists (spec memberlist §6.17)."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serfcompat.errors import UsageError
from serfcompat.swim.allow import AllowList
from serfcompat.swim.events import MessageReceived, NodeState
from serfcompat.swim.hooks import Hooks
from serfcompat.wire.address import Address
from serfcompat.wire.messages import Ack, Ping, PushPullNode
from tests.swim.harness import ELSEWHERE, QUIET, THERE, VSN, Node, alive, dead, events, suspect

ONE, TWO = bytes((10, 0, 0, 1)), bytes((192, 168, 0, 1))
MAPPED = b"\0" * 10 + b"\xff\xff"
V6 = ipaddress.IPv6Address("fd00::1").packed


@pytest.mark.statement("M-202")
@pytest.mark.parametrize("cidrs", [(), []])
def test_an_empty_list_allows_everything(cidrs):
    for ip in (ONE, TWO, V6, MAPPED + ONE, b"", b"odd"):
        assert AllowList(cidrs).allows(ip)
    assert not AllowList(cidrs)


@pytest.mark.statement("M-203")
def test_an_ipv4_network_matches_both_forms_of_an_ipv4_address():
    ten = AllowList(["10.0.0.0/8"])
    assert ten.allows(ONE)
    assert ten.allows(MAPPED + ONE)
    assert not ten.allows(TWO)
    assert not ten.allows(MAPPED + TWO)


@pytest.mark.statement("M-203")
def test_families_do_not_mix():
    assert not AllowList(["0.0.0.0/0"]).allows(V6)
    assert not AllowList(["::/0"]).allows(ONE)
    assert not AllowList(["::/0"]).allows(MAPPED + ONE)
    assert AllowList(["::/0"]).allows(V6)
    assert AllowList(["::/0", "0.0.0.0/0"]).allows(ONE)


def test_a_mapped_network_is_the_ipv4_network():
    assert AllowList(["::ffff:10.0.0.0/104"]).allows(ONE)
    assert not AllowList(["::ffff:10.0.0.0/104"]).allows(TWO)
    assert AllowList(["::ffff:10.0.0.0/90"]).allows(V6) is False


def test_host_bits_and_spaces_do_not_matter():
    assert AllowList([" 10.9.9.9/8 "]).allows(ONE)


@pytest.mark.parametrize("odd", [b"", b"\x0a", ONE[:3], ONE + b"\0", V6[:15], V6 + b"\0"])
def test_what_is_no_address_is_not_allowed(odd):
    assert not AllowList(["0.0.0.0/0", "::/0"]).allows(odd)


@pytest.mark.parametrize(
    "bad",
    ["", "10.0.0.1", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/255.0.0.0", "10.0.0.0/-8", "::/129", "fe80::1%e/64", "x/8"],
)
def test_every_bad_network_is_named(bad):
    with pytest.raises(UsageError) as raised:
        AllowList(["10.0.0.0/8", bad, "nonsense"])
    assert repr(bad) in str(raised.value)
    assert "'nonsense'" in str(raised.value)
    assert "10.0.0.0/8'" not in str(raised.value)


@pytest.mark.property
@pytest.mark.statement("M-203")
@given(st.ip_addresses(v=4), st.ip_addresses(v=4), st.integers(0, 32))
def test_agrees_with_the_standard_library(ip, base, bits):
    network = ipaddress.ip_network((str(base), bits), strict=False)
    assert AllowList([str(network)]).allows(ip.packed) == (ip in network)


def guarded(**config) -> Node:
    return Node(cidrs_allowed=["10.0.0.0/24"], **QUIET, **config)


OUTSIDE = Address(bytes((172, 16, 0, 1)), 7946)


@pytest.mark.statement("M-204")
def test_an_alive_packet_from_outside_is_dropped():
    me = guarded()
    me.hear(alive("x"), source=OUTSIDE)
    assert me.state("x") is None
    assert me.count("serfcompat.drop.cidr") == 1
    me.hear(alive("x"), source=ELSEWHERE)
    assert me.state("x") is NodeState.ALIVE


@pytest.mark.statement("M-204")
def test_other_packets_from_outside_are_not_filtered():
    me = guarded()
    me.knows("x")
    me.knows("y")
    effects = me.hear(Ping(1, b"me"), suspect("x"), dead("y"), b"\x08hello", source=OUTSIDE)
    assert MessageReceived(b"hello") in events(effects)
    assert me.state("x") is NodeState.SUSPECT
    assert me.state("y") is NodeState.DEAD
    assert any(isinstance(message, Ack) for packet in me.sent(effects) for message in packet)


@pytest.mark.statement("M-125", "M-204")
def test_an_alive_packet_for_an_address_outside_is_dropped():
    me = guarded()
    me.hear(alive("x", address=OUTSIDE))
    assert me.state("x") is None
    assert me.count("serfcompat.drop.cidr") == 1


@pytest.mark.statement("M-204")
def test_the_alive_hook_is_not_asked_about_such_a_packet():
    asked = []
    me = guarded(hooks=Hooks(alive=lambda node: asked.append(node.name)))
    me.hear(alive("x", address=OUTSIDE))
    assert asked == [b"me"]


@pytest.mark.statement("M-125")
def test_a_push_pull_brings_no_address_from_outside():
    me = guarded()
    me.merge(PushPullNode(b"x", OUTSIDE.ip, OUTSIDE.port, None, 1, 0, VSN))
    assert me.state("x") is None
    assert me.count("serfcompat.drop.cidr") == 1


@pytest.mark.statement("M-125")
def test_a_node_that_left_does_not_return_with_an_address_from_outside():
    me = guarded()
    node = me.knows("x", state=NodeState.LEFT)
    me.merge(PushPullNode(b"x", OUTSIDE.ip, OUTSIDE.port, None, 9, 0, VSN))
    assert (node.state, node.address) == (NodeState.LEFT, THERE)


@pytest.mark.statement("M-125")
def test_no_address_at_all_is_not_allowed():
    me = guarded()
    me.merge(PushPullNode(b"x", None, 7946, None, 1, 0, VSN))
    assert me.state("x") is None
