"""gunicorn: `gunicorn -c python:serfcompat.contrib.gunicorn app:app`, or in a configuration file of your own

    from serfcompat.contrib.gunicorn import post_worker_init

Each worker follows the cluster from its start, not from its first request, and a user event
`shutdown` drains the host, see `drain`. The app says how the member shall be; a file
without such an app may call `configure(…)` of `serfcompat.contrib`.
"""

from __future__ import annotations

import os
import signal
from typing import Any

from serfcompat.contrib.drain import drain_on_event
from serfcompat.contrib.local import local


def post_worker_init(worker: Any) -> None:
    """gunicorn calls this in each worker when the app is loaded; also one that was loaded before the fork."""
    master = os.getppid()
    drain_on_event(local(), lambda: os.kill(master, signal.SIGTERM))
    local().start()
