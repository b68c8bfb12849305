"""The agent around a node: log lines, tags, one event loop (spec agent §2.6, §3.6)."""

from __future__ import annotations

import logging

import pytest

from serfcompat.agent.agent import Agent
from serfcompat.agent.event_scripts import parse_scripts
from serfcompat.errors import JoinError, UsageError
from serfcompat.serf.events import UserEvent
from tests.agent.fake_serf import FakeSerf, member


@pytest.fixture
def serf():
    return FakeSerf(member("n1", role="lb", dc="east"))


@pytest.fixture
def logged(caplog):
    caplog.set_level(logging.DEBUG, logger="serfcompat")
    return lambda: [record.getMessage() for record in caplog.records]


@pytest.mark.statement("A-220")
def test_tags_are_deleted_then_set(serf):
    Agent(serf).update_tags({"role": "web", "x": ""}, ["dc", "x", "absent"])
    assert serf.calls == [("set_tags", {"role": "web", "x": ""})]


def test_a_tags_file_that_fails_changes_nothing(serf, tmp_path):
    path = tmp_path / "absent" / "tags"
    with pytest.raises(UsageError) as caught:
        Agent(serf, tags_file=str(path)).set_tags({"a": "b"})
    assert str(caught.value) == f"Failed to write tags file: open {path}: no such file or directory"
    assert serf.calls == []


def test_joins_are_logged(serf, logged):
    agent = Agent(serf)
    assert agent.join(["a", "b"], replay=True) == 2
    serf.fail = JoinError(["no"])
    with pytest.raises(JoinError):
        agent.join(["c"], replay=False)
    assert logged() == [
        "agent: joining: [a b] replay: true",
        "agent: joined: 2 nodes",
        "agent: joining: [c] replay: false",
        "agent: error joining: 1 error occurred:\n\t* no\n\n",
    ]


def test_requests_are_logged_with_quoted_payloads(serf, logged):
    agent = Agent(serf)
    agent.user_event("deploy", b"a\xff\n", coalesce=True)
    agent.query("load", None)
    agent.force_leave("x", prune=False)
    agent.force_leave("x", prune=True)
    assert logged() == [
        'agent: Requesting user event send: deploy. Coalesced: true. Payload: "a\\xff\\n"',
        'agent: Requesting query send: load. Payload: ""',
        "agent: Force leaving node: x",
        "agent: Force leaving node (prune): x",
    ]


def test_the_event_loop_survives_a_consumer_that_fails(serf, logged):
    agent = Agent(serf)
    seen = []

    def fails(event):
        raise RuntimeError("broken")

    agent.add_consumer(fails)
    agent.add_consumer(seen.append)
    agent.start()
    events = [UserEvent(number, f"e{number}", None, False) for number in range(3)]
    for event in events:
        serf.emit(event)
    serf.subscription.close()
    assert agent.ended.wait(10)
    assert seen == events
    assert "agent: Received event: user-event: e2" in logged()
    assert logged()[-3:] == [
        "agent: Serf shutdown detected, quitting",
        "agent: requesting serf shutdown",
        "agent: shutdown complete",
    ]


@pytest.mark.statement("A-221")
def test_stats_name_the_first_handlers(serf):
    scripts = parse_scripts(["user:deploy=a", "*=b", "query,query=c"])
    stats = Agent(serf, scripts).stats()
    assert stats["event_handlers"] == {"user:deploy": "a", "*:": "b", "query:": "c"}
    assert stats["tags"] == {"role": "lb", "dc": "east"}
    assert all(type(value) is str for section in stats.values() for value in section.values())


def test_shutdown_happens_once(serf):
    agent = Agent(serf)
    agent.shutdown()
    agent.shutdown()
    assert serf.calls == [("shutdown",)]
