"""The network in memory behaves as sockets do."""

import gevent
import pytest

from serfcompat.sim.latency import Fixed
from serfcompat.sim.network import Conditions
from serfcompat.testing.virtual_time import virtual_time
from serfcompat.wire.address import Address, ip_bytes

MS = 0.001


@pytest.fixture
def world():
    with virtual_time(seed=7, conditions=Conditions(latency=Fixed(1_000_000))) as world:
        yield world


@pytest.fixture
def net(world):
    return world.network


def address(host, port):
    return Address(ip_bytes(host), port)


def served(net, handler, host="10.0.0.1", port=7946):
    listener = net.listen(host, port)

    def accept():
        while True:
            gevent.spawn(handler, *listener.accept())

    gevent.spawn(accept)
    return listener


def collected(socket):
    heard = []
    gevent.spawn(socket.run, lambda data, source: heard.append((data, str(source))))
    return heard


def test_a_datagram_arrives_after_its_latency(world, net):
    a, b = net.datagrams("10.0.0.1", 7946), net.datagrams("10.0.0.2", 7946)
    heard = collected(b)
    assert a.send(b"hello", address("10.0.0.2", 7946))
    gevent.sleep(0.9 * MS)
    assert heard == []
    gevent.sleep(0.2 * MS)
    assert heard == [(b"hello", "10.0.0.1:7946")]


def test_a_mapped_address_is_the_same_one_and_other_families_are_refused(net):
    a, b = net.datagrams("10.0.0.1", 7946), net.datagrams("10.0.0.2", 7946)
    heard = collected(b)
    a.send(b"x", Address(b"\0" * 10 + b"\xff\xff" + ip_bytes("10.0.0.2"), 7946))
    gevent.sleep(1)
    assert [data for data, _ in heard] == [b"x"]
    for ip in (ip_bytes("::1"), b"", b"abc"):
        with pytest.raises(ValueError, match="cannot reach"):
            a.send(b"x", Address(ip, 7946))


def test_who_is_bound_to_every_address_hears_them_all_and_shows_the_private_one(net):
    everywhere, other = net.datagrams("0.0.0.0", 7946), net.datagrams("10.9.9.9", 1)
    heard = collected(everywhere)
    other.send(b"x", address("10.0.0.77", 7946))
    everywhere.send(b"y", address("10.9.9.9", 1))
    seen = collected(other)
    gevent.sleep(1)
    assert [data for data, _ in heard] == [b"x"]
    assert seen == [(b"y", "10.0.0.1:7946")]


def test_a_port_is_taken_once_and_free_again_when_closed(net):
    first = net.datagrams("10.0.0.1", 7946)
    listener = net.listen("10.0.0.1", 7946)
    for taken in (net.datagrams, net.listen):
        with pytest.raises(OSError, match="in use"):
            taken("10.0.0.1", 7946)
    first.close()
    listener.close()
    net.datagrams("10.0.0.1", 7946)
    net.listen("10.0.0.1", 7946)
    ports = {net.listen("10.0.0.1", 0).getsockname()[1] for _ in range(3)}
    assert len(ports) == 3


def test_a_stream_carries_bytes_in_order_both_ways(world, net):
    def echo(stream, peer):
        with stream:
            while data := stream.recv(3):
                stream.sendall(data.upper())

    served(net, echo)
    mine = net.listen("10.0.0.2", 7946)
    with net.dial(address("10.0.0.1", 7946), 5.0, mine) as stream:
        assert world.now == pytest.approx(2 * MS)
        stream.sendall(b"hello ")
        stream.sendall(b"world")
        got = b""
        while len(got) < 11:
            got += stream.recv(100)
        assert got == b"HELLO WORLD"
        assert world.now == pytest.approx(4 * MS)
        stream.close()
        with pytest.raises(BrokenPipeError):
            stream.sendall(b"x")


def test_the_end_of_a_stream_comes_after_its_bytes(net):
    served(net, lambda stream, peer: (stream.sendall(b"bye"), stream.close()))
    with net.dial(address("10.0.0.1", 7946), 5.0, net.listen("10.0.0.2", 1)) as stream:
        assert stream.recv(10) == b"bye"
        assert stream.recv(10) == b""


def test_nobody_there_is_refused_and_a_blocked_way_times_out(world, net):
    mine = net.listen("10.0.0.2", 7946)
    with pytest.raises(ConnectionRefusedError):
        net.dial(address("10.0.0.1", 7946), 5.0, mine)
    served(net, lambda stream, peer: None)
    net.block("10.0.0.1:7946", "10.0.0.2:7946")
    before = world.now
    with pytest.raises(TimeoutError):
        net.dial(address("10.0.0.1", 7946), 5.0, mine)
    assert world.now - before == 5.0


def test_a_stream_outlives_a_partition_as_retransmission_makes_it(world, net):
    net.datagrams("10.0.0.1", 7946), net.datagrams("10.0.0.2", 7946)
    served(net, lambda stream, peer: stream.sendall(stream.recv(10)))
    with net.dial(address("10.0.0.1", 7946), 5.0, net.listen("10.0.0.2", 7946)) as stream:
        cut = net.partition(["10.0.0.2:7946"])
        stream.sendall(b"x")
        with pytest.raises(gevent.Timeout), gevent.Timeout(3):
            stream.recv(1)
        net.mend(cut)
        assert stream.recv(1) == b"x"


def test_loss_is_for_one_or_for_all(net):
    a, b, c = (net.datagrams(f"10.0.0.{i}", 7946) for i in (1, 2, 3))
    heard_b, heard_c = collected(b), collected(c)
    net.lose(1.0, "10.0.0.2:7946")
    for to in ("10.0.0.2", "10.0.0.3"):
        a.send(b"x", address(to, 7946))
    gevent.sleep(1)
    assert (heard_b, len(heard_c)) == ([], 1)
    net.heal()
    everywhere = net.lose(1.0)
    a.send(b"x", address("10.0.0.2", 7946))
    gevent.sleep(1)
    assert heard_b == []
    net.mend(everywhere)
    a.send(b"x", address("10.0.0.2", 7946))
    gevent.sleep(1)
    assert len(heard_b) == 1
    assert net.network.lost == 2


def test_names_are_looked_up_in_a_table(net):
    net.names["db.example"] = ["10.0.0.7", "10.0.0.8"]
    assert net.lookup("db.example", 1, "", None) == [ip_bytes("10.0.0.7"), ip_bytes("10.0.0.8")]
    assert net.lookup("localhost", 1, "", None) == [ip_bytes("127.0.0.1")]
    with pytest.raises(OSError, match="no host nowhere"):
        net.lookup("nowhere", 1, "", None)


def test_a_closed_listener_lets_go_of_who_accepts(net):
    listener = net.listen("10.0.0.1", 7946)
    greenlet = gevent.spawn(listener.accept)
    gevent.sleep(0)
    listener.close()
    with pytest.raises(OSError):
        greenlet.get()
