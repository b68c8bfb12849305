"""RPC clients that others wrote: what their calls give must be the same on our agent as on Go's.

A script in `clients` runs a client's calls, in a Python that has only the client, and prints what they gave.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from interop.clients import REQUIREMENTS, ClientError, installed
from tests.agents import GO_AGENTS, OURS, RPC_PORT, AgentProcess, free_host
from tests.peers import go_serf

SCRIPTS = Path(__file__).parent / "clients"
KEY, OTHER_KEY, TOKEN = "cg8StVXbQJ0gPvMd9o7yrg==", "HvY8ubRZMgafUOWvrOadwOckVa1wN3QWAo46FVKbVN8=", "sesame"
FEWEST_CALLS = {"serfclient": 20, "serfio": 15, "asyncserf": 24, "trio_serf": 24}


def folder_of(client):
    """Where the client and its requirements are. Skips if they can't be had, or fails where peers are required."""
    try:
        return installed(client)
    except ClientError as error:
        if os.environ.get("SERFCOMPAT_REQUIRE_PEERS"):
            pytest.fail(str(error))
        pytest.skip(str(error))


ATTEMPTS = {"serfio": 3}
"It misreads an object that comes in two pieces, from whichever agent."


def ran(client, kind, folder, config, hosts):
    """The client's script as it ended, run on two new agents of this kind, and what the first of them logged."""
    flags = f"-encrypt={KEY}", f"-config-file={config}"
    tagged = "-tag=role=lb", "-event-handler=query:load=echo 0.42"
    script, *module = ["tasks_calls", client] if client in ("asyncserf", "trio_serf") else [f"{client}_calls"]
    with (
        AgentProcess(kind, "n1", *flags, *tagged, host=hosts[0]) as agent,
        AgentProcess(kind, "n2", *flags, host=hosts[1]) as other,
    ):
        arguments = {
            "serfclient": [other.gossip, TOKEN],
            "serfio": [TOKEN],
        }.get(client, [other.gossip, KEY, OTHER_KEY, TOKEN])
        done = subprocess.run(
            # -S: nothing of the environment that the tests run in.
            [sys.executable, "-S", SCRIPTS / f"{script}.py", *module, agent.host, str(RPC_PORT), *arguments],
            env={**os.environ, "PYTHONPATH": str(folder)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode == 0 and client in ("asyncserf", "trio_serf"):  # which end by letting the agent leave
            assert agent.wait_exit() == 0
        return done, agent.output


def calls(client, kind, folder, config):
    """What the client's calls gave on an agent of this kind, without what differs from run to run."""
    for _ in range(ATTEMPTS.get(client, 1)):
        hosts = free_host(), free_host()
        done, log = ran(client, kind, folder, config, hosts)
        if done.returncode == 0:
            break
    assert done.returncode == 0, f"{kind}: {done.stderr[-3000:]}\n{log}"
    text = done.stdout
    for name, host in zip(("HOST", "OTHER"), hosts, strict=True):
        packed = json.dumps(bytes(map(int, host.split("."))).decode("latin-1"))[1:-1]
        text = text.replace(packed, name).replace(host, name)
    text = re.sub(r"Failed to join HOST: ", "Failed to join HOST:1: ", text)  # 0.9.4 leaves the port out
    return [[label, comparable(value)] for label, value in json.loads(text)]


VOLATILE = re.compile(r"(bytes:)?(version|goroutines|member_time|(event|query|intent)_(time|queue)|LTime|ltime)")


def comparable(value):
    """Without what depends on time; members in the order of their names."""
    if isinstance(value, dict):
        return {key: "…" if VOLATILE.fullmatch(key) else comparable(each) for key, each in sorted(value.items())}
    if isinstance(value, list):
        return sorted((comparable(each) for each in value), key=str)
    return value


@pytest.mark.interop
@pytest.mark.parametrize("client", REQUIREMENTS)
def test_calls_give_the_same_as_on_a_go_agent(client, tmp_path):
    folder = folder_of(client)
    config = tmp_path / "auth.json"
    config.write_text(json.dumps({"rpc_auth": TOKEN}))
    for kind in GO_AGENTS:
        go_serf(kind.removeprefix("go-"))
    with ThreadPoolExecutor(len(GO_AGENTS) + 1) as pool:
        running = {kind: pool.submit(calls, client, kind, folder, config) for kind in (*GO_AGENTS, OURS)}
    control = running[GO_AGENTS[-1]].result()
    assert len(control) >= FEWEST_CALLS[client]
    for each in running.values():
        assert each.result() == control
