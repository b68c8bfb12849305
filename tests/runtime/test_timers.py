"""Timers fire once, in order, and not at all when cancelled or moved away."""

import gevent
import pytest

from serfcompat.runtime.clock import MonotonicClock
from serfcompat.runtime.timers import Timers

MS = 1_000_000


@pytest.fixture
def fired():
    return []


@pytest.fixture
def timers(fired):
    clock = MonotonicClock()
    done = gevent.event.Event()

    def fire(key, now_ns):
        fired.append(key)
        if key == ("last",):
            done.set()

    timers = Timers(clock, fire)
    timers.clock, timers.done = clock, done
    greenlet = gevent.spawn(timers.run)
    yield timers
    timers.stop()
    greenlet.kill()


def run_to_the_end(timers, after_ns):
    timers.set(("last",), timers.clock.now_ns() + after_ns)
    assert timers.done.wait(5)


def test_timers_fire_in_order_of_time_not_of_setting(timers, fired):
    now = timers.clock.now_ns()
    timers.set(("b",), now + 20 * MS)
    timers.set(("a",), now + 10 * MS)
    run_to_the_end(timers, 30 * MS)
    assert fired == [("a",), ("b",), ("last",)]


def test_a_timer_set_while_the_loop_sleeps_longer_is_not_late(timers, fired):
    timers.set(("late",), timers.clock.now_ns() + 10_000 * MS)
    gevent.idle()
    run_to_the_end(timers, 5 * MS)
    assert fired == [("last",)]


def test_moving_a_timer_fires_it_once_at_its_new_time(timers, fired):
    now = timers.clock.now_ns()
    timers.set(("moved",), now + 1 * MS)
    timers.set(("moved",), now + 25 * MS)
    timers.set(("between",), now + 10 * MS)
    run_to_the_end(timers, 40 * MS)
    assert fired == [("between",), ("moved",), ("last",)]


def test_a_cancelled_timer_stays_silent_and_cancelling_nothing_is_no_error(timers, fired):
    timers.set(("gone",), timers.clock.now_ns() + 1 * MS)
    timers.cancel(("gone",))
    timers.cancel(("never set",))
    run_to_the_end(timers, 10 * MS)
    assert fired == [("last",)]


def test_moving_one_timer_for_ever_does_not_grow_the_heap(timers):
    far = timers.clock.now_ns() + 10_000 * MS
    for step in range(10_000):
        timers.set(("moved",), far + step)
    assert len(timers._heap) <= 128
