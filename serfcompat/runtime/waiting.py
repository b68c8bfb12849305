"""Waiting for a word from another thread: cooperatively in a greenlet, natively in a plain thread."""

from __future__ import annotations

import _thread
import contextlib
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import gevent
from gevent import monkey
from gevent.hub import Waiter, get_hub

R = TypeVar("R")

Wait = Callable[[float | None], None]
"Waits until woken, at most so many seconds; returns in both cases."
Wake = Callable[[], None]
"Ends the wait, from any thread, also if it has not begun yet."


def waiter(home_thread: int) -> tuple[Wait, Wake]:
    """How the caller waits, and how it is woken.

    A greenlet of any hub must not block its thread. The main greenlet of a plain thread
    should: its hub, if it has one at all, has nothing else to do, and gevent would call
    the wait a deadlock. In a patched program even the main greenlet must not, for other
    greenlets count on that. `home_thread` is the one whose hub runs the node.
    """
    patched = monkey.is_module_patched("threading")
    hub = get_hub() if patched else gevent._hub_local.get_hub_if_exists()
    if hub is not None and (
        patched or _thread.get_ident() == home_thread or gevent.getcurrent() not in (hub, hub.parent)
    ):
        if _thread.get_ident() == home_thread:
            return _at_home(hub)
        # An async watcher is both safe to send from any thread and a reason for the loop to go on.
        watcher = hub.loop.async_()
        sent = False

        def wake_greenlet() -> None:
            nonlocal sent
            sent = True
            with contextlib.suppress(AttributeError, ValueError):  # the wait ended, in its thread, just now
                watcher.send()

        def wait_greenlet(timeout: float | None) -> None:
            try:
                if not sent:
                    with gevent.Timeout(timeout, False):
                        hub.wait(watcher)
            finally:
                watcher.close()

        return wait_greenlet, wake_greenlet

    lock = monkey.get_original("_thread", "allocate_lock")()
    lock.acquire()

    def wait_natively(timeout: float | None) -> None:
        lock.acquire(True, -1 if timeout is None else max(0.0, timeout))

    def wake_natively() -> None:
        if lock.locked():
            lock.release()

    return wait_natively, wake_natively


def _at_home(hub: Any) -> tuple[Wait, Wake]:
    """For a greenlet of the node's own hub, whose loop has the node's sockets to go on for."""
    waiter: Any = Waiter(hub)
    home = _thread.get_ident()
    woken = False

    def wake() -> None:
        nonlocal woken
        if not woken:
            woken = True
            with contextlib.suppress(AttributeError, ValueError):  # the loop was destroyed: nobody waits any more
                schedule = hub.loop.run_callback if _thread.get_ident() == home else hub.loop.run_callback_threadsafe
                schedule(waiter.switch, None)

    def wait(timeout: float | None) -> None:
        if woken:
            return
        if timeout is None:
            waiter.get()
        else:
            with gevent.Timeout(timeout, False):
                waiter.get()

    return wait, wake


def pause(seconds: float = 0.005) -> None:
    """Let others go on: the greenlets of this thread, or its siblings."""
    hub = gevent._hub_local.get_hub_if_exists()
    if hub is not None and gevent.getcurrent() not in (hub, hub.parent):
        gevent.sleep(seconds)
    else:
        monkey.get_original("time", "sleep")(seconds)


class Handover(Generic[R]):
    """One result, handed from the thread that makes it to the one that created this. The first one counts.

    ⚠ Not `concurrent.futures.Future`: in a patched program that waits for greenlets of its own hub only.
    """

    def __init__(self, maker: int = -1) -> None:
        """`maker`: the thread that will make the result, if known; see `waiter`."""
        self._wait, self._wake = waiter(maker)
        self._value: R
        self._error: BaseException | None = None
        self._done = False

    def set(self, value: R) -> None:
        if not self._done:
            self._value = value
            self._done = True
            self._wake()

    def fail(self, error: BaseException) -> None:
        if not self._done:
            self._error = error
            self._done = True
            self._wake()

    def get(self, timeout: float | None = None) -> R:
        """Wait for it, once. Raises what it failed with, or TimeoutError."""
        self._wait(timeout)
        if not self._done:
            raise TimeoutError(f"nothing came within {timeout} s")
        if self._error is not None:
            raise self._error
        return self._value
