"""System checks: what is wrong with the settings, before anything is started."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import Error, Warning, register

from serfcompat.contrib.rundir import RunDir
from serfcompat.contrib.settings import HostSettings, known_keys
from serfcompat.errors import StartError, UsageError


@register("serfcompat")  # type: ignore[untyped-decorator]
def check_settings(**_: Any) -> list[Any]:
    """E001: unusable settings. W001: the run directory can't be used here and now."""
    given = getattr(settings, "SERF", {})
    if not isinstance(given, dict):
        return [Error("SERF must be a dictionary", hint='SERF = {"node_name": "web-1"}', id="serfcompat.E001")]
    try:
        found = HostSettings.of(given)
    except UsageError as error:
        return [Error(str(error), hint=f"SERF may have: {', '.join(known_keys())}", id="serfcompat.E001")]
    if not found.attach:
        try:
            RunDir(found.directory()).make()
        except StartError as error:
            return [Warning(str(error), id="serfcompat.W001")]
    return []
