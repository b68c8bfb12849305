"""Two nodes with one name."""

import pytest

from serfcompat.serf.conflict import same_address
from serfcompat.serf.effects import Quit
from serfcompat.swim.events import NodeConflict
from serfcompat.wire.address import Address
from serfcompat.wire.serf_messages import ConflictResponse, MemberRecord, QueryMessage, QueryResponse

from .nodes import HERE, Node, view

MAPPED = b"\0" * 10 + b"\xff\xff" + HERE.ip


def contested(**config):
    node = Node(**config).start()
    node.gossip()
    node.forget()
    node.swim(NodeConflict(view("me", addr=HERE.ip), view("me", addr=b"\x0a\x00\x00\x63")))
    return node


def vote(node, *payloads):
    """Each payload is one voter's answer; then the query's time is over."""
    [message] = node.gossip()
    query = QueryMessage.decode(message[1:])
    assert (query.name, query.payload) == (b"_serf_conflict", b"me")
    for number, payload in enumerate(payloads):
        node.hear(QueryResponse(query.ltime, query.id, b"voter%d" % number, 0, payload))
    node.timer("serf-query", query.ltime)
    return [type(effect) for effect in node.effects].count(Quit) == 1


def knows(addr, port=7946):
    return ConflictResponse(MemberRecord(b"me", addr, port, {}, 1, 1, 5, 2, 2, 5, 4)).encode()


NOBODY = b"\x06\xc0"


@pytest.mark.statement("S-142")
def test_others_conflicts_are_only_warned_of(caplog):
    node = Node()
    node.swim(NodeConflict(view("b"), view("b", addr=b"\x0a\x00\x00\x63")))
    assert caplog.messages == ["serf: Name conflict for 'b' both 10.0.0.9:7946 and 10.0.0.99:7946 are claiming"]
    assert node.effects == []


@pytest.mark.statement("S-143")
@pytest.mark.parametrize("enabled", [True, False])
def test_our_own_conflict_is_an_error_and_starts_a_vote_if_enabled(enabled, caplog):
    node = contested(enable_name_conflict_resolution=enabled)
    assert (
        "serf: Node name conflicts with another node at 10.0.0.99:7946. Names must be unique! "
        f"(Resolution enabled: {str(enabled).lower()})"
    ) in caplog.messages
    assert len(node.gossip()) == enabled


@pytest.mark.statement("S-144", "S-146")
@pytest.mark.parametrize(
    ("payloads", "quits"),
    [
        ([knows(HERE.ip)], False),
        ([knows(HERE.ip), knows(b"\x0a\x00\x00\x63")], True),
        ([knows(HERE.ip), knows(HERE.ip), knows(b"\x0a\x00\x00\x63")], False),
        ([knows(HERE.ip, 1)], True),
        ([NOBODY], True),
        ([knows(HERE.ip), NOBODY], True),
        ([knows(HERE.ip), b"", b"\x05\x80", b"\x06\xff"], False),
    ],
)
def test_the_majority_decides(payloads, quits):
    assert vote(contested(), *payloads) is quits


@pytest.mark.statement("S-145")
def test_without_voters_we_lose(caplog):
    assert vote(contested())
    assert caplog.messages[-1] == "serf: minority in name conflict resolution, quiting [0 / 0]"


def test_what_is_no_vote_is_logged(caplog):
    vote(contested(), b"", b"\x05\x80", b"\x06\xff")
    assert "serf: Invalid conflict query response type: []" in caplog.messages
    assert "serf: Invalid conflict query response type: [5 128]" in caplog.messages
    assert "serf: Failed to decode conflict query response: " in caplog.text


@pytest.mark.statement("S-147")
def test_an_ipv4_address_equals_its_mapped_form():
    assert same_address(Address(MAPPED, 1), Address(HERE.ip, 1))
    assert not same_address(Address(MAPPED, 1), Address(HERE.ip, 2))
    assert not vote(contested(), knows(MAPPED))


def test_the_vote_counts_every_voter_however_many():
    node = contested()
    assert not vote(node, *[knows(HERE.ip)] * 500)
