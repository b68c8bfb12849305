"""The drop-in for `serfclient`, on Go agents and ours."""

from __future__ import annotations

import threading

import pytest

from serfcompat.compat.serfclient import (
    EnvironmentConfig,
    SerfClient,
    SerfConnection,
    SerfConnectionError,
    SerfProtocolError,
    SerfResult,
    SerfTimeout,
)
from tests.agents import GO_AGENTS, OURS, RPC_PORT, AgentProcess, free_host
from tests.cli.scripted_agent import ScriptedAgent

KINDS = [
    *(pytest.param(kind, marks=pytest.mark.interop) for kind in GO_AGENTS),
    pytest.param(OURS, marks=pytest.mark.socket),
]


@pytest.fixture(scope="module", params=KINDS)
def agent(request):
    with AgentProcess(request.param, "n1", "-tag=role=lb") as process:
        yield process


@pytest.fixture
def client(agent):
    client = SerfClient(agent.host, RPC_PORT)
    yield client
    client.close()


def test_members(client, agent):
    result = client.members()
    assert result.head["Error"] == ""
    (member,) = result.body["Members"]
    assert (member["Name"], member["Addr"], member["Status"], member["Tags"]) == (
        "n1",
        agent.host,
        "alive",
        {"role": "lb"},
    )
    assert [
        each["Name"] for each in client.members(name="n.*", status="alive", tags={"role": "lb"}).body["Members"]
    ] == ["n1"]
    assert client.members(status="failed").body == {"Members": []}


def test_events_and_streams(client, agent):
    other = SerfClient(agent.host, RPC_PORT)
    stream = other.stream(["user:foo", "user:bar"])
    assert stream.head["Error"] == ""
    other.stats()  # a Go agent answers before it begins to stream; by now it has
    assert client.event("foo", "v1", coalesce=False).head["Error"] == ""
    assert client.event("bar", b"\xff", False).body is None
    first, second = next(stream.body), next(stream.body)
    assert (first.body["Event"], first.body["Name"], first.body["Payload"]) == ("user", "foo", b"v1")
    assert second.body["Payload"] == b"\xff"
    assert first.head == stream.head
    other.close()


def test_errors_are_in_the_head_and_the_next_call_is_in_step(client):
    result = client.join(f"{free_host()}:1")
    assert result.head["Error"].startswith("1 error occurred:")
    assert result.body == {"Num": 0}
    assert "exceeds configured limit" in client.event("x" * 600).head["Error"]
    assert client.stream("bogus").head["Error"] == "Invalid event filter"
    assert client.force_leave("nobody").head["Error"] == ""
    assert client.stats().body["agent"] == {"name": "n1"}
    head, body = client.stats()
    assert head["Error"] == ""
    assert "serf" in body


def test_the_other_commands_may_be_called_by_name(client):
    connection = client.connection
    assert connection.call("tags", {"Tags": {"a": "b"}}, expect_body=False).head["Error"] == ""
    assert connection.call("get-coordinate", {"Node": "nobody"}).body["Ok"] is False
    assert connection.call("list-keys").head["Error"] == "1/1 nodes reported failure"
    with pytest.raises(SerfProtocolError):
        connection.call("bogus")
    with pytest.raises(SerfProtocolError):
        connection.call("event", {"Name": 5})


def test_an_agent_that_hangs_up(client):
    with pytest.raises(SerfConnectionError, match="Connection closed by peer"):
        client.members(name="[")
    with pytest.raises(SerfConnectionError):
        client.stats()
    client.close()
    client.close()
    with pytest.raises(SerfConnectionError):
        client.stats()


@pytest.mark.socket
def test_a_stream_ends_with_the_agent():
    with AgentProcess(OURS, "n1") as agent:
        stream = SerfClient(agent.host, RPC_PORT).stream()
        errors = []

        def follow():
            try:
                for _ in stream.body:
                    pass
            except SerfConnectionError as error:
                errors.append(str(error))

        thread = threading.Thread(target=follow)
        thread.start()
        agent.kill()
        thread.join(10)
    assert errors == ["Connection closed by peer"]


@pytest.mark.socket
def test_nobody_there():
    host = free_host()
    with pytest.raises(SerfConnectionError, match=f"^Error 111 connecting {host}:1. Connection refused.$"):
        SerfClient(host, 1)
    with pytest.raises(SerfConnectionError, match="handshake must be made first"):
        SerfConnection().call("stats")


@pytest.mark.socket
def test_an_agent_that_never_answers_costs_the_timeout():
    with ScriptedAgent(stats=lambda seq, request: b"") as agent:
        host, port = agent.rpc.split(":")
        client = SerfClient(host, int(port), timeout=0.1)
        with pytest.raises(SerfTimeout):
            client.stats()
        assert client.event("x").head["Error"] == ""
        client.close()


def test_results_look_as_they_did():
    assert repr(SerfResult({"Seq": 1}, None)) == "SerfResult<head={'Seq': 1},body=None>"


def test_the_environment(monkeypatch):
    monkeypatch.delenv("SERF_RPC_ADDR", raising=False)
    monkeypatch.delenv("SERF_RPC_AUTH", raising=False)
    config = EnvironmentConfig()
    assert (config.host, config.port, config.auth_key) == ("localhost", 7373, None)
    monkeypatch.setenv("SERF_RPC_ADDR", "[::1]:7374")
    monkeypatch.setenv("SERF_RPC_AUTH", "sesame")
    config = EnvironmentConfig()
    assert (config.host, config.port, config.auth_key) == ("::1", 7374, "sesame")
