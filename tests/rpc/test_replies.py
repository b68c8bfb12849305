"""Bodies of replies against what a Go agent sent."""

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serfcompat.errors import WireError
from serfcompat.rpc import codec, replies
from serfcompat.serf.member import Member, MemberStatus
from tests.rpc.exchanges import EXCHANGES


@pytest.mark.statement("A-216")
def test_members_are_maps_of_eleven_keys():
    reply = EXCHANGES["members ok"]
    decoded = replies.MembersReply.decode(reply.objects[1])
    assert decoded.encode() == reply.replies[1]
    (member,) = decoded.members
    assert (member.name, member.address, member.status) == ("n1", "127.0.0.81:27946", MemberStatus.ALIVE)
    assert (member.protocol_cur, member.delegate_cur, member.tags) == (2, 5, {"role": "lb"})
    assert len(replies.member_fields(member)) == 11


@pytest.mark.parametrize(
    ("exchange", "reply"),
    [
        ("members-filtered none", replies.MembersReply),
        ("join ok", replies.JoinReply),
        ("join error", replies.JoinReply),
        ("get-coordinate ok", replies.CoordinateReply),
        ("get-coordinate unknown", replies.CoordinateReply),
        ("list-keys ok", replies.KeyReply),
        ("list-keys error (no encryption)", replies.KeyReply),
        ("remove-key primary", replies.KeyReply),
        ("install-key bad base64", replies.KeyReply),
        ("stats", replies.StatsReply),
    ],
)
def test_reply_encodes_to_the_bytes_go_sent(exchange, reply):
    recorded = EXCHANGES[exchange]
    assert reply.decode(recorded.objects[1]).encode() == recorded.replies[1]


@pytest.mark.statement("A-214")
def test_a_failed_join_still_has_a_count():
    header, body = EXCHANGES["join error"].objects
    assert header["Error"].startswith("1 error occurred:\n\t* Failed to join")
    assert replies.JoinReply.decode(body) == replies.JoinReply(0)


@pytest.mark.parametrize("addr", [b"\x7f\0\0\x01", b"\0" * 10 + b"\xff\xff\x7f\0\0\x01", None, b""])
def test_addresses_of_every_length_are_shown(addr):
    member = replies.member_of({"Name": "a", "Addr": addr, "Port": 7946})
    assert member.address == ("127.0.0.1:7946" if addr else ":7946")


def test_a_status_from_the_future_becomes_none():
    assert replies.member_of({"Status": "dreaming"}).status is MemberStatus.NONE


@pytest.mark.parametrize("body", [{"Members": ("x",)}, {"Members": {"a": 1}}, 5, {"Members": ({"Port": 70000},)}])
def test_broken_members_are_wire_errors(body):
    with pytest.raises(WireError):
        replies.MembersReply.decode(body)


@pytest.mark.parametrize("body", [{"a": {"b": b"c"}}, {"a": {b"b": "c"}}, {b"a": {"b": "c"}}])
def test_statistics_are_text_however_they_came(body):
    assert replies.StatsReply.decode(body).sections == {"a": {"b": "c"}}
    assert replies.StatsReply.decode({"a": None, "b": {}}).sections == {"a": {}, "b": {}}


@pytest.mark.parametrize("body", [{"a": "b"}, {"a": ["b"]}, {"a": {"b": 1}}, {1: {"b": "c"}}, ["a"], "a", 5])
def test_broken_statistics_are_wire_errors(body):
    with pytest.raises(WireError):
        replies.StatsReply.decode(body)


def test_an_empty_list_of_members_is_not_nil():
    assert replies.MembersReply().encode() == codec.pack({"Members": []})


@pytest.mark.property
@given(st.lists(st.lists(st.sampled_from(range(4)), max_size=3), max_size=6))
def test_replies_that_change_and_return_stay_what_they_were_given(rounds):
    tags = [{}, {"role": "web"}, {"role": "db"}, {"role": "web"}]
    for chosen in rounds:
        members = [
            Member("n", "10.0.0.1", 7946, tags[index], MemberStatus.ALIVE, 1, 5, 2, 2, 5, 5, b"\x0a\x00\x00\x01")
            for index in chosen
        ]
        sent = replies.MembersReply(members).encode()
        assert sent == codec.pack({"Members": [replies.member_fields(member) for member in members]})
        assert list(replies.MembersReply.decode(codec.unpack(sent)).members) == members
        # As the client's unpacker gives it:
        assert list(replies.MembersReply.decode(msgpack.unpackb(sent)).members) == members
