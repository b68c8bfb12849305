"""Celery: `serf = CelerySerf(app, {"node_name": "worker-1", …})`.

Every process that runs tasks follows the cluster: each child of the prefork pool, or the one
process of the others. Handlers run in each of them, so a user event is a broadcast to all
workers of all hosts. A user event `shutdown` drains a host, see `drain`: its worker takes no
new tasks, finishes what it is at, and ends.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from typing import Any

from celery import signals

from serfcompat.contrib.drain import DELAY, drain_on_event
from serfcompat.contrib.local import local

PREFORK = "prefork"


class CelerySerf:
    """Everything but `on` is `local()`'s: `serf.members(…)`, `serf.user_event(…)`, `serf.query(…)`."""

    def __init__(self, app: Any, settings: Mapping[str, Any] | None = None, *, drain_delay: float = DELAY) -> None:
        """`settings` as for `local().configure`; None: somebody else configures. Raises UsageError for wrong ones.

        Args:
            drain_delay: Seconds between the tag `draining` and the member's leave.
        """
        self.app = app
        self.local = local()
        self.members = self.local.members
        self.user_event = self.local.user_event
        self.query = self.local.query
        self.on = self.local.on
        self.on_gap = self.local.on_gap
        if settings is not None:
            self.local.configure(settings)
        self._drain_delay = drain_delay
        # Not weak: the receivers are ours alone.
        signals.worker_process_init.connect(self._in_child, weak=False)
        signals.worker_ready.connect(self._in_parent, weak=False)

    def _in_child(self, **_: Any) -> None:
        """A child of the prefork pool begins: its parent is what a drain stops."""
        self._start(os.getppid())

    def _in_parent(self, sender: Any, **_: Any) -> None:
        """The worker is ready. With the prefork pool its children follow the cluster, and it does not."""
        pool = getattr(sender, "pool", None)
        if PREFORK not in type(pool).__module__:
            self._start(os.getpid())

    def _start(self, worker: int) -> None:
        # SIGTERM: the worker takes no new task, and ends when it has finished those it has.
        drain_on_event(self.local, lambda: os.kill(worker, signal.SIGTERM), delay=self._drain_delay)
        self.local.start()
