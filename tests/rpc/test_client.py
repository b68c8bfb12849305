"""The client against real Go agents: every command, in success and in error (spec agent §4.6)."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from serfcompat.errors import AgentUnreachable, RPCError
from serfcompat.rpc import protocol
from serfcompat.rpc.client import Client
from serfcompat.rpc.records import QueryRecord, StreamedQuery
from serfcompat.serf.events import EventType, MemberEvent, UserEvent
from serfcompat.serf.member import MemberStatus
from tests.agents import GO_AGENTS, AgentProcess, free_host
from tests.cli.scripted_agent import ScriptedAgent, ok

pytestmark = pytest.mark.interop
KEY = "HvY8ubRZMgafUOWvrOadwOckVa1wN3QWAo46FVKbVN8="
OTHER_KEY = "T9jncgl9mbLus+baTTa7q7nPSUrXwbDi2dhbtqir37s="


@pytest.fixture(scope="module", params=GO_AGENTS)
def agents(request):
    with (
        AgentProcess(request.param, "one", "-tag=role=lb", f"-encrypt={KEY}") as one,
        AgentProcess(request.param, "two", "-tag=role=web", f"-encrypt={KEY}", f"-join={one.gossip}") as two,
    ):
        yield one, two


@pytest.fixture
def client(agents):
    with Client(agents[0].rpc) as client:
        yield client


def rpc_error(call, *args, **kwargs):
    with pytest.raises(RPCError) as caught:
        call(*args, **kwargs)
    return caught.value


@pytest.mark.statement("A-242")
def test_members(client, agents):
    members = {member.name: member for member in client.members()}
    assert set(members) == {"one", "two"}
    assert members["one"].address == agents[0].gossip
    assert members["one"].tags == {"role": "lb"}
    assert members["two"].status is MemberStatus.ALIVE
    assert members["two"].delegate_cur == 5


@pytest.mark.statement("A-242")
def test_members_filtered(client):
    assert [member.name for member in client.members_filtered(name="t.*")] == ["two"]
    assert [member.name for member in client.members_filtered(tags={"role": "lb"}, status="alive")] == ["one"]
    assert client.members_filtered(status="failed") == []


def test_a_wrong_expression_costs_the_connection(client):
    with pytest.raises(AgentUnreachable, match="client closed"):
        client.members_filtered(name="[")
    assert client.closed
    with pytest.raises(AgentUnreachable, match="client closed"):
        client.members()


@pytest.mark.statement("A-244")
def test_a_failed_join_raises_and_leaves_the_connection_in_step(client, agents):
    assert client.join([agents[1].gossip]) == 1
    assert client.join([]) == 0
    nobody = free_host()
    error = rpc_error(client.join, [f"{nobody}:1"], replay=True)
    assert str(error).startswith("1 error occurred:\n\t* Failed to join ")
    assert error.reply.num == 0
    assert len(client.members()) == 2


@pytest.mark.statement("A-242")
def test_user_event(client):
    client.user_event("deploy", b"v1")
    client.user_event("deploy", coalesce=True)
    error = rpc_error(client.user_event, "x" * 600)
    assert str(error) == "user event exceeds configured limit of 512 bytes before encoding"


@pytest.mark.statement("A-242")
def test_stream_of_every_kind(client, agents):
    with client.stream("user:stream-deploy,query,member-update") as stream:
        client.user_event("stream-deploy", b"\xff")
        event = stream.get(10)
        assert event == UserEvent(event.ltime, "stream-deploy", b"\xff", False)
        query = client.query("load", b"15m", timeout=2)
        event = stream.get(10)
        assert isinstance(event, StreamedQuery)
        assert (event.name, event.payload, event.id) == ("load", b"15m", 1)
        client.respond(event.id, b"1.02")
        assert next(query) == QueryRecord("response", "one", b"1.02")
        assert str(rpc_error(client.respond, event.id)).endswith("response already sent")
        client.update_tags({"new": "tag"}, delete=["absent"])
        event = stream.get(10)
        assert isinstance(event, MemberEvent)
        assert event.type is EventType.MEMBER_UPDATE
        assert event.members[0].tags == {"role": "lb", "new": "tag"}
        client.update_tags(delete=["new"])


@pytest.mark.statement("A-242")
def test_refused_streams_and_answers(client):
    assert str(rpc_error(client.stream, "bogus")) == "Invalid event filter"
    assert str(rpc_error(client.respond, 99)) == "No pending queries matching ID"
    assert str(rpc_error(client.monitor, "bogus")) == "Unknown log level: BOGUS"


@pytest.mark.statement("A-245")
def test_query_ends_and_never_shows_records_of_nobody(client):
    records = list(client.query("nobody-answers", request_ack=True, timeout=2))
    assert {(record.type, record.from_) for record in records} == {("ack", "one"), ("ack", "two")}
    for _ in range(20):
        assert all(record.from_ for record in client.query("short", request_ack=True, timeout=0.003))


def test_query_filters_and_errors(client):
    records = list(client.query("x", request_ack=True, filter_nodes=["two"], timeout=2))
    assert {record.from_ for record in records} == {"two"}
    records = list(client.query("x", request_ack=True, filter_tags={"role": "l."}, timeout=2))
    assert {record.from_ for record in records} == {"one"}
    assert str(rpc_error(client.query, "_serf_foo")) == "Queries cannot contain the '_serf_' prefix"
    assert str(rpc_error(client.query, "x" * 2000)) == "query exceeds limit of 1024 bytes"


@pytest.mark.statement("A-250")
def test_an_absent_payload_reaches_the_other_side_as_nil(client):
    assert {record.from_ for record in client.query("_serf_ping", request_ack=True, timeout=2)} == {"one", "two"}
    with client.stream("user") as stream:
        client.user_event("empty")
        assert stream.get(10).payload is None


def test_monitor_sends_history_then_news(client):
    with client.monitor("debug") as monitor:
        assert " [INFO] agent: Serf agent starting" in monitor.get(10)
        client.user_event("seen-in-the-log")
        while "seen-in-the-log" not in monitor.get(10):
            pass
        assert str(rpc_error(client.monitor)) == "Monitor already exists"
    with client.monitor("err"):
        pass


@pytest.mark.statement("A-246")
def test_records_that_come_after_stop_disturb_nobody():
    # Not with a Go agent: one that is told to stop a stream in the middle of a burst may panic (spec agent §4.6.8).
    stopped = []

    def late(number):
        event = {"Event": "user", "LTime": number, "Name": "late", "Payload": b"", "Coalesce": False}
        return b"".join(ok(seq, event) for seq in stopped)

    def stop(seq, request):
        stopped.append(request.stop)
        return late(1) + ok(seq) + late(2)

    answers = {"stop": stop, "members": lambda seq, request: late(3) + ok(seq, {"Members": []}) + late(4)}
    with ScriptedAgent(**answers) as agent, Client(agent.rpc) as client:
        for round_ in range(5):
            stream = client.stream("user")
            calls = [client.submit(protocol.MembersRequest()) for _ in range(100)]
            stream.close()
            for call in calls:
                assert call.result(10).members == ()
            assert list(stream) == []
            assert len(stopped) == round_ + 1
        assert client.members() == []


@pytest.mark.statement("A-242")
def test_keys(client):
    assert client.install_key(OTHER_KEY).num_resp == 2
    assert client.list_keys().keys == {KEY: 2, OTHER_KEY: 2}
    error = rpc_error(client.remove_key, KEY)
    assert str(error) == "2/2 nodes reported failure"
    assert error.reply.messages == dict.fromkeys(("one", "two"), "Removing the primary key is not allowed")
    assert client.use_key(OTHER_KEY).num_err == 0
    assert client.use_key(KEY).num_err == 0
    assert client.remove_key(OTHER_KEY).keys is None
    error = rpc_error(client.install_key, "abc")
    assert str(error) == "illegal base64 data at input byte 0"
    assert error.reply.num_nodes == 0


@pytest.mark.statement("A-242")
def test_stats_and_coordinates(client):
    stats = client.stats()
    assert stats["agent"] == {"name": "one"}
    assert stats["tags"] == {"role": "lb"}
    assert set(stats) == {"agent", "event_handlers", "runtime", "serf", "tags"}
    coordinate = client.coordinate("one")
    assert coordinate is not None
    assert len(coordinate.vec) == 8
    assert client.coordinate("nobody") is None


@pytest.mark.statement("A-242")
def test_force_leave(client):
    client.force_leave("nobody")
    client.force_leave("nobody", prune=True)


def test_threads_share_one_connection(client):
    failures = []

    def work(number):
        try:
            for step in range(30):
                if (number + step) % 3 == 0:
                    assert len(client.members()) == 2
                elif (number + step) % 3 == 1:
                    assert client.stats()["agent"]["name"] == "one"
                else:
                    assert client.coordinate("nobody") is None
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert failures == []


def test_thousands_of_requests_may_be_on_their_way(client):
    calls = [client.submit(protocol.StatsRequest()) for _ in range(3000)]
    assert {call.result(20).sections["agent"]["name"] for call in calls} == {"one"}


def test_many_requests_in_one_go(client):
    calls = client.submit_all(protocol.EventRequest(f"batch-{number}", b"x" * 200) for number in range(3000))
    assert len({call.seq for call in calls}) == 3000
    assert [call.result(20) for call in calls] == [None] * 3000
    requests = [protocol.StatsRequest(), protocol.RespondRequest(99), protocol.MembersRequest()]
    stats, refused, members = client.submit_all(requests)
    assert len(members.result(10).members) == 2
    assert str(rpc_error(refused.result)) == "No pending queries matching ID"
    assert stats.result(10).sections["agent"] == {"name": "one"}
    assert client.submit_all([]) == []


def test_waiting_is_bounded_on_request(client):
    with client.stream("user:nobody-sends-this") as stream:
        started = time.monotonic()
        with pytest.raises(TimeoutError):
            stream.get(0.05)
        assert time.monotonic() - started < 2


@pytest.mark.parametrize("kind", GO_AGENTS)
def test_auth(kind, tmp_path, agents):
    config = tmp_path / "auth.json"
    config.write_text('{"rpc_auth": "sesame"}')
    with AgentProcess(kind, "guarded", f"-config-file={config}") as guarded:
        with Client(guarded.rpc, "sesame") as client:
            assert len(client.members()) == 1
        assert str(rpc_error(Client, guarded.rpc, "wrong")) == "Invalid authentication token"
        with Client(guarded.rpc) as client:
            for call in (client.members, client.list_keys, lambda: client.join(["x"])):
                assert str(rpc_error(call)) == "Authentication required"
        assert str(rpc_error(Client, agents[0].rpc, "needless")) == "Invalid authentication token"


@pytest.mark.statement("A-248")
@pytest.mark.parametrize("kind", GO_AGENTS)
def test_everything_pending_ends_when_the_agent_dies(kind):
    with AgentProcess(kind, "mortal", profile="lan") as agent, socket.create_server((free_host(), 0)) as silent:
        client = Client(agent.rpc)
        stream, query = client.stream("user"), client.query("long", timeout=60)
        host, port = silent.getsockname()
        pending = client.submit(protocol.JoinRequest((f"{host}:{port}",)))
        joining, _ = silent.accept()
        waiting = []
        thread = threading.Thread(target=lambda: waiting.append(rpc_error(pending.result)))
        thread.start()
        agent.kill()
        joining.close()
        thread.join(10)
        assert [str(error) for error in waiting] == ["client closed"]
        for records in (stream, query):
            with pytest.raises(AgentUnreachable, match="client closed"):
                records.get(10)
        assert client.closed


@pytest.mark.parametrize("kind", GO_AGENTS)
def test_leave_ends_the_agent(kind):
    with AgentProcess(kind, "leaver") as agent, Client(agent.rpc) as client:
        client.leave()
        assert agent.wait_exit() == 0


@pytest.mark.parametrize("kind", GO_AGENTS)
def test_a_client_that_reconnects_goes_on_after_a_restart(kind):
    host = free_host()
    with AgentProcess(kind, "first", host=host) as agent:
        client = Client(agent.rpc, reconnect=10)
        stream = client.stream("user")
        client.user_event("before")
        assert stream.get(10).name == "before"
        agent.kill()
        with AgentProcess(kind, "second", host=host):
            assert client.stats()["agent"]["name"] == "second"
            events = []
            thread = threading.Thread(target=lambda: events.append(stream.get(10)))
            thread.start()
            while not events:
                client.user_event("after")
                thread.join(0.1)
            assert events[0].name == "after"
            client.close()
            assert client.closed
