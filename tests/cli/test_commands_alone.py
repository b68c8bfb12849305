"""Commands whose agent leaves, dies, wants a token or has no keys, for each pair of command line and agent."""

from __future__ import annotations

import socket
import subprocess

import pytest

from tests.agents import AgentProcess, free_host, run_serf, serf_command
from tests.cli.test_commands import PAIRS, bad, good, marked


@pytest.fixture(params=[marked(pair) for pair in PAIRS])
def pair(request):
    return request.param


@pytest.mark.statement("A-051")
def test_keys_without_encryption(pair):
    cli, kind = pair
    with AgentProcess(kind, "n1") as agent:
        bad(
            run_serf(cli, "keys", f"-rpc-addr={agent.rpc}", "-list"),
            "==> Asking all members for installed keys...\n"
            "failed:  n1  Keyring is empty (encryption not enabled)\n\n"
            "Failed to gather member keys: 1/1 nodes reported failure\n",
        )


@pytest.mark.statement("A-053")
def test_leave(pair):
    cli, kind = pair
    with AgentProcess(kind, "n1") as agent:
        good(run_serf(cli, "leave", f"-rpc-addr={agent.rpc}", "ignored"), "Graceful leave complete\n")
        assert agent.wait_exit() == 0


@pytest.mark.statement("A-095", "A-096", "A-097", "A-020")
def test_tokens(pair, tmp_path):
    cli, kind = pair
    config = tmp_path / "auth.json"
    config.write_text('{"rpc_auth": "sesame"}')
    prefixes = {
        "event": "Error sending event: ",
        "force-leave": "Error force leaving: ",
        "info": "Error querying agent: ",
        "join": "Error joining the cluster: ",
        "leave": "Error leaving: ",
        "members": "Error retrieving members: ",
        "monitor": "Error starting stream: ",
        "query": "Error sending query: ",
        "reachability": "Error getting members: ",
    }
    wrong = "Error connecting to Serf agent: Invalid authentication token\n"
    with AgentProcess(kind, "n1", f"-config-file={config}") as agent:
        rpc = f"-rpc-addr={agent.rpc}"
        for command, prefix in prefixes.items():
            args = ["x"] if command in ("event", "force-leave", "join", "query") else []
            bad(run_serf(cli, command, rpc, *args), f"{prefix}Authentication required\n")
        bad(run_serf(cli, "members", rpc, "-rpc-auth=bad"), wrong)
        good(run_serf(cli, "members", rpc, "-rpc-auth=sesame"))
        good(run_serf(cli, "members", rpc, env={"SERF_RPC_AUTH": "sesame"}))
        ran = run_serf(cli, "members", rpc, "-rpc-auth=", env={"SERF_RPC_AUTH": "sesame"})
        bad(ran, "Error retrieving members: Authentication required\n")
    with AgentProcess(kind, "n2") as agent:
        bad(run_serf(cli, "members", f"-rpc-addr={agent.rpc}", env={"SERF_RPC_AUTH": "x"}), wrong)


@pytest.mark.statement("A-070", "A-080")
def test_an_agent_that_dies(pair):
    cli, kind = pair
    with AgentProcess(kind, "n1") as agent:
        rpc = f"-rpc-addr={agent.rpc}"
        query, monitor = (
            subprocess.Popen([*serf_command(cli), *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for command in (["query", rpc, "-timeout=30s", "x"], ["monitor", rpc])
        )
        assert query.stdout.readline() == "Query 'x' dispatched\n"
        assert query.stdout.readline() == "Ack from 'n1'\n"
        while "Serf agent starting" not in monitor.stdout.readline():
            pass
        agent.kill()
        assert query.communicate(timeout=10) == ("Total Acks: 1\nTotal Responses: 0\n", "")
        assert query.returncode == 0
        out, err = monitor.communicate(timeout=10)
        assert (monitor.returncode, err) == (1, "")
        assert ("\n" + out).endswith(
            "\n\nRemote side ended the monitor! This usually means that the\nremote side has exited or crashed.\n"
        )


@pytest.mark.statement("A-066")
def test_ipv6(pair):
    cli, kind = pair
    host = free_host()
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as free:
        port = free.getsockname()[1]  # IPv6 has one loopback address for all
    flags = ["-node=n6", f"-bind=[::1]:{port}", f"-rpc-addr={host}:27373", "-profile=local"]
    with AgentProcess(kind, "n6", *flags, host=host, bare=True) as agent:
        out = good(run_serf(cli, "members", f"-rpc-addr={agent.rpc}"))
        assert out == f"n6  [::1]:{port}  alive\n"
