"""Asking a node what it believes, without becoming part of its cluster."""

from __future__ import annotations

import os

import pytest

from serfcompat.errors import WireError
from serfcompat.swim.events import NodeState
from serfcompat.testing.peek import table_of
from serfcompat.testing.processes import GOSSIP_PORT, Cluster, Kind, serfcompat_agent
from tests.peers import GO_VERSIONS, go_serf

KEY = bytes(range(32))
FLAGS = ["-encrypt=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="]


@pytest.fixture(
    params=[
        pytest.param("serfcompat", marks=pytest.mark.socket),
        *(pytest.param(version, marks=pytest.mark.interop) for version in GO_VERSIONS),
    ]
)
def kind(request) -> Kind:
    if request.param == "serfcompat":
        return serfcompat_agent()
    return Kind(f"Go serf {request.param}", (go_serf(request.param),))


def test_a_nodes_table_is_told_and_stays_as_it_is(kind):
    with Cluster(flags=FLAGS) as cluster:
        one = cluster.start(kind, "one")
        cluster.start(kind, "two", f"-join={one.gossip}")
        one.wait_for_members({"two": "alive"})
        for _ in range(2):
            table = table_of(one.host, GOSSIP_PORT, key=KEY)
            assert {name: node.state for name, node in table.items()} == {
                b"one": NodeState.ALIVE,
                b"two": NodeState.ALIVE,
            }
            assert table[b"one"].port == GOSSIP_PORT
        assert set(one.members()) == {"one", "two"}
        assert [line for line in one.log if "[ERR]" in line] == []


def test_another_key_is_an_error(kind):
    with Cluster(flags=FLAGS) as cluster:
        one = cluster.start(kind, "one")
        with pytest.raises((WireError, OSError)):
            table_of(one.host, GOSSIP_PORT, key=os.urandom(32))
