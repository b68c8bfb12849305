"""uWSGI: `import serfcompat.contrib.uwsgi` in the app's module, and in uWSGI's configuration

    master = true
    enable-threads = true
    hook-master-start = unix_signal:15 gracefully_kill_them_all

Each worker then follows the cluster from its start, not from its first request, with and without
`lazy-apps`, and a user event `shutdown` drains the host, see `drain`. The last line is uWSGI's own
way to let the requests in flight end before it stops. Outside uWSGI the import fails.
"""

from __future__ import annotations

import logging
import os
import re

import uwsgi

from serfcompat.contrib.drain import drain_on_event
from serfcompat.contrib.local import local

log = logging.getLogger("serfcompat.contrib")
_GRACEFUL = re.compile(rb"unix_signal:(\d+) gracefully_kill_them_all")


def _stop() -> None:
    hooks = uwsgi.opt.get("hook-master-start", b"")
    for hook in hooks if isinstance(hooks, list) else [hooks]:
        if found := _GRACEFUL.fullmatch(hook):
            os.kill(uwsgi.masterpid(), int(found[1]))
            return
    log.warning(
        "contrib: uWSGI stops without its requests in flight: it ends them first if its configuration has "
        "hook-master-start = unix_signal:15 gracefully_kill_them_all"
    )
    uwsgi.stop()


drain_on_event(local(), _stop)
if uwsgi.worker_id():
    local().start_when_configured()  # lazy-apps: this is the worker already, and the app comes after us
else:
    _next = getattr(uwsgi, "post_fork_hook", None)

    def _after_fork() -> None:
        if _next is not None:
            _next()
        if uwsgi.worker_id():  # not in spoolers and mules
            local().start()

    uwsgi.post_fork_hook = _after_fork
