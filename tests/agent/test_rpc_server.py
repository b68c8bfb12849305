"""The RPC port as clients see it, on Go agents (as a control) and ours (spec agent §4)."""

from __future__ import annotations

import contextlib
import itertools
import resource
import threading
import time

import pytest

from serfcompat.errors import RPCError
from serfcompat.rpc import codec, protocol
from serfcompat.rpc.client import Client
from serfcompat.rpc.protocol import REQUESTS, RequestHeader
from tests.agents import GO_AGENTS, OURS, AgentProcess, free_host
from tests.rpc.exchanges import EXCHANGES
from tests.rpc.raw import CLOSED, RawClient

AGENTS = [
    *(pytest.param(kind, marks=pytest.mark.interop) for kind in GO_AGENTS),
    pytest.param(OURS, marks=pytest.mark.socket),
]
OK = ""


@pytest.fixture(scope="module", params=AGENTS)
def agent(request):
    """An agent alone in its cluster."""
    with AgentProcess(request.param, "n1", "-tag=role=lb", "-event-handler=user:deploy=cat") as process:
        yield process


@pytest.fixture(scope="module", params=AGENTS)
def guarded(request, tmp_path_factory):
    """An agent that wants a token."""
    config = tmp_path_factory.mktemp("guarded") / "auth.json"
    config.write_text('{"rpc_auth": "sesame"}')
    with AgentProcess(request.param, "n2", f"-config-file={config}") as process:
        yield process


@pytest.fixture
def raw(agent):
    with RawClient(agent.rpc) as client:
        yield client


@pytest.fixture
def client(raw):
    return raw.handshake()


def golden(client, name, seq=None):
    """Send a captured request, and compare the reply with the captured one, byte for byte."""
    exchange = EXCHANGES[name]
    client.send(b"".join(exchange.request))
    for expected in exchange.replies:
        assert client.next_bytes() == expected
    if exchange.closed:
        assert client.next() is CLOSED


# --- before anything else --------------------------------------------------------------------------------------------


@pytest.mark.statement("A-195", "A-198")
def test_handshake(raw):
    golden(raw, "handshake ok")
    golden(raw, "handshake again")
    golden(raw, "handshake bad version")
    assert raw.request(4, protocol.StatsRequest()) == OK


@pytest.mark.statement("A-196")
@pytest.mark.parametrize("command", [command for command in REQUESTS if command != "handshake"])
def test_nothing_comes_before_the_handshake(raw, command):
    raw.send(RequestHeader(command, 1).encode())
    assert raw.reply(1) == "Handshake required"
    assert raw.next() is CLOSED


@pytest.mark.statement("A-197")
@pytest.mark.parametrize("body", [{"Version": 0}, {"Version": 2}, {"Version": -1}, {}])
def test_other_versions_are_refused_and_may_try_again(raw, body):
    raw.send_map({"Command": "handshake", "Seq": 1}, body)
    assert raw.reply(1) == "Unsupported IPC version"
    assert raw.request(2, protocol.HandshakeRequest(1)) == OK


@pytest.mark.statement("A-199")
def test_unknown_commands(client):
    golden(client, "unknown command")


# --- auth ------------------------------------------------------------------------------------------------------------


@pytest.mark.statement("A-200", "A-202")
def test_auth(guarded):
    with RawClient(guarded.rpc) as client:
        client.handshake()
        golden(client, "members before auth")
        assert client.request(3, protocol.AuthRequest("no")) == "Invalid authentication token"
        assert client.request(4, protocol.MembersRequest()) == "Authentication required"
        assert client.request(5, protocol.AuthRequest("sesame")) == OK
        assert client.request(6, protocol.AuthRequest("no")) == "Invalid authentication token"
        assert client.request(7, protocol.MembersRequest()) == OK


@pytest.mark.statement("A-201")
def test_a_body_before_auth_is_taken_for_a_header(guarded):
    with RawClient(guarded.rpc) as client:
        client.handshake()
        client.send(protocol.EventRequest("deploy", b"x").encode_with(2))
        assert [client.reply(2), client.reply(2)] == ["Authentication required"] * 2
        assert client.request(3, protocol.AuthRequest("sesame")) == OK


def test_unknown_commands_before_auth_are_not_told_apart(guarded):
    with RawClient(guarded.rpc) as client:
        client.handshake()
        client.send(RequestHeader("bogus", 9).encode())
        assert client.reply(9) == "Authentication required"
        assert client.request(3, protocol.AuthRequest("sesame")) == OK


@pytest.mark.statement("A-203")
def test_without_a_token_only_the_empty_one_is_right(client):
    assert client.request(1, protocol.AuthRequest("")) == OK
    assert client.request(2, protocol.AuthRequest("x")) == "Invalid authentication token"
    assert client.request(3, protocol.StatsRequest()) == OK


# --- reading requests ------------------------------------------------------------------------------------------------


@pytest.mark.statement("A-204", "A-212")
def test_pipelined_requests_are_answered_in_order(client):
    requests = [protocol.MembersRequest(), protocol.StatsRequest(), protocol.StopRequest(7), protocol.MembersRequest()]
    client.send(b"".join(request.encode_with(seq) for seq, request in enumerate(requests, 10)))
    for seq, request in enumerate(requests, 10):
        assert client.reply(seq) == OK
        if request.REPLY is not None:
            assert isinstance(client.next(), dict)


def test_an_empty_body_where_none_belongs_repeats_the_command(client):
    client.send(RequestHeader("members", 5).encode() + codec.pack({}))
    for _ in range(2):
        assert client.reply(5) == OK
        assert "Members" in client.next()


@pytest.mark.statement("A-205")
@pytest.mark.parametrize("seq", [0, 1, 2**32, 2**64 - 1])
def test_sequence_numbers_are_echoed(client, seq):
    assert client.request(seq, protocol.StopRequest(3)) == OK


@pytest.mark.statement("A-206", "A-207", "A-208", "A-209")
@pytest.mark.parametrize(
    ("header", "body", "error"),
    [
        ({"Seq": 3, "Extra": [{"deep": 1}], "Command": "event"}, {"Extra": None, "Name": "x"}, OK),
        ({"Command": "event", "Seq": 3}, {}, OK),
        ({"Command": "event", "Seq": 3}, {"name": "x" * 600, "NAME": 5}, OK),
        (["event", 3], ["x", b"p", False], OK),
        ({"Command": "event", "Seq": 3}, {"Name": "x", "Coalesce": 1}, OK),
    ],
)
def test_liberties_that_requests_may_take(client, header, body, error):
    client.send_map(header, body)
    assert client.reply(3) == error


@pytest.mark.statement("A-210")
@pytest.mark.parametrize(("payload", "seen"), [("abc", b"abc"), (b"abc", b"abc"), (None, None)])
def test_payloads_as_text_binary_or_nil(client, payload, seen):
    assert client.request(1, protocol.StreamRequest("user:typed")) == OK
    client.send_map({"Command": "event", "Seq": 2}, {"Name": "typed", "Payload": payload})
    objects = [client.next() for _ in range(3)]
    assert next(item for item in objects if "Event" in item)["Payload"] == seen


@pytest.mark.statement("A-211")
@pytest.mark.parametrize(
    "data",
    [
        b"\xc1",
        codec.pack("not a header"),
        codec.pack({"Command": 5, "Seq": 1}),
        codec.pack({"Command": "event", "Seq": -1}),
        RequestHeader("event", 1).encode() + codec.pack({"Name": 5}),
        RequestHeader("event", 1).encode() + codec.pack("x"),
        RequestHeader("stop", 1).encode() + codec.pack({"Stop": -1}),
    ],
)
def test_malformed_requests_cost_the_connection_and_nothing_else(agent, data):
    with RawClient(agent.rpc) as bystander, RawClient(agent.rpc) as client:
        bystander.handshake()
        client.handshake()
        client.send(data)
        assert client.next() is CLOSED
        assert bystander.request(1, protocol.MembersRequest()) == OK


# --- commands --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["event ok", "event nil payload", "force-leave ok", "force-leave prune ok", "join empty", "stop unknown"]
)
def test_captured_requests_get_the_captured_replies(client, name):
    golden(client, name)


@pytest.mark.parametrize(
    "name",
    [
        "members-filtered none",
        "members-filtered bad regex",
        "get-coordinate unknown",
        "stream bad filter",
        "respond bad id",
        "monitor bad level",
        "query internal prefix",
        "list-keys error (no encryption)",
        "install-key error (no encryption)",
        "use-key error (no encryption)",
        "remove-key error (no encryption)",
        "install-key bad base64",
    ],
)
@pytest.mark.statement("A-213", "A-236", "A-237", "A-219")
def test_captured_refusals_get_the_captured_replies(client, name):
    golden(client, name)


def test_limits_have_the_captured_texts(client):
    assert client.request(6, protocol.EventRequest("x" * 513)) == EXCHANGES["event too large"].objects[0]["Error"]
    too_large = EXCHANGES["tags too large"].objects[0]["Error"]
    assert client.request(7, protocol.TagsRequest({"a": "b" * 520})) == too_large
    assert client.request(8, protocol.QueryRequest(name="x" * 1100)) == EXCHANGES["query too large"].objects[0]["Error"]


@pytest.mark.statement("A-213", "A-214")
def test_a_failed_join_has_a_body_all_the_same(client):
    host = free_host()
    error = client.request(2, protocol.JoinRequest((f"{host}:1",)))
    assert error.startswith("1 error occurred:\n\t* Failed to join ")
    assert error.endswith(f"dial tcp {host}:1: connect: connection refused\n\n")
    assert client.next_bytes() == codec.pack({"Num": 0})
    assert client.request(3, protocol.StopRequest(1)) == OK


@pytest.mark.statement("A-215")
def test_joining_nobody_succeeds(client):
    assert client.request(2, protocol.JoinRequest()) == OK
    assert client.next() == {"Num": 0}


@pytest.mark.statement("A-216", "A-213")
def test_members_have_eleven_keys(client, agent):
    assert client.request(2, protocol.MembersRequest()) == OK
    data = client.next_bytes()
    (member,) = codec.unpack(data)["Members"]
    addr = member["Addr"]
    assert len(addr) in (4, 16)
    assert ".".join(map(str, addr[-4:])) == agent.host
    expected = dict(EXCHANGES["members ok"].objects[1]["Members"][0]) | {"Addr": addr}
    assert member == expected | {"Tags": member["Tags"]}
    assert member["Tags"]["role"] == "lb"
    assert list(member) == sorted(member)
    assert b"\xa4Addr\xc4" in data  # binary, not text


@pytest.mark.statement("A-217", "A-218")
@pytest.mark.parametrize(
    ("request_", "matches"),
    [
        (protocol.MembersFilteredRequest(), True),
        (protocol.MembersFilteredRequest(name="n."), True),
        (protocol.MembersFilteredRequest(name="n"), False),
        (protocol.MembersFilteredRequest(name="n|zzz"), True),
        (protocol.MembersFilteredRequest(name="zzz|1"), True),
        (protocol.MembersFilteredRequest(name="(n|zzz)"), False),
        (protocol.MembersFilteredRequest(status="alive"), True),
        (protocol.MembersFilteredRequest(status="failed"), False),
        (protocol.MembersFilteredRequest({"role": "l."}), True),
        (protocol.MembersFilteredRequest({"role": ""}), False),
        (protocol.MembersFilteredRequest({"absent": ""}), True),
        (protocol.MembersFilteredRequest({"absent": ".*"}), True),
        (protocol.MembersFilteredRequest({"absent": ".+"}), False),
    ],
)
def test_expressions_are_anchored_without_a_group(client, request_, matches):
    assert client.request(2, request_) == OK
    assert [member["Name"] for member in client.next()["Members"]] == (["n1"] if matches else [])


@pytest.mark.statement("A-220")
def test_tags_are_deleted_then_set(client):
    assert client.request(2, protocol.TagsRequest({"a": "1", "b": "2"})) == OK
    client.send_map({"Command": "tags", "Seq": 3}, {"DeleteTags": ["a", "b", "absent"], "Tags": {"b": "3"}})
    assert client.reply(3) == OK
    client.send_map({"Command": "tags", "Seq": 4}, {"DeleteTags": None, "Tags": None})
    assert client.reply(4) == OK
    assert client.request(5, protocol.MembersRequest()) == OK
    assert client.next()["Members"][0]["Tags"] == {"role": "lb", "b": "3"}
    assert client.request(6, protocol.TagsRequest(delete_tags=("b",))) == OK


@pytest.mark.statement("A-221")
def test_stats_are_all_text(client):
    assert client.request(2, protocol.StatsRequest()) == OK
    stats = client.next()
    assert set(stats) == {"agent", "event_handlers", "runtime", "serf", "tags"}
    assert stats["event_handlers"] == {"user:deploy": "cat"}
    assert all(type(value) is str for section in stats.values() for value in section.values())
    assert set(stats["serf"]) == set(EXCHANGES["stats"].objects[1]["serf"])
    assert set(stats["runtime"]) == {"arch", "cpu_count", "goroutines", "max_procs", "os", "version"}


def test_own_coordinate(client):
    assert client.request(2, protocol.CoordinateRequest("n1")) == OK
    reply = client.next()
    assert reply["Ok"] is True
    assert list(reply["Coord"]) == ["Adjustment", "Error", "Height", "Vec"]
    assert len(reply["Coord"]["Vec"]) == 8
    assert all(type(value) is float for value in reply["Coord"]["Vec"])


# --- streams and queries ---------------------------------------------------------------------------------------------


@pytest.mark.statement("A-222", "A-224", "A-225")
def test_streams_tell_of_what_comes_after_their_reply(client):
    assert client.request(1, protocol.StreamRequest("user:history")) == OK
    client.send(protocol.EventRequest("history").encode_with(5))
    assert sorted(item["Seq"] for item in (client.next() for _ in range(3)) if "Seq" in item) == [1, 5]
    assert client.request(2, protocol.StreamRequest("user:now,user:history")) == OK
    assert client.request(3, protocol.StreamRequest("*")) == OK
    client.send(protocol.EventRequest("now", b"xyz").encode_with(4))
    records = {}
    while len(records) < 2:
        header = client.next()
        if header["Seq"] != 4:
            record = client.next_bytes()
            if codec.unpack(record)["Event"] == "user":
                records[header["Seq"]] = record
    assert records[2] == records[3]
    event = codec.unpack(records[2])
    assert event == {"Coalesce": False, "Event": "user", "LTime": event["LTime"], "Name": "now", "Payload": b"xyz"}
    assert list(event) == ["Coalesce", "Event", "LTime", "Name", "Payload"]


@pytest.mark.statement("A-223")
def test_streams_that_are_refused(client):
    assert client.request(26, protocol.StreamRequest("bogus")) == "Invalid event filter"
    assert client.request(26, protocol.StreamRequest("user, query")) == "Invalid event filter"
    golden(client, "stream ok")
    golden(client, "stream same seq")
    assert client.request(27, protocol.StopRequest(26)) == OK
    golden(client, "stream ok")


@pytest.mark.statement("A-226", "A-227", "A-228", "A-229")
def test_answering_queries(client, agent):
    with RawClient(agent.rpc) as other:
        other.handshake()
        assert client.request(1, protocol.StreamRequest("query")) == OK
        # ⚠ Go registers the stream only after its reply; the next request waits for that.
        assert client.request(2, protocol.StopRequest(99)) == OK
        for number in (1, 2):
            assert other.request(number, protocol.QueryRequest(name="load", timeout_ns=3 * 10**9)) == OK
            assert client.reply(1) == OK
            record = client.next()
            assert record == {
                "Event": "query",
                "ID": number,
                "LTime": record["LTime"],
                "Name": "load",
                "Payload": None,
            }
        assert other.request(3, protocol.RespondRequest(1, b"x")) == "No pending queries matching ID"
        assert client.request(4, protocol.RespondRequest(99, b"x")) == "No pending queries matching ID"
        too_large = EXCHANGES["respond too large"].objects[0]["Error"]
        assert client.request(5, protocol.RespondRequest(1, b"x" * 1100)) == too_large
        assert client.request(6, protocol.RespondRequest(1, b"x")) == OK
        assert client.request(7, protocol.RespondRequest(1, b"x")) == EXCHANGES["respond twice"].objects[0]["Error"]
        records = {1: [], 2: []}
        while "done" not in [record["Type"] for record in records[2]]:
            records[other.next()["Seq"]].append(other.next())
        response, *_ = [record for record in records[1] if record["Type"] == "response"]
        assert response == {"From": "n1", "Payload": b"x", "Type": "response"}
        # Whoever asked has been told that it is over; the agent that was asked forgets it by a timer of its own.
        past_deadline = "failed to respond to key query: response is past the deadline"
        while (said := client.request(8, protocol.RespondRequest(2, b"x"))) == past_deadline:
            pass
        assert said == "No pending queries matching ID"


@pytest.mark.statement("A-233", "A-235")
def test_a_query_is_answered_under_its_own_number(client):
    request = protocol.QueryRequest(name="_serf_ping", request_ack=True, timeout_ns=300_000_000)
    assert client.request(5, request) == OK
    records = []
    while not records or records[-1]["Type"] != "done":
        assert client.reply(5) == OK
        records.append(client.next())
    named = [record for record in records if record["From"]]
    assert named == [{"From": "n1", "Payload": None, "Type": "ack"}]
    assert records[-1] == {"From": "", "Payload": None, "Type": "done"}
    assert client.quiet()
    assert client.request(6, protocol.QueryRequest(name="_serf_ping", payload=b"x")) == (
        "Queries cannot contain the '_serf_' prefix"
    )


@pytest.mark.statement("A-234")
@pytest.mark.parametrize(("timeout_ns", "seconds"), [(500_000_000, 0.5), (-1, 0), (1, 0)])
def test_a_query_lasts_as_long_as_it_was_told(client, timeout_ns, seconds):
    started = time.monotonic()
    assert client.request(5, protocol.QueryRequest(name="x", timeout_ns=timeout_ns)) == OK
    while client.next().get("Type") != "done":
        pass
    assert seconds - 0.02 <= time.monotonic() - started < seconds + 0.4


def test_stop_does_not_end_a_query(client):
    assert client.request(5, protocol.QueryRequest(name="x", timeout_ns=300_000_000)) == OK
    assert client.request(6, protocol.StopRequest(5)) == OK
    while client.next().get("Type") != "done":
        pass


@pytest.mark.statement("A-194")
def test_internal_queries_are_not_streamed(client):
    assert client.request(1, protocol.StreamRequest("query")) == OK
    ping = protocol.QueryRequest(name="_serf_ping", request_ack=True, timeout_ns=200_000_000)
    assert client.request(2, ping) == OK
    seqs = set()
    while (record := client.next()).get("Type") != "done":
        seqs.add(record.get("Seq", 2))
    assert seqs == {2}


@pytest.mark.statement("A-230", "A-231", "A-232")
def test_monitors(client):
    assert client.request(1, protocol.MonitorRequest("debug")) == OK
    assert client.reply(1) == OK
    first = client.next()["Log"]
    assert first.endswith(" [INFO] agent: Serf agent starting")
    golden_error = "Monitor already exists"
    client.send(protocol.MonitorRequest("info").encode_with(2))
    while (header := client.next()).get("Seq") != 2:
        pass
    assert header["Error"] == golden_error
    client.send(protocol.EventRequest("seen-by-monitor").encode_with(3))
    while "seen-by-monitor" not in client.next().get("Log", ""):
        pass
    client.send(protocol.StopRequest(1).encode_with(4))
    while client.next().get("Seq") != 4:
        pass
    assert client.request(5, protocol.StopRequest(425522)) == OK
    assert client.request(6, protocol.MonitorRequest("ERR")) == OK


def test_a_monitor_and_a_stream_may_share_a_number(client):
    assert client.request(1, protocol.StreamRequest("*")) == OK
    assert client.request(1, protocol.MonitorRequest("err")) == OK
    client.send(protocol.StopRequest(1).encode_with(2))
    while client.next().get("Seq") != 2:
        pass
    client.send(protocol.EventRequest("unheard").encode_with(3))
    rest = client.rest()
    assert {"Seq": 3, "Error": ""} in rest
    # Go may still send what it had queued before, even after the answer.
    assert not any(item.get("Name") == "unheard" or "unheard" in item.get("Log", "") for item in rest)


@pytest.mark.statement("A-240")
def test_a_client_that_goes_takes_its_streams_with_it(agent):
    for _ in range(3):
        with RawClient(agent.rpc) as client:
            client.handshake()
            assert client.request(1, protocol.StreamRequest("*")) == OK
            assert client.request(2, protocol.MonitorRequest("trace")) == OK
    with RawClient(agent.rpc) as client:
        client.handshake()
        assert client.request(1, protocol.StreamRequest("user:gone")) == OK
        client.send(protocol.EventRequest("gone").encode_with(2))
        seqs = sorted(item["Seq"] for item in (client.next() for _ in range(3)) if "Seq" in item)
        assert seqs == [1, 2]
        assert client.quiet()


@pytest.mark.statement("A-241")
def test_fifty_clients_at_once(agent):
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(RawClient(agent.rpc)) for _ in range(50)]
        for client in clients:
            client.handshake()
        for client in clients:
            client.send(protocol.MembersRequest().encode_with(9))
        for client in clients:
            assert client.reply(9) == OK
            assert len(client.next()["Members"]) == 1


@pytest.mark.statement("A-239")
def test_a_client_that_does_not_read_harms_only_itself(agent):
    with RawClient(agent.rpc) as slow, RawClient(agent.rpc) as sender, Client(agent.rpc) as watcher:
        slow.handshake()
        assert slow.request(1, protocol.StreamRequest("user:flood")) == OK
        sender.handshake()
        monitor = watcher.monitor("warn")
        payload = b"x" * 400
        dropped = threading.Event()

        def watch():
            for line in monitor:
                if "[WARN] agent.ipc: Dropping event to" in line:
                    dropped.set()
                    return

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            for number in itertools.count():
                assert sender.request(number, protocol.EventRequest("flood", payload)) == OK
                if dropped.is_set() or number > 100_000:
                    break
        finally:
            monitor.close()
            thread.join(10)
        assert dropped.is_set()
        # ⚠ The flood must be over before `slow` hangs up: a Go agent may panic when a stream ends while it gets events.
        with watcher.stream("user:flood-is-over") as stream:
            watcher.user_event("flood-is-over")
            assert stream.get(60).name == "flood-is-over"
        assert sender.request(0, protocol.MembersRequest()) == OK


@pytest.mark.statement("A-239")
def test_nobody_else_notices_a_client_that_does_not_read(agent):
    with RawClient(agent.rpc) as slow, Client(agent.rpc) as reader, Client(agent.rpc) as sender:
        slow.handshake()
        assert slow.request(1, protocol.StreamRequest("user:share")) == OK
        seen = []
        stream = reader.stream("user:share,user:share-is-over")
        thread = threading.Thread(target=lambda: seen.extend(stream.get(60) for _ in range(9001)))
        thread.start()
        for start in range(0, 9000, 100):  # 4 MB in all: more than the sockets of `slow` hold
            payloads = [b"%06d" % number + b"x" * 400 for number in range(start, start + 100)]
            for call in sender.submit_all(protocol.EventRequest("share", payload) for payload in payloads):
                call.result(60)
            while len(seen) < start:  # so that it is never the reader that is too slow
                thread.join(0.001)
        sender.user_event("share-is-over")
        thread.join(60)
        assert seen.pop().name == "share-is-over"
        assert [int(event.payload[:6]) for event in seen] == list(range(9000))


@pytest.mark.statement("A-238")
@pytest.mark.parametrize("kind", AGENTS)
def test_leave_answers_then_ends_the_agent(kind):
    with AgentProcess(kind, "leaver") as agent, RawClient(agent.rpc) as client, RawClient(agent.rpc) as other:
        client.handshake()
        other.handshake()
        golden(client, "leave")
        assert other.next() is CLOSED
        assert agent.wait_exit() == 0


@pytest.mark.parametrize("agent", [pytest.param(OURS, marks=pytest.mark.socket)], indirect=True)
def test_a_request_without_end_is_refused(agent):  # Go reads on for ever
    with RawClient(agent.rpc) as client:
        client.handshake()
        client.send(RequestHeader("event", 1).encode() + b"\xc6\x7f\xff\xff\xff")
        assert client.next() is CLOSED


@pytest.mark.parametrize("kind", [pytest.param(OURS, marks=pytest.mark.socket)])
def test_a_unix_socket_serves_only_its_owner(kind, tmp_path):
    path = tmp_path / "rpc.sock"
    with AgentProcess(kind, "local", f"-rpc-addr=unix://{path}"):
        assert path.stat().st_mode & 0o777 == 0o600
        with Client(f"unix://{path}") as client:
            assert [member.name for member in client.members()] == ["local"]
            with pytest.raises(RPCError, match="Invalid event filter"):
                client.stream("bogus")


@pytest.mark.socket
def test_a_unix_socket_is_taken_over_from_the_dead_only(tmp_path):
    path = tmp_path / "rpc.sock"
    address = f"-rpc-addr=unix://{path}"
    with AgentProcess(OURS, "first", address) as first:
        with AgentProcess(OURS, "second", address, wait=False) as second:
            assert second.wait_exit() == 1
            assert f"Error starting RPC listener: listen unix {path}: bind: address already in use" in second.output
        first.kill()
        assert path.exists()
        with AgentProcess(OURS, "third", address), Client(f"unix://{path}") as client:
            assert client.stats()["agent"]["name"] == "third"
    path.unlink(missing_ok=True)
    path.write_text("precious")
    with AgentProcess(OURS, "fourth", address, wait=False) as fourth:
        assert fourth.wait_exit() == 1
    assert path.read_text() == "precious"


@pytest.mark.socket
def test_a_thousand_clients_and_two_hundred_streams():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    try:
        with AgentProcess(OURS, "n1", "-log-level=warn") as agent, contextlib.ExitStack() as stack:
            clients = [stack.enter_context(RawClient(agent.rpc)).handshake() for _ in range(1000)]
            for client in clients:
                client.send(protocol.MembersRequest().encode_with(9))
            for client in clients:
                assert client.reply(9) == OK
                assert len(client.next()["Members"]) == 1
            for seq in range(200):
                assert clients[0].request(seq, protocol.StreamRequest("user:all")) == OK
            clients[0].send(protocol.EventRequest("all").encode_with(999))
            seqs = [item["Seq"] for item in (clients[0].next() for _ in range(401)) if "Seq" in item]
            assert sorted(seqs) == [*range(200), 999]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
