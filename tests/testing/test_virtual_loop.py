"""gevent on virtual time: everything works, and takes no time."""

import gevent
import pytest
from gevent.event import AsyncResult, Event
from gevent.exceptions import LoopExit
from gevent.hub import get_hub
from gevent.lock import RLock, Semaphore
from gevent.pool import Pool
from gevent.queue import Queue

from serfcompat.testing import virtual_loop
from serfcompat.testing.virtual_time import virtual_time


@pytest.fixture(autouse=True)
def world():
    with virtual_time() as world:
        yield world


def test_a_sleep_takes_as_long_as_it_says(world):
    gevent.sleep(1e6)
    assert world.now == 1e6
    gevent.sleep(0)
    assert world.now == 1e6


def test_greenlets_wake_in_the_order_of_their_deadlines_then_of_their_start(world):
    woken = []

    def nap(name, seconds):
        gevent.sleep(seconds)
        woken.append((name, world.now))

    gevent.joinall([gevent.spawn(nap, name, s) for name, s in (("a", 3), ("b", 1), ("c", 3), ("d", 2))])
    assert woken == [("b", 1), ("d", 2), ("a", 3), ("c", 3)]


def test_events_and_results_wake_who_waits(world):
    event, result = Event(), AsyncResult()
    gevent.spawn_later(5, event.set)
    gevent.spawn_later(7, result.set, "x")
    assert event.wait(10)
    assert world.now == 5
    assert result.get(timeout=10) == "x"
    assert world.now == 7
    assert not Event().wait(3)
    assert world.now == 10


def test_timeouts_end_what_takes_too_long(world):
    with pytest.raises(gevent.Timeout), gevent.Timeout(2):
        gevent.sleep(5)
    assert world.now == 2
    with gevent.Timeout(5):
        gevent.sleep(5)  # who is done in time has won
    assert world.now == 7


def test_queues_pools_and_locks(world):
    queue = Queue(maxsize=1)
    gevent.spawn(lambda: [queue.put(i) or gevent.sleep(1) for i in range(3)])
    assert [queue.get(timeout=5) for _ in range(3)] == [0, 1, 2]
    pool = Pool(2)
    assert pool.map(lambda n: gevent.sleep(n) or n, [3, 1, 2]) == [3, 1, 2]
    lock, order = Semaphore(1), []

    def hold(name):
        with lock:
            order.append(name)
            gevent.sleep(1)

    gevent.joinall([gevent.spawn(hold, name) for name in "abc"])
    assert order == ["a", "b", "c"]
    with RLock():
        gevent.sleep(1)


def test_killed_greenlets_end(world):
    ended = []

    def work():
        try:
            gevent.sleep(100)
        finally:
            ended.append(world.now)

    greenlet = gevent.spawn(work)
    gevent.sleep(2)
    greenlet.kill()
    assert ended == [2]


def test_a_deadlock_is_found_at_once():
    with pytest.raises(LoopExit):
        Event().wait()


def test_what_spins_without_time_passing_is_found(monkeypatch):
    monkeypatch.setattr(virtual_loop, "MOST_CALLBACKS", 1000)

    def spin():
        while True:
            gevent.sleep(0)

    with pytest.raises(virtual_loop.TimeStandsStill, match="1000 callbacks ran while it stayed"):
        gevent.spawn(spin).join()


def test_stopped_timers_don_t_pile_up():
    event = Event()
    for _ in range(5000):
        gevent.spawn_later(0.001, event.set)
        event.wait(3600)
        event.clear()
    loop = get_hub().loop
    assert len(loop._heap) < 200
    assert loop.activecnt <= 1


@pytest.mark.parametrize(("kind", "args"), [("io", (0, 1)), ("child", (1,)), ("stat", (".",)), ("signal", (1,))])
def test_the_real_world_is_out_of_reach(kind, args):
    with pytest.raises(OSError, match="on virtual time"):
        getattr(get_hub().loop, kind)(*args)


def test_an_error_in_a_greenlet_is_its_own(world, capsys):
    greenlet = gevent.spawn(lambda: 1 / 0)
    gevent.sleep(1)
    assert isinstance(greenlet.exception, ZeroDivisionError)
    assert "ZeroDivisionError" in capsys.readouterr().err
    assert world.now == 1
