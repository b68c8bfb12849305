"""Where a node lives: on the caller's gevent hub, or in a native thread with a hub of its own.

Inline is for gevent programs: the node's greenlets share the program's hub. A thread is
for everything else: the program may block or compute, and the node still answers. The
choice is made by `start()`, never at import: a program may be imported plain and served
patched.

Calls from the node's own thread run directly. From any other thread they are handed to
the node's hub and waited for.
"""

from __future__ import annotations

import _thread
import contextlib
from collections.abc import Callable
from typing import Any, Literal, ParamSpec, TypeVar

import gevent
from gevent import monkey
from gevent.event import Event
from gevent.hub import get_hub

from serfcompat.errors import StateError, UsageError
from serfcompat.runtime.surroundings import here
from serfcompat.runtime.waiting import Handover

P = ParamSpec("P")
R = TypeVar("R")

# ⚠ gevent imports what its settings name when the first hub is made. In a patched process, two threads
# that do so together wait for each other's import locks for ever. Read once, a setting stays.
for _setting in ("loop", "resolver", "threadpool", "format_context"):
    getattr(gevent.config, _setting)

_CLOSE_TIMEOUT = 10.0
"Seconds for a node's thread to end."

HomeName = Literal["auto", "inline", "thread"]


def choose(wanted: HomeName) -> Literal["inline", "thread"]:
    """Inline for a gevent program, a thread for all else. Raises UsageError if there can be no such home here."""
    if here().virtual:
        if wanted == "thread":
            raise UsageError("on virtual time a node can't have a thread of its own: time stands still there")
        return "inline"
    if wanted != "auto":
        return wanted
    if monkey.is_module_patched("threading") or monkey.is_module_patched("socket"):
        return "inline"
    hub = gevent._hub_local.get_hub_if_exists()
    current = gevent.getcurrent()
    if hub is not None and current not in (hub, hub.parent):
        return "inline"
    return "thread"


class InlineHome:
    """The hub of the thread that started the node."""

    def __init__(self) -> None:
        self.hub = get_hub()
        self.thread_id = _thread.get_ident()

    def call(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a function on the node's hub, and return or raise what it does. It may block."""
        if _thread.get_ident() == self.thread_id:
            return function(*args, **kwargs)
        answer: Handover[R] = Handover(self.thread_id)
        self.hub.loop.run_callback_threadsafe(gevent.spawn, _answering(answer, function, args, kwargs))
        return answer.get()

    @property
    def is_here(self) -> bool:
        """Whether the caller is in the node's thread."""
        return _thread.get_ident() == self.thread_id

    def close(self) -> None:
        """Nothing: the hub belongs to the program."""


class ThreadHome:
    """A native thread that runs nothing but the node's hub."""

    def __init__(self) -> None:
        ready: Handover[tuple[Any, int, Event]] = Handover()
        self._waiting: set[Handover[Any]] = set()
        "Who waits for an answer of this thread, or for its end: nobody may wait for one that is gone."
        self._gone = False
        # ⚠ After `patch_all` threading.Thread is a greenlet; this one must be real.
        start_thread = monkey.get_original("_thread", "start_new_thread")
        start_thread(self._run, (ready,))
        self.hub, self.thread_id, self._stop = ready.get()

    def call(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a function on the node's hub, and return or raise what it does. It may block.

        Raises:
            StateError: The thread ends or has ended.
        """
        if _thread.get_ident() == self.thread_id:
            return function(*args, **kwargs)
        answer: Handover[R] = Handover(self.thread_id)
        self._waiting.add(answer)
        try:
            self._post(answer, gevent.spawn, _answering(answer, function, args, kwargs))
            return answer.get()
        finally:
            self._waiting.discard(answer)

    @property
    def is_here(self) -> bool:
        """Whether the caller is in the node's thread."""
        return _thread.get_ident() == self.thread_id

    def _post(self, waiting: Handover[Any], *callback: Any) -> None:
        """Have something called on the hub. If that is gone, or goes before, `waiting` gets a StateError."""
        try:
            self.hub.loop.run_callback_threadsafe(*callback)
        except (AttributeError, ValueError):  # the loop was destroyed
            self._gone = True
        if self._gone:  # maybe before it could see who waits
            waiting.fail(_ended())

    @property
    def gone(self) -> bool:
        """Whether the thread has ended."""
        return self._gone

    def run_last(self, function: Callable[[], None], seconds: float) -> bool:
        """At the program's end: run a function, which closes this home, from another thread; False if time ran out.

        Whatever else could wake a waiting thread may be gone by then, so it looks now and then.
        """
        with contextlib.suppress(AttributeError, ValueError):  # the loop was destroyed just now
            self.hub.loop.run_callback_threadsafe(gevent.spawn, function)
        sleep = monkey.get_original("time", "sleep")
        deadline_ns = here().now_ns() + int(seconds * 1e9)
        while not self._gone and here().now_ns() < deadline_ns:
            sleep(0.002)
        return self._gone

    def close(self) -> None:
        """End the thread and its hub."""
        if self.is_here:
            self._stop.set()
            return
        gone: Handover[None] = Handover(self.thread_id)
        self._waiting.add(gone)
        try:
            self._post(gone, self._stop.set)
            with contextlib.suppress(StateError):  # that is what we wait for
                gone.get(_CLOSE_TIMEOUT)
        finally:
            self._waiting.discard(gone)

    def _run(self, ready: Handover[tuple[Any, int, Event]]) -> None:
        hub = get_hub()
        # ⚠ Without an active watcher an idle hub believes that nothing can ever wake it, and gives up.
        keep_alive = hub.loop.async_()
        keep_alive.start(lambda: None)
        stop = Event()
        ready.set((hub, _thread.get_ident(), stop))
        try:
            stop.wait()
        finally:
            keep_alive.stop()
            keep_alive.close()
            hub.destroy(destroy_loop=True)
            self._gone = True
            for waiting in list(self._waiting):
                waiting.fail(_ended())


Home = InlineHome | ThreadHome


def open_home(wanted: HomeName) -> Home:
    """The home that `wanted` means here and now."""
    return InlineHome() if choose(wanted) == "inline" else ThreadHome()


def _answering(answer: Handover[R], function: Callable[..., R], args: Any, kwargs: Any) -> Callable[[], None]:
    """Runs a function, and hands over what becomes of it."""

    def run() -> None:
        try:
            answer.set(function(*args, **kwargs))
        except BaseException as error:  # carried to the caller, whatever it is
            answer.fail(error)

    return run


def _ended() -> StateError:
    return StateError("this node was shut down")
