"""A started engine in its home: what `Memberlist` and `Serf` have in common."""

from __future__ import annotations

import atexit
import itertools
import logging
import os
import weakref
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from gevent import monkey

from serfcompat.errors import ForkedError, StateError
from serfcompat.runtime.advertise import advertised
from serfcompat.runtime.home import Home, HomeName, InlineHome, ThreadHome, open_home
from serfcompat.runtime.ring import Engine, Ring, Sockets
from serfcompat.runtime.surroundings import here
from serfcompat.runtime.waiting import pause
from serfcompat.swim.config import MemberlistConfig
from serfcompat.swim.metrics import Metrics
from serfcompat.wire.address import Address

# A library is silent unless the program wants to hear it; logging's last resort would print warnings.
logging.getLogger("serfcompat").addHandler(logging.NullHandler())

_nodes: weakref.WeakSet[Node[Any]] = weakref.WeakSet()
"Nodes that a forked child must let go of."

_EXIT_TIMEOUT = 5.0
"Seconds that a node which was left running may hold up the end of the program."

E = TypeVar("E", bound=Engine)
R = TypeVar("R")


class Node(Generic[E]):
    """Opens nothing until `open`; afterwards every call may come from any thread."""

    def __init__(
        self,
        name: str,
        wanted_home: HomeName,
        *,
        metrics: Metrics,
        log: logging.Logger,
        shutdown: Callable[[], None],
        abandon: Callable[[], None] = lambda: None,
        restart: Callable[[], None] | None = None,
    ) -> None:
        """
        Args:
            shutdown: Ends the whole node; called at the end of the program, if that has not done so.
            abandon: In a forked child, lets go of what belongs to the parent; it must not wait or call gevent.
            restart: In a forked child, calls `open` again for a node of its own; None: a child may have none.
        """
        self._name = name
        self._shutdown = shutdown
        self._on_abandon = abandon
        self._restart = restart
        self._restarting: Any = None
        self._wanted_home = wanted_home
        self._metrics = metrics
        self._log = log
        self._home: Home | None = None
        self._ring: Ring | None = None
        self._engine: E | None = None
        self._ending: Any = None
        "Taken for good by whoever ends the node."
        self._tokens = itertools.count()
        self._parent: int | None = None
        "In a forked child: the process that the node lives in."

    def open(
        self,
        config: MemberlistConfig,
        make_engine: Callable[[MemberlistConfig, Address], E],
        perform_other: Callable[[Any, int], None],
        settled: Callable[[], None] = lambda: None,
    ) -> None:
        """Bind, make the engine and begin to take part.

        Args:
            make_engine: Gets the configuration with the port really bound, and the address to advertise.
            perform_other: Gets every effect that isn't the ring's own, on the node's hub; must not block.
            settled: Called after each step, on the node's hub; must not block.

        Raises:
            StartError: The address can't be bound or advertised. Nothing is left open.
        """
        if self._home is not None and self._parent is None:
            raise StateError("this node was started before; make a new one")
        home = open_home(self._wanted_home)
        try:
            home.call(self._open, home, config, make_engine, perform_other, settled)
        except BaseException:
            home.close()
            raise

    def _open(
        self,
        home: Home,
        config: MemberlistConfig,
        make_engine: Callable[[MemberlistConfig, Address], E],
        perform_other: Callable[[Any, int], None],
        settled: Callable[[], None] = lambda: None,
    ) -> None:
        sockets = Sockets(config)
        try:
            if config.bind_port == 0:
                config = config.replace(bind_port=sockets.port, advertise_port=sockets.port)
            engine = make_engine(config, advertised(config, sockets.port, here().private_ipv4))
            ring = Ring(
                sockets,
                engine,
                config=config,
                metrics=self._metrics,
                log=self._log,
                perform_other=perform_other,
                settled=settled,
            )
        except BaseException:
            sockets.close()
            raise
        self._ending = monkey.get_original("_thread", "allocate_lock")()
        self._engine, self._ring, self._home = engine, ring, home
        parent, self._parent = self._parent, None
        try:
            ring.start()
        except BaseException:
            self._parent = parent
            ring.close()
            raise
        _nodes.add(self)

    @property
    def running(self) -> bool:
        return self._ring is not None and not self._ring.closed

    @property
    def inherited(self) -> bool:
        """Whether this is a forked child, and the node the parent's."""
        return self._parent is not None

    def abandon(self) -> None:
        """In a forked child: the node stays the parent's."""
        self._parent = os.getppid()
        # Fresh: a lock that another thread of the parent held would stay locked here for ever.
        self._restarting = monkey.get_original("_thread", "allocate_lock")()
        if self._ring is not None:
            self._ring.abandon()
        self._on_abandon()

    @property
    def last_engine(self) -> E | None:
        """The engine as it was last, also the parent's in a forked child: only for what it remembers."""
        return self._engine

    def end_with_program(self, timeout: float) -> None:
        """At the end of the program: stop a node that lives in a thread.

        ⚠ A thread that still turns a hub while the interpreter is taken down can crash the process.
        """
        home = self._home
        if isinstance(home, ThreadHome) and not home.gone and self._parent is None:
            home.run_last(self._shutdown, timeout)  # does nothing if another thread is about to; then it waits for that

    @property
    def home_thread(self) -> int:
        """The native thread whose hub runs the node."""
        return self._require()[2].thread_id

    @property
    def inline(self) -> bool:
        """Whether the node lives on the program's own hub."""
        return isinstance(self._require()[2], InlineHome)

    def check(self) -> None:
        """Raises StateError unless the node runs."""
        self._require()

    def check_process(self) -> None:
        """Raises ForkedError if the node is the parent's; or restarts it, if that was wanted."""
        if self._parent is None:
            return
        if self._restart is None:
            raise ForkedError(
                f"{self._name} was started in process {self._parent}, this is {os.getpid()}: start a node after "
                "the fork (gunicorn: post_worker_init; Celery: worker_process_init), or make it with on_fork='restart'"
            )
        while not self._restarting.acquire(False):
            pause()
        try:
            if self._parent is not None:
                self._restart()
        finally:
            self._restarting.release()

    @property
    def ring(self) -> Ring:
        """Raises StateError unless the node runs."""
        return self._require()[0]

    @property
    def engine(self) -> E:
        """Raises StateError unless the node runs."""
        return self._require()[1]

    def call(self, function: Callable[[], R]) -> R:
        """Run a function on the node's hub. It may block its greenlet there, and thereby the caller."""
        return self._require()[2].call(function)

    def step(self, act: Callable[[E, int], Iterable[Any]]) -> None:
        """Let the engine act now, and perform what it wants done."""

        def run() -> None:
            ring, engine, _ = self._require()
            ring.perform(act(engine, ring.clock.now_ns()))

        self.call(run)

    def step_and_wait(self, act: Callable[[E, int, int], Iterable[Any]], timeout: float | None) -> bool:
        """Let the engine act with a token, and wait until that is finished; False if `timeout` seconds ran out."""

        def run() -> bool:
            ring, engine, _ = self._require()
            token = next(self._tokens)
            return ring.wait_finished(token, lambda: act(engine, ring.clock.now_ns(), token), timeout)

        return self.call(run)

    def close(self, last: Callable[[E, Ring], None] = lambda engine, ring: None) -> bool:
        """Stop at once. Of several calls, from whichever threads, the first one does it.

        Args:
            last: Runs on the node's hub before the sockets are closed.

        Returns:
            Whether this was the first call.
        """
        home, ring, engine = self._home, self._ring, self._engine
        if home is None or ring is None or engine is None or ring.closed or not self._ending.acquire(False):
            return False

        def stop() -> None:
            last(engine, ring)
            ring.close()

        try:
            home.call(stop)
        finally:
            home.close()
        return True

    def _require(self) -> tuple[Ring, E, Home]:
        if self._parent is not None:
            self.check_process()
        if self._ring is None or self._engine is None or self._home is None:
            raise StateError("this node is not started: call start(), or use it in a `with` block")
        if self._ring.closed:
            raise StateError("this node was shut down")
        return self._ring, self._engine, self._home


def _after_fork_in_child() -> None:
    for node in list(_nodes):
        node.abandon()
    _nodes.clear()


def _at_exit() -> None:
    for node in list(_nodes):
        node.end_with_program(_EXIT_TIMEOUT)


os.register_at_fork(after_in_child=_after_fork_in_child)
atexit.register(_at_exit)
