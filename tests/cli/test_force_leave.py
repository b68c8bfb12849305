"""`serf force-leave` of members that failed, and of one that lives (spec agent §1.4)."""

from __future__ import annotations

import pytest

from tests.agents import GO_AGENTS, OURS, AgentProcess, run_serf
from tests.cli.test_commands import good, marked

PAIRS = [
    marked(pair) for pair in [(GO_AGENTS[1], GO_AGENTS[1]), (GO_AGENTS[1], OURS), (OURS, GO_AGENTS[0]), (OURS, OURS)]
]


@pytest.fixture(params=PAIRS)
def pair(request):
    return request.param


@pytest.mark.statement("A-035")
def test_force_leave_of_a_member_that_failed(pair):
    cli, kind = pair
    with AgentProcess(kind, "n1") as one, AgentProcess(kind, "n4", f"-join={one.gossip}"):
        with AgentProcess(kind, "n2", f"-join={one.gossip}"), AgentProcess(kind, "n3", f"-join={one.gossip}"):
            for name in ("n2", "n3"):
                one.wait_for(f"EventMemberJoin: {name}")
        for name in ("n2", "n3"):
            one.wait_for(f"EventMemberFailed: {name}")
        good(run_serf(cli, "force-leave", f"-rpc-addr={one.rpc}", "n2"), "")
        good(run_serf(cli, "force-leave", f"-rpc-addr={one.rpc}", "-prune", "n3"), "")
        members = good(run_serf(cli, "members", f"-rpc-addr={one.rpc}"))
        assert [line.split()[::2] for line in sorted(members.splitlines())] == [
            ["n1", "alive"],
            ["n2", "left"],
            ["n4", "alive"],
        ]
        one.wait_for("EventMemberReap (forced): n3")


@pytest.mark.statement("A-036")
def test_force_leave_of_a_member_that_lives(pair):
    cli, kind = pair
    with AgentProcess(kind, "n1") as one, AgentProcess(kind, "n2", f"-join={one.gossip}") as two:
        two.wait_for("EventMemberJoin: n1")
        good(run_serf(cli, "force-leave", f"-rpc-addr={one.rpc}", "n2"), "")
        members = good(run_serf(cli, "members", f"-rpc-addr={one.rpc}", "-name=n2"))
        assert members.split()[2] == "leaving"
