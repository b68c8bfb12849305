"""uWSGI: `import serfcompat.contrib.uwsgi` in the app's module, and `enable-threads = true` in uWSGI's configuration.

Each worker then follows the cluster from its start, not from its first request, with and without
`lazy-apps`. Outside uWSGI the import fails.
"""

from __future__ import annotations

import uwsgi

from serfcompat.contrib.local import local

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
