"""Any WSGI app: `application = SerfMiddleware(application, {"node_name": "web1", …})`.

The app finds `local()` in `environ["serfcompat.local"]`. The first request starts it, unless
a server's hook did; see `gunicorn`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from serfcompat.contrib.local import LocalSerf, local

ENVIRON_KEY = "serfcompat.local"

StartResponse = Callable[..., Any]
App = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


class SerfMiddleware:
    """Gives each request the cluster, and answers health checks at a path of your choice."""

    def __init__(self, app: App, settings: Mapping[str, Any] | None = None, *, health_path: str = "") -> None:
        """`settings` as for `local().configure`. Raises UsageError for wrong ones."""
        self._app = app
        self._health_path = health_path
        self.serf = local()
        if settings is not None:
            self.serf.configure(settings)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        self.serf.start()
        environ[ENVIRON_KEY] = self.serf
        if self._health_path and environ.get("PATH_INFO") == self._health_path:
            healthy, report = health(self.serf)
            body = json.dumps(report).encode()
            headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
            start_response("200 OK" if healthy else "503 Service Unavailable", headers)
            return [body]
        return self._app(environ, start_response)


def health(serf: LocalSerf) -> tuple[bool, dict[str, Any]]:
    """Whether this host should get requests, and why: for a balancer's checks.

    Not while it drains, and not before it has seen the cluster. A member that was lost and
    is being replaced is no reason: the last list is still there.
    """
    own = serf.own
    seen = serf.attached or own is not None
    staleness = serf.staleness
    report = {
        "status": "draining" if serf.draining else "ok" if seen else "starting",
        "member": own.name if own else None,
        "attached": serf.attached,
        "staleness": round(staleness, 3) if staleness != float("inf") else None,
        "problem": serf.problem or None,
    }
    return seen and not serf.draining, report


def as_dict(member: Any) -> dict[str, Any]:
    """A member as JSON: name, address, status and tags."""
    return {"name": member.name, "address": member.address, "status": str(member.status), "tags": dict(member.tags)}
