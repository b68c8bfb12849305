"""Who is told what, in which order."""

from __future__ import annotations

import queue

import pytest

from serfcompat.contrib import handlers as module
from serfcompat.contrib.handlers import Gap, Handlers, Query
from serfcompat.errors import RPCError, UsageError
from serfcompat.serf.events import EventType, MemberEvent, UserEvent
from serfcompat.testing.fake import member

DEPLOY = UserEvent(1, "deploy", b"v2", False)
FAILED = MemberEvent(EventType.MEMBER_FAILED, (member("db1", status="failed"),))


class Client:
    """As much of an RPC client as an answer needs."""

    def __init__(self, error=None):
        self.answers = queue.SimpleQueue()
        self.error = error

    def respond(self, number, payload):
        self.answers.put((number, payload))
        if self.error:
            raise self.error


def told(handlers, *wishes):
    heard = queue.SimpleQueue()
    for wish in wishes:
        handlers.add(wish, heard.put, "worker")
    return lambda: heard.get(timeout=30)


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ("deploy", [DEPLOY]),
        ("user:deploy", [DEPLOY]),
        ("member-failed", [FAILED]),
        ("member-failed,deploy", [DEPLOY, FAILED]),
        ("user", [DEPLOY]),
        ("*", [DEPLOY, FAILED]),
        ("other,query:deploy", []),
    ],
)
def test_filters(filters, wanted):
    handlers = Handlers(lambda: False)
    heard = told(handlers, filters)
    end = UserEvent(2, "end", None, False)
    handlers.add("end", lambda event: None, "worker")
    last = told(handlers, "end")
    for event in (DEPLOY, FAILED, end):
        handlers.put(event)
    last()
    assert [heard() for _ in wanted] == wanted


@pytest.mark.parametrize("wrong", ["", "member-gone", "user:", "query-load", "a:b"])
def test_events_that_do_not_exist_are_refused(wrong):
    handlers = Handlers(lambda: False)
    if wrong in ("", "user:"):  # everything, and every user event: as for streams
        handlers.add(wrong, print, "worker")
        return
    with pytest.raises(UsageError, match="no such event"):
        handlers.add(wrong, print, "worker")
    with pytest.raises(UsageError, match='per="worker" or "host"'):
        handlers.add("deploy", print, "cluster")


def test_a_handler_that_fails_is_not_the_end(caplog):
    handlers = Handlers(lambda: False)
    handlers.add("deploy", lambda event: 1 / 0, "worker")
    heard = told(handlers, "deploy")
    handlers.put(DEPLOY)
    handlers.put(DEPLOY)
    assert [heard(), heard()] == [DEPLOY, DEPLOY]
    assert "a handler failed for user-event: deploy" in caplog.text


def test_per_host_runs_where_the_host_is_led():
    leads = [False]
    handlers = Handlers(lambda: leads[0])
    once = queue.SimpleQueue()
    handlers.add("deploy", once.put, "host")
    heard = told(handlers, "deploy")
    handlers.put(DEPLOY)
    heard()
    leads[0] = True
    handlers.put(DEPLOY)
    heard()
    once.get(timeout=30)
    assert once.empty()


def test_what_a_query_handler_returns_is_the_answer():
    handlers, client = Handlers(lambda: False), Client(RPCError("response already sent"))
    handlers.add("query:load", lambda query: "0.5", "worker")
    handlers.add("query:load", lambda query: None, "worker")
    handlers.put(Query("load", None, 1, 7, client))
    handlers.put(Query("load", None, 2, 8, client))
    assert [client.answers.get(timeout=30) for _ in range(2)] == [(7, b"0.5"), (8, b"0.5")]


def test_too_slow_handlers_are_told_of_a_gap(monkeypatch):
    monkeypatch.setattr(module, "MOST_WAITING", 2)
    handlers = Handlers(lambda: False)
    busy, go = queue.SimpleQueue(), queue.SimpleQueue()
    heard = queue.SimpleQueue()

    def slow(event):
        busy.put(event)
        go.get(timeout=30)

    handlers.add("deploy", slow, "worker")
    handlers.add_for_gaps(heard.put)
    handlers.put(DEPLOY)
    busy.get(timeout=30)
    for _ in range(3):  # two wait, one is dropped
        handlers.put(DEPLOY)
    for _ in range(3):
        go.put(None)
    busy.get(timeout=30)
    busy.get(timeout=30)
    while not handlers._waiting.empty():
        pass
    go.put(None)
    handlers.put(DEPLOY)
    assert heard.get(timeout=30) == Gap(0.0)
