"""Large answers in a cluster with Go agents: they pass the query on, answer it as ever, and complain of nothing."""

from __future__ import annotations

import os

import pytest

from serfcompat import Config, Serf
from tests.agents import GO_AGENTS, AgentProcess, free_host

pytestmark = [pytest.mark.interop, pytest.mark.socket]


@pytest.mark.parametrize("kind", GO_AGENTS)
@pytest.mark.parametrize("relay_factor", [0, 1])
def test_go_answers_as_ever_and_never_sees_what_is_large(kind, relay_factor):
    answer = os.urandom(1_000_000)
    with (
        AgentProcess(kind, "go", "-event-handler=query:dump=cat; printf small") as go,
        Serf(Config.local(node_name="asker", bind_addr=free_host())) as asker,
        Serf(Config.local(node_name="answerer", bind_addr=free_host())) as answerer,
    ):
        answerer.on("query:dump", lambda query: answerer.respond(query, answer))
        for node in (asker, answerer):
            node.join([go.gossip])
        for node in (asker, answerer):
            node.wait_for(3, timeout=20)
        found = {
            got.from_: got.payload
            for got in asker.query("dump", filter_nodes=["go", "answerer"], relay_factor=relay_factor, timeout=20)
        }
        assert found == {"go": b"small", "answerer": answer}
        assert not [line for line in go.output.splitlines() if "[ERR]" in line or "[WARN]" in line], go.output
