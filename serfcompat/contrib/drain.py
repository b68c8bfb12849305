"""Take a host out of service without losing a request: drain, leave the cluster, stop the server.

A user event, `shutdown` if not said otherwise, names the hosts: a comma-separated list of
member names as payload, or nothing for all. On each of them one worker

1. sets the tag `draining`, which balancers and the health page read;
2. waits until they have;
3. lets the member leave the cluster;
4. stops the server, which finishes what it is at.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from serfcompat.contrib.local import DRAINING, LocalSerf
from serfcompat.errors import SerfCompatError
from serfcompat.serf.events import UserEvent

log = logging.getLogger("serfcompat.contrib")
EVENT = "shutdown"
DELAY = 5.0


def drain_on_event(serf: LocalSerf, stop: Callable[[], None], *, event: str = EVENT, delay: float = DELAY) -> None:
    """Let this host go when the event says so.

    Args:
        stop: Stops the server gracefully; called in a thread of one worker.
        delay: Seconds for the balancers to notice.
    """

    def on_shutdown(told: UserEvent) -> None:
        own = serf.own
        names = [name.strip() for name in (told.payload or b"").decode("utf-8", "replace").split(",")]
        if own is None or (any(names) and own.name not in names):
            return
        drain(serf, stop, delay=delay)

    serf.on(f"user:{event}", on_shutdown, per="host")


def drain(serf: LocalSerf, stop: Callable[[], None], *, delay: float = DELAY) -> None:
    """Do it now. Blocks for `delay` seconds and the time that leaving takes. The server is stopped in any case."""
    log.warning("contrib: draining this host: it leaves in %g s, and its server stops", delay)
    try:
        serf.set_tags({DRAINING: "1"})
        time.sleep(delay)
        serf.leave()
    except (SerfCompatError, TimeoutError) as error:
        log.error("contrib: going without a word: %s", error)
    finally:
        stop()
