"""Asking queries, and being asked."""

import pytest

from serfcompat.errors import PayloadTooLarge, UsageError
from serfcompat.serf.lamport import LTIME_MAX
from serfcompat.serf.queries import QueryParams, default_timeout_ns
from serfcompat.serf.snapshot import Snapshot
from serfcompat.swim.effects import SetTimer
from serfcompat.wire.address import Address
from serfcompat.wire.serf_messages import QueryMessage, QueryResponse
from serfcompat.wire.types import QueryFlag

from .nodes import HERE, SECOND, Node

ASKER = Address(b"\x0a\x00\x00\x02", 7946)


def query(ltime=1, id=9, *, filters=None, flags=0, name=b"q", relay=0, timeout_ns=SECOND, source=b"b", addr=ASKER):
    return QueryMessage(ltime, id, addr.ip, addr.port, source, filters, flags, relay, timeout_ns, name, None)


def asked(node, **params):
    return node.engine.query("uptime", b"hello", QueryParams(**params), node.now_ns)


def message_of(node):
    [message] = node.gossip()
    return QueryMessage.decode(message[1:])


@pytest.mark.statement("S-113")
def test_protocol_three_has_no_queries():
    node = Node(protocol_version=3).start()
    with pytest.raises(UsageError, match=r"^Feature not supported$"):
        asked(node)
    Node(protocol_version=4).start().engine.query("q", None, QueryParams(), 0)


@pytest.mark.statement("S-114")
@pytest.mark.parametrize(("nodes", "seconds"), [(0, 0), (1, 3.2), (9, 3.2), (10, 6.4), (99, 6.4), (100, 9.6)])
def test_the_default_timeout_grows_with_the_cluster(nodes, seconds, monkeypatch):
    node = Node()
    monkeypatch.setattr(node.core.swim, "alive_count", lambda: nodes)
    assert default_timeout_ns(node.core) == int(seconds * SECOND)


@pytest.mark.statement("S-115", "S-138")
def test_no_timeout_means_the_default_one_and_closes_the_query():
    node = Node().start()
    started = asked(node)
    assert started.deadline_ns == int(3.2 * SECOND)
    assert SetTimer(("serf-query", 1), started.deadline_ns) in started.effects
    assert message_of(node).timeout_ns == int(3.2 * SECOND)
    assert asked(node, timeout_ns=5).deadline_ns == 5


@pytest.mark.statement("S-053", "S-117")
def test_a_query_uses_the_present_time_and_an_id_below_2_to_the_31():
    node = Node().start()
    for _ in range(50):
        before = node.core.query_clock.time
        key = asked(node).key
        assert (key[0], node.core.query_clock.time) == (before, before + 1)
        assert 0 <= key[1] < 2**31


def test_a_query_says_who_asks_and_how():
    node = Node().start()
    asked(node, request_ack=True, relay_factor=3, filter_nodes=["n"], filter_tags={"role": "."})
    message = message_of(node)
    assert (message.addr, message.port, message.source_node) == (HERE.ip, HERE.port, b"me")
    assert (message.flags, message.relay_factor) == (QueryFlag.ACK, 3)
    assert [f[0] for f in message.filters] == [0, 1]
    assert (message.name, message.payload) == (b"uptime", b"hello")


@pytest.mark.statement("S-116", "S-054")
def test_a_query_over_the_limit_is_refused_and_moves_no_clock():
    node = Node().start()
    with pytest.raises(PayloadTooLarge, match=r"(?m)^query exceeds limit of 1024 bytes$"):
        node.engine.query("q", b"x" * 1000, QueryParams(), 0)
    assert node.core.query_clock.time == 1
    assert node.gossip() == []


@pytest.mark.parametrize("factor", [-1, 256])
def test_a_relay_factor_is_a_byte(factor):
    with pytest.raises(UsageError, match="relay_factor"):
        asked(Node().start(), relay_factor=factor)
    asked(Node().start(), relay_factor=255)


@pytest.mark.statement("S-126")
def test_the_asker_is_asked_as_well():
    node = Node().start()
    started = asked(node, request_ack=True)
    node.did(started.effects)
    [event] = [e for e in node.events() if str(e) == "query: uptime"]
    [(ack, to)] = node.sent()
    assert to == HERE
    node.hear(ack)
    assert [a.from_ for a in node.effects if hasattr(a, "from_")] == ["me"]
    node.did(node.engine.respond(event, b"1 day", 0))
    (_, _), (response, to) = node.sent()
    assert to == HERE
    assert QueryResponse.decode(response[1:]).payload == b"1 day"


@pytest.mark.statement("S-125")
def test_a_query_is_known_by_its_time_and_id():
    node = Node()
    for message in (query(1, 9), query(1, 9, name=b"other"), query(1, 10), query(2, 9)):
        node.hear(message)
    assert [(e.ltime, e.id) for e in node.events()] == [(1, 9), (1, 10), (2, 9)]
    assert len(node.core.queues.queries) == 3
    assert node.metrics.counters["serf.queries"] == node.metrics.counters["serf.queries.q"] == 3


def test_the_event_tells_all_that_is_needed_to_answer():
    node = Node()
    node.now_ns = 100
    node.hear(query(5, 9, relay=2))
    [event] = node.events()
    assert (event.source, event.source_node, event.relay_factor) == (ASKER, "b", 2)
    assert event.deadline_ns == SECOND + 100


def test_queries_older_than_the_buffer_are_dropped(caplog):
    node = Node(query_buffer=4)
    node.hear(query(9))
    node.hear(query(6))
    node.hear(query(5))
    assert [e.ltime for e in node.events()] == [9, 6]
    assert caplog.messages == ["serf: received old query q from time 5 (current: 10)"]
    assert len(node.core.queues.queries) == 2


def test_the_memory_of_ids_has_an_end(caplog):
    node = Node()
    node.core.query_ids._max_weight = 10
    for id in range(20):
        node.hear(query(1, id))
    assert len(node.events()) == len(node.core.queues.queries) == 10
    assert caplog.messages == ["serf: query buffer is full, dropping query q"] * 10


@pytest.mark.statement("S-139", "S-185")
def test_queries_before_the_minimum_are_dropped_silently(caplog):
    node = Node()
    node = Node(restored=Snapshot.replay(b"query-clock: 7\n", log=node.core.log))
    node.hear(query(7))
    assert node.events() == node.gossip() == []
    assert not caplog.records
    node.hear(query(8))
    assert [e.ltime for e in node.events()] == [8]


@pytest.mark.statement("S-123")
def test_who_is_not_asked_passes_on_and_says_nothing():
    node = Node()
    node.hear(query(filters=[bytes.fromhex("0091a178")], flags=QueryFlag.ACK))
    assert node.effects == []
    assert len(node.core.queues.queries) == 1
    assert node.metrics.counters["serf.queries"] == 1


@pytest.mark.statement("S-124")
def test_no_broadcast_stops_the_passing_on_and_nothing_else():
    node = Node().start()
    node.forget()
    node.hear(query(flags=QueryFlag.ACK | QueryFlag.NO_BROADCAST))
    assert len(node.core.queues.queries) == 0
    assert [str(e) for e in node.events()] == ["query: q"]
    assert len(node.sent()) == 1


def test_filters_look_at_the_configured_tags():
    node = Node(tags={"role": "web"})
    role = [bytes.fromhex("0182a445787072a45e776562a3546167a4726f6c65")]
    node.hear(query(1, filters=role))
    assert len(node.events()) == 1
    node.core.tags = {"role": "db"}
    node.hear(query(2, filters=role))
    assert len(node.events()) == 1


@pytest.mark.statement("S-127")
def test_the_ack_goes_to_the_asker_under_its_name(monkeypatch):
    node = Node("node-b")
    sent = []
    monkeypatch.setattr(node.core.swim, "send_user", lambda *args: sent.append(args) or [])
    node.hear(query(7, 0x12345678, flags=QueryFlag.ACK, source=b"node-a", addr=Address(b"\x7f\0\0\1", 7946)))
    ack = bytes.fromhex("0585a5466c61677301a446726f6da66e6f64652d62a24944ce12345678a54c54696d6507a75061796c6f6164c0")
    assert sent == [(ack, Address(b"\x7f\0\0\1", 7946), b"node-a", 0)]


def test_an_asker_without_an_address_is_not_acked_but_heard(caplog):
    node = Node()
    node.hear(query(flags=QueryFlag.ACK, addr=Address(b"", 0)))
    assert [str(e) for e in node.events()] == ["query: q"]
    assert [m[:25] for m in caplog.messages] == ["serf: failed to send ack:"]


def test_the_last_lamport_time_is_not_believed():  # defect D-6
    node = Node()
    node.hear(query(LTIME_MAX))
    assert node.events() == node.gossip() == []
    assert node.core.query_clock.time == 1
