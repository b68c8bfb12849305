"""A node finds the real world around it, unless its hub brings another one."""

import random
import time

import pytest
from gevent.hub import get_hub

from serfcompat.errors import UsageError
from serfcompat.runtime import tcp, udp
from serfcompat.runtime.home import choose
from serfcompat.runtime.surroundings import REAL, Surroundings, here, monotonic
from serfcompat.testing.virtual_time import virtual_time
from serfcompat.wire.address import Address


def test_the_real_world_is_the_default():
    assert here() is REAL
    assert not REAL.virtual
    before = time.monotonic()
    assert before <= monotonic() <= time.monotonic()
    assert isinstance(REAL.dice(), random.Random)
    assert REAL.dice() is not REAL.dice()


def test_a_hub_may_bring_its_own():
    with virtual_time() as world:
        assert here() is world.network
        assert here().virtual
        assert monotonic() == 0.0
        world.sleep(5)
        assert monotonic() == 5.0
    assert here() is REAL


def test_where_time_is_made_up_nodes_live_on_its_hub():
    with virtual_time():
        assert choose("auto") == choose("inline") == "inline"
        with pytest.raises(UsageError):
            choose("thread")


@pytest.mark.socket
def test_the_real_sockets_are_those_of_the_ring():
    datagrams = REAL.datagrams("127.0.0.1", 0)
    listener = REAL.listen("127.0.0.1", 0)
    try:
        assert isinstance(datagrams, udp.UdpSocket)
        address = Address(b"\x7f\0\0\1", listener.getsockname()[1])
        with REAL.dial(address, 1.0, listener) as stream:
            assert isinstance(stream, tcp.Dialled)
    finally:
        datagrams.close()
        listener.close()


def test_what_a_loop_calls_its_surroundings_is_taken_as_they_are():
    class Fake(Surroundings):
        pass

    with virtual_time():
        fake = get_hub().loop.surroundings = Fake()
        assert here() is fake
