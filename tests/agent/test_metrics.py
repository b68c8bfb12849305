"""Metrics: what is kept, and what servers are told (spec agent §7)."""

from __future__ import annotations

import json
import re
import socket

import gevent
import pytest

from serfcompat.agent.metric_sinks import DATAGRAM, QUEUE, LineSink, Statsd, Statsite
from serfcompat.agent.metrics import AgentMetrics, Aggregate
from serfcompat.rpc.client import Client
from tests.agents import free_host


class Clock:
    now = 1_000_000_005.5

    def __call__(self):
        return self.now


class Lines(LineSink):
    """A sink that only gathers."""

    def __init__(self):
        super().__init__("nowhere:1")

    @property
    def taken(self):
        return b"".join(self._lines).decode("utf-8", "surrogateescape").splitlines()


@pytest.mark.statement("A-262")
def test_the_dump_has_all_intervals_but_the_current_one():
    clock = Clock()
    metrics = AgentMetrics(host="vm", now=clock)
    metrics.gauge("memberlist.health.score", 3)
    metrics.gauge("memberlist.health.score", 4)
    metrics.gauge("memberlist.node.instances", 2, {"node_state": "alive"})
    metrics.incr("serf.events.foo bar:x")
    metrics.incr("serf.events.foo_bar:x")
    for value in (1.0, 2.0, 6.0):
        metrics.sample("memberlist.gossip", value)
    assert metrics.dump() == ""
    clock.now += 10
    metrics.incr("later")
    stamp = r"\[2001-09-0\d \d\d:46:40 [+-]\d{4} \w+\]"
    last = r"LastUpdated: 2001-09-0\d \d\d:46:45\.500000 [+-]\d{4} \w+"
    patterns = [
        rf"{stamp}\[G\] 'serf-agent\.memberlist\.health\.score': 4\.000",
        rf"{stamp}\[G\] 'serf-agent\.memberlist\.node\.instances\.alive': 2\.000",
        rf"{stamp}\[C\] 'serf-agent\.serf\.events\.foo_bar:x': Count: 2 Sum: 2\.000 {last}",
        rf"{stamp}\[S\] 'serf-agent\.memberlist\.gossip': "
        rf"Count: 3 Min: 1\.000 Mean: 3\.000 Max: 6\.000 Stddev: 2\.646 Sum: 9\.000 {last}",
    ]
    lines = metrics.dump().splitlines()
    assert len(lines) == len(patterns)
    for line, pattern in zip(lines, patterns, strict=True):
        assert re.fullmatch(pattern, line), line
    for _ in range(20):
        clock.now += 10
        metrics.incr("x")
    assert len(metrics.dump().splitlines()) == 5


def test_equal_values_have_no_deviation():
    aggregate = Aggregate()
    for _ in range(3):
        aggregate.add(0.1, 0.0)
    assert aggregate.deviation < 1e-6


@pytest.mark.statement("A-260", "A-261")
def test_lines_for_servers():
    sink = Lines()
    metrics = AgentMetrics([sink], host="vm")
    metrics.incr("serf.events.foo bar:x")
    metrics.gauge("runtime.num_goroutines", 25)
    metrics.sample("agent.invoke.echo a b c", 2.642832)
    assert sink.taken == [
        "serf-agent.serf.events.foo_bar_x:1.000000|c",
        "serf-agent.vm.runtime.num_goroutines:25.000000|g",
        "serf-agent.agent.invoke.echo_a_b_c:2.642832|ms",
    ]


def test_a_full_queue_drops_what_is_new():
    sink = Lines()
    for number in range(QUEUE + 5):
        sink.put(str(number), 1, "c")
    assert len(sink.taken) == QUEUE


@pytest.mark.socket
@pytest.mark.statement("A-259")
def test_datagrams_hold_1400_bytes_at_most():
    with gevent.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(20)
        sink = Statsd("{}:{}".format(*server.getsockname()))
        for number in range(200):
            sink.put(f"metric.number.{number}", number, "c")
        running = gevent.spawn(sink.run)
        received = b""
        while received.count(b"\n") < 200:
            datagram = server.recv(65536)
            assert len(datagram) <= DATAGRAM
            assert datagram.endswith(b"\n")
            received += datagram
        running.kill()
    assert received.splitlines()[199] == b"metric.number.199:199.000000|c"


@pytest.mark.socket
def test_statsite_is_a_stream_and_may_come_and_go(monkeypatch):
    monkeypatch.setattr("serfcompat.agent.metric_sinks.PAUSE", 0.01)
    with gevent.socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        server.settimeout(20)
        sink = Statsite("{}:{}".format(*server.getsockname()))
        running = gevent.spawn(sink.run)
        sink.put("a.b", 1.5, "g")
        with server.accept()[0] as client:
            assert client.recv(100) == b"a.b:1.500000|g\n"

        def again():  # the loss shows with the first or second write after it
            while True:
                sink.put("again", 1, "c")
                gevent.sleep(0.15)

        telling = gevent.spawn(again)
        with server.accept()[0] as client:
            assert client.recv(100).startswith(b"again:1.000000|c\n")
        gevent.killall([running, telling])


@pytest.mark.statement("A-259", "A-260", "A-261")
def test_an_agent_tells_statsd(start, tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((free_host(), 0))
        server.settimeout(10)
        host, port = server.getsockname()
        config = tmp_path / "statsd.json"
        config.write_text(json.dumps({"statsd_addr": f"{host}:{port}", "event_handlers": ["user=echo a:b"]}))
        agent = start("n1", f"-config-file={config}")
        with Client(agent.rpc) as client:
            client.user_event("foo bar")
        wanted = {
            "serf-agent.agent.ipc.accept:1.000000|c",
            "serf-agent.agent.ipc.command:1.000000|c",
            "serf-agent.serf.events.foo_bar:1.000000|c",
            "serf-agent.serf.events:1.000000|c",
        }
        patterns = [
            rf"serf-agent\.{re.escape(socket.gethostname())}\.runtime\.num_goroutines:\d+\.000000\|g",
            r"serf-agent\.agent\.invoke\.echo_a_b:\d+\.\d{6}\|ms",
            r"serf-agent\.memberlist\.gossip:\d+\.\d{6}\|ms",
        ]
        seen = set()
        while not (wanted <= seen and all(any(re.fullmatch(each, line) for line in seen) for each in patterns)):
            datagram = server.recv(65536)
            assert len(datagram) <= 1400
            seen |= set(datagram.decode().splitlines())
        assert all(re.fullmatch(r"serf-agent\.[^: ]+:-?\d+\.\d{6}\|(c|g|ms)", line) for line in seen)
