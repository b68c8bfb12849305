"""Serf's broadcast queues."""

import logging

import pytest

from serfcompat.serf.config import Config
from serfcompat.serf.queues import Queues, max_depth
from serfcompat.swim.metrics import CountingMetrics

LOG = logging.getLogger("serfcompat.serf")


def taken(queues, limit=1000, members=1, overhead=3):
    return queues.broadcasts(overhead, limit, members, CountingMetrics())


@pytest.mark.statement("S-040")
def test_intents_come_before_queries_before_events():
    queues = Queues(4)
    queues.events.put(b"event", unique=True)
    queues.queries.put(b"query", unique=True)
    queues.intents.put(b"in", unique=True)
    assert taken(queues) == [b"in", b"query", b"event"]


def test_each_queue_gets_what_the_ones_before_left():
    queues = Queues(4)
    queues.intents.put(b"i" * 50, unique=True)
    queues.events.put(b"e" * 50, unique=True)
    assert taken(queues, limit=105) == [b"i" * 50]
    assert taken(queues, limit=106) == [b"i" * 50, b"e" * 50]


@pytest.mark.statement("S-041")
@pytest.mark.parametrize(("members", "times"), [(1, 4), (9, 4), (10, 8), (100, 12)])
def test_how_often_a_message_is_sent_depends_on_all_members(members, times):
    queues = Queues(4)
    queues.events.put(b"event", unique=True)
    count = 0
    while taken(queues, members=members):
        count += 1
    assert count == times


def test_every_message_taken_is_sampled():
    queues, metrics = Queues(4), CountingMetrics()
    queues.events.put(b"event", unique=True)
    queues.broadcasts(3, 1000, 1, metrics)
    assert metrics.samples["serf.msgs.sent"] == [5]


@pytest.mark.statement("S-043")
@pytest.mark.parametrize(
    ("members", "least", "depth"), [(100, 0, 4096), (100, 1024, 1024), (100, 16, 200), (101, 16, 202)]
)
def test_the_depth_allowed(members, least, depth):
    assert max_depth(Config(min_queue_depth=least), members) == depth


@pytest.mark.statement("S-044")
def test_depth_at_the_warning_warns_and_at_the_maximum_does_not_prune(caplog):
    queues, metrics = Queues(4), CountingMetrics()
    config = Config(queue_depth_warning=3, max_queue_depth=3)
    for number in range(3):
        queues.events.put(b"%d" % number, unique=True)
    queues.check_depth(config, 1, LOG, metrics)
    assert caplog.messages == ["serf: Event queue depth: 3"]
    assert len(queues.events) == 3
    queues.events.put(b"3", unique=True)
    queues.check_depth(config, 1, LOG, metrics)
    assert caplog.messages[1:] == [
        "serf: Event queue depth: 4",
        "serf: Event queue depth (4) exceeds limit (3), dropping messages!",
    ]
    assert len(queues.events) == 3
    assert metrics.samples["serf.queue.Event"] == [3, 4]
    assert metrics.samples["serf.queue.Intent"] == metrics.samples["serf.queue.Query"] == [0, 0]


def test_tokens_of_finished_messages_are_given_out_once():
    queues = Queues(1)
    queues.intents.put(b"x", unique=True, token="t")
    assert queues.take_finished() == []
    taken(queues)
    assert queues.take_finished() == ["t"]
    assert queues.take_finished() == []


@pytest.mark.parametrize("which", ["intents", "queries", "events"])
def test_something_is_pending_as_long_as_one_queue_has_it(which):
    queues = Queues(1)
    assert not queues.pending
    getattr(queues, which).put(b"x", unique=True)
    assert queues.pending
    taken(queues)
    assert not queues.pending
