"""The app's start: settings are read, receivers connected; nothing else happens before the first request."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import request_started

from serfcompat.contrib.local import local
from serfcompat.errors import UsageError


class SerfConfig(AppConfig):  # type: ignore[misc]  # Django has no types
    """`SERF` is what `local().configure` takes."""

    name = "serfcompat.contrib.django"
    label = "serfcompat"
    verbose_name = "Serf"

    def ready(self) -> None:
        from serfcompat.contrib.django import checks, signals  # noqa: F401  # the checks register themselves

        self._problem = ""
        try:
            local().configure(getattr(settings, "SERF", {}))
        except UsageError as error:
            self._problem = str(error)  # `manage.py check` shall say it, and it must get that far
        signals.connect(local())
        request_started.connect(self._start, dispatch_uid="serfcompat")

    def _start(self, **_: Any) -> None:
        if self._problem:
            raise ImproperlyConfigured(self._problem)
        local().start()
