"""Signals, in agents of both kinds (spec agent §2.9, §2.10)."""

from __future__ import annotations

import json
import re
import signal
import socket

import pytest

from serfcompat.errors import RPCError
from serfcompat.rpc.client import Client
from serfcompat.rpc.protocol import LeaveRequest
from serfcompat.serf.member import MemberStatus
from tests.agents import free_host


def write(path, **settings):
    path.write_text(json.dumps(settings))
    return f"-config-file={path}"


def statuses(agent):
    with Client(agent.rpc) as client:
        return {member.name: member.status for member in client.members()}


@pytest.fixture
def start(start):
    """Agents that have reached the point where they heed signals."""

    def settled(*args, **options):
        agent = start(*args, **options)
        if options.get("wait", True):
            agent.settle()
        return agent

    return settled


@pytest.mark.statement("A-157", "A-162")
def test_interrupt_leaves_gracefully(start):
    one = start("n1")
    two = start("n2", f"-join={one.gossip}")
    one.wait_for("EventMemberJoin: n2")
    two.signal(signal.SIGINT)
    assert two.wait_exit() == 0
    assert "==> Caught signal: interrupt\n==> Gracefully shutting down agent...\n" in two.output
    wanted = [
        "[INFO] agent: requesting graceful leave from Serf",
        "[INFO] serf: EventMemberLeave: n2 ",
        "[INFO] agent: requesting serf shutdown",
        "[INFO] agent: shutdown complete",
    ]
    places = [two.output.index(text) for text in wanted]
    assert places == sorted(places)
    one.wait_for("EventMemberLeave: n2")
    assert statuses(one)["n2"] is MemberStatus.LEFT


@pytest.mark.statement("A-158")
def test_interrupt_may_be_told_not_to_leave(start, tmp_path):
    one = start("n1")
    two = start("n2", write(tmp_path / "c", skip_leave_on_interrupt=True), f"-join={one.gossip}")
    one.wait_for("EventMemberJoin: n2")
    two.signal(signal.SIGINT)
    assert two.wait_exit() == 1
    assert "Gracefully" not in two.output
    assert "[WARN] serf: Shutdown without a Leave" in two.output
    one.wait_for("EventMemberFailed: n2")


@pytest.mark.statement("A-159", "A-162")
def test_terminate_leaves_only_if_told_to(start, tmp_path):
    for settings, code in (({}, 1), ({"leave_on_terminate": True}, 0)):
        agent = start("n1", write(tmp_path / "c", **settings))
        agent.signal(signal.SIGTERM)
        assert agent.wait_exit() == code
        assert "==> Caught signal: terminated\n" in agent.output
        assert ("==> Gracefully shutting down agent...\n" in agent.output) == (code == 0)


@pytest.mark.statement("A-160")
@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_second_signal_ends_it_at_once(start, second):
    agent = start("n1")
    agent.signal(signal.SIGINT)
    agent.wait_for("Gracefully shutting down agent...")
    agent.signal(second)
    assert agent.wait_exit() == 1


@pytest.mark.statement("A-161")
def test_a_leave_that_takes_longer_than_3_seconds(start):
    one = start("n1", profile="wan")
    two = start("n2", f"-join={one.gossip}", profile="wan")
    one.wait_for("EventMemberJoin: n2")
    two.signal(signal.SIGINT)
    assert two.wait_exit() == 1
    assert "Gracefully shutting down agent..." in two.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_before_the_log_streams_signals_just_kill(start, number):
    with socket.create_server((free_host(), 0)) as silent:
        host, port = silent.getsockname()
        agent = start("n1", f"-join={host}:{port}", profile="lan", wait=False)
        agent.wait_for("==> Joining cluster...(replay: false)")
        before = agent.output
        agent.signal(number)
        assert agent.wait_exit() == -number
        assert agent.output == before


@pytest.mark.statement("A-163", "A-164", "A-162")
def test_hangup_reloads(start, tmp_path):
    path = tmp_path / "c"
    agent = start("n1", write(path, tags={"a": "1"}, log_level="ERR"))
    assert "agent: Serf agent starting" not in agent.output
    with Client(agent.rpc) as client:
        client.update_tags({"by": "rpc"})
        handlers = ["user:x=echo handled > " + str(tmp_path / "handled")]
        write(path, tags={"a": "2"}, log_level="INFO", event_handlers=handlers, node_name="other", rpc_auth="sesame")
        agent.signal(signal.SIGHUP)
        agent.wait_for("==> Caught signal: hangup")
        agent.wait_for("==> Reloading configuration...")
        agent.wait_for("[INFO] serf: EventMemberUpdate: n1")
        (member,) = client.members()
        assert (member.name, member.tags) == ("n1", {"a": "2"})
        client.user_event("x")
        agent.wait_for("agent: Received event: user-event: x")
        client.user_event("y")
        agent.wait_for("agent: Received event: user-event: y")
        assert (tmp_path / "handled").read_text() == "handled\n"
        assert client.stats()["event_handlers"] == {}  # still those of the start
        write(path, tags={"a": "3"}, leave_on_terminate=True)
        agent.signal(signal.SIGHUP)
        agent.wait_for("==> Reloading configuration...", count=2)
        agent.wait_for("[INFO] serf: EventMemberUpdate: n1", count=2)
    agent.signal(signal.SIGTERM)
    assert agent.wait_exit() == 0


@pytest.mark.statement("A-165")
def test_hangup_with_broken_settings_changes_nothing(start, tmp_path):
    path = tmp_path / "c"
    agent = start("n1", write(path, tags={"a": "1"}))
    path.write_text('{"tags": {"a": "2"}, "bogus": 1}')
    agent.signal(signal.SIGHUP)
    agent.wait_for("==> Failed to reload configs")
    assert f"==> Reloading configuration...\n==> Error decoding '{path}': 1 error(s) decoding:\n" in agent.output
    with Client(agent.rpc) as client:
        assert client.members()[0].tags == {"a": "1"}


@pytest.mark.statement("A-166")
def test_hangup_with_a_wrong_level_does_the_rest(start, tmp_path):
    path = tmp_path / "c"
    agent = start("n1", write(path, tags={"a": "1"}))
    write(path, tags={"a": "2"}, log_level="NOPE")
    agent.signal(signal.SIGHUP)
    agent.wait_for("==> Invalid log level: NOPE. Valid log levels are: [TRACE DEBUG INFO WARN ERR]")
    agent.wait_for("[INFO] serf: EventMemberUpdate: n1")
    with Client(agent.rpc) as client:
        assert client.members()[0].tags == {"a": "2"}


@pytest.mark.statement("A-167")
def test_hangup_with_too_many_tags(start, tmp_path):
    path = tmp_path / "c"
    agent = start("n1", write(path, tags={"a": "1"}))
    write(path, tags={"a": "x" * 520})
    agent.signal(signal.SIGHUP)
    agent.wait_for("==> Failed to update tags: Encoded length of tags exceeds limit of 512 bytes")
    with Client(agent.rpc) as client:
        assert client.members()[0].tags == {"a": "1"}


@pytest.mark.statement("A-168")
def test_signals_that_do_not_end_it(start):
    agent = start("n1")
    for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGPIPE):
        agent.signal(number)
    with Client(agent.rpc) as client:
        client.user_event("alive")
        agent.wait_for("agent: Received event: user-event: alive")
    agent.kill()
    # Metrics, if an interval of ten seconds has just gone by; else nothing.
    assert all(re.match(rb"\[\d{4}-\d\d-\d\d .*\]\[[GCS]\] '", line) for line in agent.stderr.splitlines())
    assert not re.search(r"\]\[[GCS]\] '", agent.output)


def test_quit_shows_where_it_stands(start):
    agent = start("n1")
    agent.signal(signal.SIGQUIT)
    assert agent.wait_exit() == 2
    assert agent.stderr


def test_a_second_leave_over_rpc_is_told_so(start):
    one = start("n1")
    with Client(one.rpc) as first, Client(one.rpc) as second:
        call = first.submit(LeaveRequest())
        one.wait_for("agent.ipc: Graceful leave triggered")
        with pytest.raises(RPCError, match="Leave already in progress"):
            second.leave()
        with pytest.raises(RPCError):
            call.result(10)
    assert one.wait_exit() == 0
