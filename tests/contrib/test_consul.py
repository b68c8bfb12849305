"""Consul's members and events, decoded; what a look makes of a state; and why Consul would refuse."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serfcompat import EventType, UsageError, VisitError
from serfcompat.cli.consul_members import as_text, told
from serfcompat.contrib.consul import (
    ConsulEvent,
    ConsulMember,
    ConsulMemberEvent,
    ConsulServer,
    Kind,
    NewLeader,
    Observer,
    Pool,
)
from serfcompat.contrib.consul.admission import check_tags, observer_tags, refusal
from serfcompat.contrib.consul.events import pool_event
from serfcompat.contrib.consul.members import typed
from serfcompat.contrib.consul.pool import pool_of
from serfcompat.contrib.consul.watch import changes
from serfcompat.runtime.visit import Visited
from serfcompat.serf.events import UserEvent
from serfcompat.serf.member import Member, MemberStatus
from serfcompat.wire.address import Address
from serfcompat.wire.messages import PushPullNode
from serfcompat.wire.serf_messages import BufferedEvent, EventSlot, SerfPushPull, encode_tags
from serfcompat.wire.stream import PushPull

SERVER = {
    "role": "consul",
    "dc": "dc1",
    "segment": "",
    "id": "d46e7035-380a-faad-d7b8-519dc5f750f5",
    "build": "1.8.7:",
    "vsn": "2",
    "vsn_min": "2",
    "vsn_max": "3",
    "port": "8300",
    "bootstrap": "1",
    "raft_vsn": "3",
    "wan_join_port": "8302",
}
"As a server of Consul 1.8.7 tells."
CLIENT = {"role": "node", "dc": "dc1", "segment": "", "id": "0a1f22ed", "build": "1.8.7:", "vsn": "2"}
DEPLOY = b"\x84\xa2ID\xa2u1\xa1n\xa6deploy\xa1p\xa2v2\xa1v\x01"
"As `consul event -name=deploy v2` is gossiped: {ID, n, p, v}."


def member(name: str, status: MemberStatus = MemberStatus.ALIVE, host: str = "10.0.0.1", **tags: str) -> ConsulMember:
    ip = bytes(map(int, host.split(".")))
    return typed(Member(name, host, 8301, tags, status, 1, 5, 2, 2, 5, 4, addr_bytes=ip))


def pool(*members: ConsulMember, events: tuple[object, ...] = (), asked: str = "10.0.0.1:8301") -> Pool:
    return Pool(asked, members, events)


# -- members and events ----------------------------------------------------------------------------


def test_a_servers_tags():
    found = member("s1", **SERVER)
    assert (found.kind, found.build, found.vsn, found.vsn_min, found.vsn_max) == (Kind.SERVER, "1.8.7", 2, 2, 3)
    assert found.server == ConsulServer(8300, True, 0, 3, False, 8302)


@pytest.mark.parametrize(
    ("tags", "kind"),
    [
        ({}, Kind.UNKNOWN),
        ({"role": "web"}, Kind.UNKNOWN),
        ({"role": "consul", "dc": "dc1"}, Kind.UNKNOWN),
        ({"role": "consul", "dc": "dc1", "port": "-1"}, Kind.UNKNOWN),
        ({"role": "consul", "dc": "dc1", "port": "٣"}, Kind.UNKNOWN),
        ({"role": "consul", "dc": "dc1", "port": "9" * 400}, Kind.UNKNOWN),
        ({"role": "node"}, Kind.CLIENT),
        ({"role": "consul", "port": "8300"}, Kind.SERVER),
    ],
)
def test_the_type_is_what_consul_calls_it(tags, kind):
    assert member("m", **tags).kind is kind


@given(tags=st.dictionaries(st.sampled_from([*SERVER, "expect", "nonvoter"]), st.text(max_size=20)))
def test_any_tags_are_some_member(tags):
    found = member("m", **tags)
    assert (found.server is not None) == (found.kind is Kind.SERVER)
    assert as_text([found])


def test_a_consul_event_is_unpacked():
    event = pool_event(UserEvent(7, "consul:event:deploy", DEPLOY, False))
    assert event == ConsulEvent("u1", "deploy", b"v2", "", "", "", 1, 7)
    assert told(event) == "event deploy: b'v2'"


def test_other_events():
    assert pool_event(UserEvent(3, "consul:new-leader", b"s1", False)) == NewLeader("s1", 3)
    plain = UserEvent(4, "deploy", b"x", False)
    assert pool_event(plain) is plain


@given(payload=st.binary(max_size=64))
def test_any_payload_is_an_event_or_stays_as_it_came(payload):
    event = UserEvent(1, "consul:event:x", payload, False)
    found = pool_event(event)
    assert isinstance(found, ConsulEvent) or found is event


# -- a look ----------------------------------------------------------------------------------------


def node(name: bytes, state: int, tags: dict[str, str]) -> PushPullNode:
    meta = encode_tags({key.encode(): value.encode() for key, value in tags.items()})
    return PushPullNode(name, b"\x0a\x00\x00\x01", 8301, meta, 1, state, bytes((1, 5, 2, 2, 5, 4)))


def seen(*nodes: PushPullNode, known: tuple[bytes, ...], left: tuple[bytes, ...] = ()) -> Visited:
    slots = [
        None,
        EventSlot(5, [BufferedEvent(b"b", None)]),
        EventSlot(4, [BufferedEvent(b"consul:event:deploy", DEPLOY)]),
    ]
    state = SerfPushPull(9, dict.fromkeys(known, 1), list(left), 6, slots, 1).encode()
    return Visited(Address(b"\x0a\x00\x00\x01", 8301), PushPull(False, nodes, state))


def test_a_look_tells_serfs_list_and_memberlists_states():
    found = pool_of(
        seen(
            node(b"alive", 0, CLIENT),
            node(b"suspect", 1, CLIENT),
            node(b"dead", 2, CLIENT),
            node(b"forced", 2, CLIENT),
            node(b"gone", 3, CLIENT),
            node(b"pruned", 3, CLIENT),
            known=(b"alive", b"suspect", b"dead", b"forced", b"gone", b"long-gone", b"long-dead"),
            left=(b"gone", b"forced", b"long-gone"),
        )
    )
    assert {each.name: str(each.status) for each in found.members} == {
        "alive": "alive",
        "suspect": "alive",
        "dead": "failed",
        "forced": "left",
        "gone": "left",
        "long-gone": "left",
        "long-dead": "failed",
    }
    assert [each.address for each in found.members if each.name.startswith("long")] == ["", ""]
    assert [event.name for event in found.events] == ["deploy", "b"]
    assert (found.asked, found.datacenter, found.segment) == ("10.0.0.1:8301", "dc1", "")


@pytest.mark.parametrize("state", [None, b"", b"\x01", b"\x02", b"\x02\xc1", b"\x02\x81"])
def test_a_memberlist_without_serf_is_not_taken_for_consul(state):
    with pytest.raises(
        VisitError, match=r"10\.0\.0\.1:8301: (speaks memberlist, but not Serf|its Serf state cannot be read)"
    ):
        pool_of(Visited(Address(b"\x0a\x00\x00\x01", 8301), PushPull(False, [], state)))


def test_a_wan_pool_is_told_from_a_lan_pool():
    assert pool(member("s1.dc1", **SERVER), member("s2.dc2", **SERVER | {"dc": "dc2"})).is_wan
    assert not pool(member("s1", **SERVER)).is_wan
    assert not pool(member("s1.dc1", **SERVER), member("c1.dc1", **CLIENT)).is_wan
    assert not pool().is_wan


def test_what_happened_between_two_looks():
    event, other = NewLeader("s1", 1), NewLeader("s2", 2)
    a, b, c, d = (member(name, **CLIENT) for name in "abcd")
    failed = member("b", MemberStatus.FAILED, **CLIENT)
    moved = member("c", host="10.0.0.3", **CLIENT)
    e = member("e", **CLIENT)
    found = changes(pool(a, b, c, d, events=(event,)), pool(a, failed, moved, e, events=(event, other)))
    assert found == [
        ConsulMemberEvent(EventType.MEMBER_FAILED, (failed,)),
        ConsulMemberEvent(EventType.MEMBER_UPDATE, (moved,)),
        ConsulMemberEvent(EventType.MEMBER_JOIN, (e,)),
        ConsulMemberEvent(EventType.MEMBER_REAP, (d,)),
        other,
    ]


def test_forgetting_the_address_of_a_dead_member_is_no_change():
    dead = member("b", MemberStatus.FAILED, **CLIENT)
    only_a_name = typed(Member("b", "", 0, {}, MemberStatus.FAILED, 0, 0, 0, 0, 0, 0))
    assert changes(pool(dead), pool(only_a_name)) == []


# -- being taken -----------------------------------------------------------------------------------


def test_what_an_observer_tells_is_what_the_pool_takes():
    for segment in ("", "edge"):
        found = pool(member("s1", **SERVER | {"segment": segment}))
        tags = observer_tags(found, "0.1.0")
        assert tags["role"] == "node"
        assert tags.get("segment", "") == segment
        assert refusal("me", tags, found) is None


@pytest.mark.parametrize(
    ("name", "tags", "why"),
    [
        ("me", {"role": "node", "dc": "dc2"}, "is in datacenter 'dc1', not in 'dc2'"),
        ("me", {"role": "node"}, "not in ''"),
        ("me", {"segment": "x"}, "is in segment '', not in 'x'"),
        ("me", {"id": SERVER["id"]}, "is that of s1"),
        ("s1", {}, "choose another name"),
        ("me", {}, None),
        ("me", {"dc": "dc2"}, None),
        ("gone", {}, None),
    ],
)
def test_why_consul_would_refuse(name, tags, why):
    found = pool(member("s1", **SERVER), member("gone", MemberStatus.LEFT, host="10.0.0.9", **CLIENT))
    said = refusal(name, tags, found)
    assert said is None if why is None else why in said


def test_role_consul_is_never_sent():
    with pytest.raises(UsageError):
        check_tags({"role": "consul"})
    with pytest.raises(UsageError):
        Observer(["10.0.0.1"], tags={"role": "consul"})


def test_an_unknown_setting_of_an_observer_is_named():
    with pytest.raises(UsageError, match="probe_intervall"):
        Observer(["10.0.0.1"], probe_intervall=1)


# -- the command's arguments -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ([], "The address of a member is needed."),
        (["-format=xml", "10.0.0.1"], "Invalid format: xml"),
        (["-status=(", "10.0.0.1"], "-status is no regular expression"),
        (["-encrypt=???", "10.0.0.1"], "The key is no base64."),
        (["-encrypt=c2hvcnQ=", "10.0.0.1"], "The key must have 16, 24 or 32 bytes."),
        (["-keyring-file=/nowhere", "10.0.0.1"], "/nowhere"),
        (["127.0.0.1:1"], "Error retrieving members: no address answered: 127.0.0.1:1: connection refused"),
    ],
)
def test_wrong_arguments_are_explained(args, says):
    done = subprocess.run(
        [sys.executable, "-m", "serfcompat", "consul-members", *args], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert says in done.stdout
    assert "c2hvcnQ" not in done.stdout
