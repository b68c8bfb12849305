"""The relay between real sockets: what it passes, loses, delays and blocks."""

import itertools
import os
import random
import socket
import time

import pytest

from serfcompat import JoinError, Memberlist, MemberlistConfig
from serfcompat.testing.relay import Relay, Weather

pytestmark = pytest.mark.socket

_hosts = itertools.count(1)


def free_host() -> str:
    return f"127.33.{os.getpid() % 250}.{next(_hosts)}"


class End:
    """A bound UDP socket behind the relay."""

    def __init__(self, relay, name):
        self.host, self.front = free_host(), free_host()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((self.host, 7946))
        self.socket.settimeout(5)
        relay.serve(name, listen=f"{self.front}:7946", target=f"{self.host}:7946")

    def send(self, data, to):
        self.socket.sendto(data, (to.front, 7946))

    def receive(self):
        return self.socket.recvfrom(2048)[0]

    def received(self):
        """Everything that is there by the time a marker arrives."""
        got = []
        while (data := self.receive()) != b"marker":
            got.append(data)
        return got


@pytest.fixture
def ends():
    with Relay(random.Random(7)) as relay:
        a, b = End(relay, "a"), End(relay, "b")
        yield relay, a, b
        a.socket.close()
        b.socket.close()


def test_in_fair_weather_everything_passes_in_order(ends):
    relay, a, b = ends
    for number in range(50):
        a.send(b"%d" % number, b)
    assert [b.receive() for _ in range(50)] == [b"%d" % n for n in range(50)]
    assert relay.counts == {"passed": 50}


def test_the_share_that_is_lost_is_the_one_asked_for(ends):
    relay, a, b = ends
    relay.weather = Weather(loss=0.3)
    for data in [b"x"] * 200 + [b"marker"] * 20:  # fewer than a socket buffer holds; one marker gets through
        a.send(data, b)
    assert 115 <= len(b.received()) <= 165


def test_duplicates_and_jitter(ends):
    relay, a, b = ends
    relay.weather = Weather(duplication=1.0, jitter=0.02)
    for number in range(20):
        a.send(b"%d" % number, b)
    got = [b.receive() for _ in range(40)]
    assert sorted(got) == sorted([b"%d" % n for n in range(20)] * 2)
    assert got != sorted(got, key=int)


def test_a_block_has_a_direction_and_healing_lifts_it(ends):
    relay, a, b = ends
    relay.block("a", "b")
    a.send(b"blocked", b)
    b.send(b"passes", a)
    assert a.receive() == b"passes"
    while not relay.counts["blocked"]:  # each direction is read by itself
        time.sleep(0.001)
    relay.heal()
    a.send(b"marker", b)
    assert b.received() == []
    assert relay.counts["blocked"] == 1


def test_two_nodes_join_through_it_and_a_partition_keeps_them_from_it():
    with Relay(random.Random(7)) as relay:
        nodes = []
        for name in "ab":
            host, front = free_host(), free_host()
            relay.serve(name, listen=f"{front}:7946", target=f"{host}:7946")
            nodes.append(Memberlist(MemberlistConfig.local(name=name, bind_addr=host, advertise_addr=front)))
        a, b = nodes
        with a, b:
            relay.partition({"a"}, {"b"})
            with pytest.raises(JoinError):
                b.join([a.config.advertise_addr])
            relay.heal()
            assert b.join([a.config.advertise_addr]) == 1
            assert {node.name for node in a.members()} == {b"a", b"b"}
            assert b.ping(a.local_node()) > 0
