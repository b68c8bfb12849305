"""Channels between the node's hub and consumers in greenlets and native threads."""

import _thread
import threading

import gevent
import pytest

from serfcompat.runtime.channel import Channel
from serfcompat.runtime.home import ThreadHome


@pytest.fixture
def home():
    home = ThreadHome()
    yield home
    home.close()


def test_items_come_in_order_and_the_end_after_the_last():
    channel = Channel(_thread.get_ident())
    for item in (1, 2, 3):
        assert channel.put(item)
    channel.close()
    assert list(channel) == [1, 2, 3]
    assert not channel.put(4)


def test_a_full_channel_drops_the_new_item_and_counts_it():
    channel = Channel(_thread.get_ident(), maxsize=2)
    assert [channel.put(item) for item in "abc"] == [True, True, False]
    assert channel.dropped == 1
    assert channel.get() == "a"
    assert channel.put("d")


def test_a_timeout_is_an_error_of_its_own():
    channel = Channel(_thread.get_ident())
    with pytest.raises(TimeoutError):
        channel.get(timeout=0.01)
    channel.close()
    with pytest.raises(EOFError):
        channel.get(timeout=0.01)


def test_a_native_thread_waits_for_what_the_hub_of_another_puts(home):
    channel = Channel(home.thread_id)
    home.hub.loop.run_callback_threadsafe(gevent.spawn_later, 0.02, channel.put, "x")
    assert channel.get(timeout=5) == "x"


def test_a_greenlet_waits_without_blocking_its_own_hub(home):
    channel = Channel(home.thread_id)
    ticks = []

    def tick():
        while len(ticks) < 3:
            gevent.sleep(0.001)
            ticks.append(1)
        home.hub.loop.run_callback_threadsafe(channel.put, "x")

    ticking = gevent.spawn(tick)
    assert gevent.spawn(channel.get, 5).get() == "x"
    ticking.join()
    assert len(ticks) == 3


def test_several_threads_share_one_channel_and_nothing_is_lost_or_doubled(home):
    channel = Channel(home.thread_id)
    got = []

    def take():
        for item in channel:
            got.append(item)

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    home.call(lambda: [channel.put(item) for item in range(500)])
    home.call(channel.close)
    for thread in threads:
        thread.join(10)
    assert sorted(got) == list(range(500))
