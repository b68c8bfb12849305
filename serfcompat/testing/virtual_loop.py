"""A gevent loop on virtual time: it jumps to whatever is due next, and waits for nothing.

It has timers and callbacks, and no sockets: asking for one is a mistake that it reports.
Greenlets, events, queues, locks and timeouts of gevent work on it unchanged.
"""

from __future__ import annotations

import heapq
import sys
from collections import deque
from collections.abc import Callable
from typing import Any

from gevent._ffi.callback import callback

MOST_CALLBACKS = 1_000_000
"Callbacks in a row without any time passing: something spins, e.g. `while not done: sleep(0)`."


class TimeStandsStill(AssertionError):
    """Greenlets run without end while no time passes; on virtual time that is for ever."""


class VirtualTimer:
    """A timer of gevent's kind: `start(callback, *args)`, `stop()`."""

    __slots__ = ("_after", "_loop", "_repeat", "args", "callback", "order", "pending", "priority", "ref")

    def __init__(self, loop: VirtualLoop, after: float, repeat: float, ref: bool, priority: int | None) -> None:
        self._loop = loop
        self._after = max(after, 0.0)
        self._repeat = repeat
        self.ref = ref
        self.priority = priority or 0
        self.callback: Callable[..., Any] | None = None
        self.args: tuple[Any, ...] = ()
        self.order = 0
        "Tells the present start from earlier ones; 0: not started."
        self.pending = False

    @property
    def active(self) -> bool:
        return self.order != 0

    def start(self, callback: Callable[..., Any], *args: Any, update: bool = True) -> None:
        self.callback, self.args = callback, args
        self._loop._start(self, self._after)

    def again(self, callback: Callable[..., Any], *args: Any, update: bool = True) -> None:
        self.callback, self.args = callback, args
        self._loop._start(self, self._repeat)

    def stop(self) -> None:
        self._loop._stop(self)
        self.callback, self.args = None, ()

    def close(self) -> None:
        self.stop()

    def fire(self) -> None:
        function, args = self.callback, self.args
        if self._repeat:
            self._loop._start(self, self._repeat)
        else:
            self.order = 0
        if function is not None:
            try:
                function(*args)
            except BaseException:  # as the real loop: errors of watchers go to the hub
                self._loop.handle_error(function, *sys.exc_info())

    def __enter__(self) -> VirtualTimer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Watcher:
    """Something that never happens by itself."""

    __slots__ = ("_loop", "args", "callback", "ref")

    def __init__(self, loop: VirtualLoop, ref: bool = True) -> None:
        self._loop = loop
        self.ref = ref
        self.callback: Callable[..., Any] | None = None
        self.args: tuple[Any, ...] = ()

    @property
    def active(self) -> bool:
        return self.callback is not None

    pending = False

    def start(self, callback: Callable[..., Any], *args: Any) -> None:
        self.callback, self.args = callback, args

    def stop(self) -> None:
        self.callback, self.args = None, ()

    def close(self) -> None:
        self.stop()


class VirtualAsync(_Watcher):
    """Wakes the loop up, from this thread: on virtual time there is no other."""

    __slots__ = ()

    def send(self) -> None:
        if self.callback is not None:
            self._loop.run_callback(self._fire)

    send_ignoring_arg = send

    def _fire(self) -> None:
        if self.callback is not None:
            self.callback(*self.args)


class VirtualLoop:
    """What gevent asks of a loop."""

    approx_timer_resolution = 0.0
    default = False
    error_handler: Any = None
    MAXPRI, MINPRI = 2, -2
    surroundings: Any = None
    "What nodes on this loop find around them (`runtime.surroundings`)."

    def __init__(self, start: float = 0.0) -> None:
        self._now = start
        self._callbacks: deque[Any] = deque()
        self._heap: list[tuple[float, int, int, VirtualTimer]] = []
        self._orders = 0
        self._stopped = 0
        "Heap entries of timers that were stopped or started again since."
        self._spinning = 0

    # -- time ---------------------------------------------------------------------------------

    def now(self) -> float:
        """Seconds since the start of virtual time."""
        return self._now

    def update_now(self) -> None:
        pass

    update = update_now

    def run(self, nowait: bool = False, once: bool = False) -> None:
        """Run until nothing is left that could happen."""
        while True:
            self._run_callbacks()
            timer = self._next()
            if timer is None:
                return
            self._spinning = 0
            timer.fire()

    def _run_callbacks(self) -> None:
        while self._callbacks:
            self._spinning += 1
            if self._spinning > MOST_CALLBACKS:
                raise TimeStandsStill(f"{MOST_CALLBACKS} callbacks ran while it stayed {self._now} s: what spins?")
            one = self._callbacks.popleft()
            function, args = one.callback, one.args
            if function is None:
                continue
            one.callback = None
            try:
                function(*args)
            except BaseException:  # as the real loop does
                self.handle_error(one, *sys.exc_info())
            finally:
                one.args = None

    def _next(self) -> VirtualTimer | None:
        """The next timer that is due, at the time when it is; None if none keeps the loop alive."""
        while self._heap:
            at, _, order, timer = heapq.heappop(self._heap)
            if timer.order != order:
                self._stopped -= 1
            elif timer.ref or any(other.ref and other.order == o for _, _, o, other in self._heap):
                self._now = max(self._now, at)
                return timer
        return None

    def _start(self, timer: VirtualTimer, after: float) -> None:
        self._stop(timer)
        self._orders += 1
        timer.order = self._orders
        heapq.heappush(self._heap, (self._now + after, -timer.priority, self._orders, timer))

    def _stop(self, timer: VirtualTimer) -> None:
        if timer.order:
            timer.order = 0
            self._stopped += 1
            if self._stopped > 64 and self._stopped > len(self._heap) // 2:
                self._heap = [entry for entry in self._heap if entry[3].order == entry[2]]
                heapq.heapify(self._heap)
                self._stopped = 0

    # -- what gevent makes --------------------------------------------------------------------

    def timer(self, after: float, repeat: float = 0.0, ref: bool = True, priority: int | None = None) -> VirtualTimer:
        return VirtualTimer(self, after, repeat, ref, priority)

    def run_callback(self, function: Callable[..., Any], *args: Any) -> Any:
        one = callback(function, args)
        self._callbacks.append(one)
        return one

    run_callback_threadsafe = run_callback

    def async_(self, ref: bool = True, priority: int | None = None) -> VirtualAsync:
        return VirtualAsync(self, ref)

    def fork(self, ref: bool = True, priority: int | None = None) -> _Watcher:
        return _Watcher(self, ref)

    idle = prepare = check = fork

    def io(self, fd: int, events: int, ref: bool = True, priority: int | None = None) -> Any:
        raise OSError("on virtual time there are no real sockets: nodes get their network from `virtual_time`")

    def child(self, pid: int, trace: int = 0, ref: bool = True) -> Any:
        raise OSError("on virtual time there are no child processes")

    def stat(self, path: str, interval: float = 0.0, ref: bool = True, priority: int | None = None) -> Any:
        raise OSError("on virtual time files are not watched")

    def signal(self, number: int, ref: bool = True, priority: int | None = None) -> Any:
        raise OSError("on virtual time there are no signals")

    # -- the rest of the interface ------------------------------------------------------------

    def handle_error(self, context: Any, type: Any, value: Any, traceback: Any) -> None:
        if self.error_handler is not None:
            self.error_handler.handle_error(context, type, value, traceback)
        else:
            raise value.with_traceback(traceback)

    def destroy(self) -> bool:
        self._callbacks.clear()
        self._heap.clear()
        return True

    def reinit(self) -> None:
        pass

    def ref(self) -> None:
        pass

    unref = ref

    def break_(self, how: int = 0) -> None:
        pass

    def debug(self) -> list[Any]:
        return []

    def _format(self) -> str:
        return f"virtual now={self._now}"

    @property
    def activecnt(self) -> int:
        return len(self._heap) - self._stopped

    @property
    def pendingcnt(self) -> int:
        return len(self._callbacks)
