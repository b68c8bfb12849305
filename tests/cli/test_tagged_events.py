"""Events for the members whose tags match: ours hear an event, Go's a query (docs/design/differences.md)."""

from __future__ import annotations

import pytest

from serfcompat.errors import RPCError
from serfcompat.rpc.client import Client
from tests.agents import GO_AGENTS, OURS, AgentProcess, run_serf


def handlers(path, name):
    return [
        f"-event-handler=user:config-update=echo event $(cat) >> {path}/{name}",
        f"-event-handler=query:config-update=echo query $(cat) >> {path}/{name}",
    ]


def drain(*agents):
    """Wait until every agent's handlers are through with what came before."""
    for agent in agents:
        with Client(agent.rpc) as client:
            for name in (f"drain-{agent.name}", f"drained-{agent.name}"):
                client.user_event(name)
                agent.wait_for(f"agent: Received event: user-event: {name}")


@pytest.mark.interop
@pytest.mark.parametrize("version", GO_AGENTS)
def test_the_mark_goes_through_go_and_each_kind_takes_it_its_way(version, tmp_path):
    with (
        AgentProcess(OURS, "sender", "-tag=env=prod", *handlers(tmp_path, "sender"), profile="lan") as sender,
        # Only the Go member stands between the sender and the other one of ours.
        AgentProcess(
            version, "go", "-tag=env=prod", f"-join={sender.gossip}", *handlers(tmp_path, "go"), profile="lan"
        ) as go,
        AgentProcess(
            OURS, "ours", "-tag=env=prod-2", f"-join={go.gossip}", *handlers(tmp_path, "ours"), profile="lan"
        ) as ours,
        AgentProcess(
            OURS, "other", "-tag=env=test", f"-join={go.gossip}", *handlers(tmp_path, "other"), profile="lan"
        ) as other,
    ):
        for agent in (sender, go, ours, other):
            for name in ("sender", "go", "ours", "other"):
                agent.wait_for(f"EventMemberJoin: {name}")
        ran = run_serf(
            OURS, "event", f"-rpc-addr={sender.rpc}", "--tag", "env=prod", "config-update", '{"feature_x": true}'
        )
        assert (ran.code, ran.out) == (0, "Event 'config-update' dispatched to members with env=prod\n")
        for agent in (sender, go, ours):
            agent.wait_for("config-update")
        drain(sender, go, ours, other)
    for name, heard in (("sender", "event"), ("ours", "event"), ("go", "query")):
        assert (tmp_path / name).read_text() == f'{heard} {{"feature_x": true}}\n'
    assert not (tmp_path / "other").exists()


@pytest.mark.interop
@pytest.mark.parametrize("version", GO_AGENTS)
def test_a_go_agent_sends_a_query_instead(version, tmp_path):
    with AgentProcess(version, "go", "-tag=env=prod", *handlers(tmp_path, "go")) as go:
        ran = run_serf(OURS, "event", f"-rpc-addr={go.rpc}", "-tag=env=prod", "config-update", "x")
        assert (ran.code, ran.err) == (0, "")
        assert ran.out == (
            "Query 'config-update' dispatched to members with env=prod: "
            "this agent knows no events for some members only\n"
        )
        go.wait_for("config-update")
        drain(go)
        assert (tmp_path / "go").read_text() == "query x\n"


@pytest.mark.socket
def test_what_is_refused():
    with AgentProcess(OURS, "n1") as agent, Client(agent.rpc) as client:
        with pytest.raises(RPCError, match="query exceeds limit of 1024 bytes"):
            client.user_event("x", b"y" * 1100, tags={"a": "b"})
        rpc = f"-rpc-addr={agent.rpc}"
        ran = run_serf(OURS, "event", rpc, "-tag=env", "x")
        assert (ran.code, ran.out) == (1, "Error: Invalid tag: 'env'\n")
        ran = run_serf(OURS, "event", rpc, "-tag=a=b", "x", "y" * 1100)
        assert (ran.code, ran.out) == (1, "Error sending event: query exceeds limit of 1024 bytes\n")
