"""The host's member in a thread of this very process: the setting `in_process`.

It does what `python -m serfcompat.contrib.member` does, on a hub of its own, so that a worker that
waits or computes leaves it alone. Only its end is another one: it goes with the program.
"""

from __future__ import annotations

import contextlib
import logging
import os
import weakref

import gevent

from serfcompat.agent.logs import LogPipeline
from serfcompat.contrib.member import LEAVE_LIMIT, Member
from serfcompat.contrib.settings import HostSettings
from serfcompat.runtime.home import ThreadHome

log = logging.getLogger("serfcompat.contrib")


class MemberHere:
    """A member that runs from now on."""

    def __init__(self, settings: HostSettings, lock: int) -> None:
        """`lock`: a descriptor that holds the run directory's lock; it is closed when the member has ended."""
        self._lock = lock
        # Its log is the program's own; whoever monitors it over RPC sees nothing.
        self._member = Member(settings, LogPipeline(lambda line: None), lock)
        self._home = ThreadHome()
        self._abandoned = False
        self._home.call(gevent.spawn, self._run)
        _all.add(self)

    @property
    def ended(self) -> bool:
        """Whether it is none of this process's, or not any more."""
        return self._abandoned or self._home.gone

    def end(self, *, leave: bool) -> None:
        """At the program's end: leave the cluster, or let another worker of this host go on as the same member."""
        with contextlib.suppress(Exception):  # it may be ending by itself just now
            self._home.run_last(lambda: self._member.stop(leave=leave), LEAVE_LIMIT + 1)

    def abandon(self) -> None:
        """In a forked child: the member, its lock and its sockets are the parent's."""
        self._abandoned = True
        self._member.abandon()
        with contextlib.suppress(OSError):
            os.close(self._lock)

    def _run(self) -> None:
        try:
            self._member.run()
        except Exception:  # the next worker that misses it starts another one
            log.exception("contrib: the host's member failed")
        finally:
            os.close(self._lock)
            self._home.close()


_all: weakref.WeakSet[MemberHere] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for each in list(_all):
        if not each.ended:
            each.abandon()


os.register_at_fork(after_in_child=_after_fork_in_child)
