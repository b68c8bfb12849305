"""Pages for balancers and people."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from serfcompat.contrib.local import local
from serfcompat.contrib.wsgi import as_dict
from serfcompat.contrib.wsgi import health as health_of


@require_safe  # type: ignore[untyped-decorator]
@never_cache  # type: ignore[untyped-decorator]
def health(request: HttpRequest) -> Any:
    """200, or 503 while this host should get no requests."""
    healthy, report = health_of(local())
    return JsonResponse(report, status=200 if healthy else 503)


@require_safe  # type: ignore[untyped-decorator]
@never_cache  # type: ignore[untyped-decorator]
def members(request: HttpRequest) -> Any:
    """All members. ⚠ It tells who is in the cluster; guard it as you guard such things."""
    return JsonResponse([as_dict(member) for member in local().members(status=None)], safe=False)
