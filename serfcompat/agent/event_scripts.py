"""Event handlers as they are configured: `<filter>=<script>` (spec agent §3.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from serfcompat.agent.event_filter import EventFilter, parse_filter


@dataclass(frozen=True, slots=True)
class EventScript:
    """A script, and which events it is for."""

    filter: EventFilter
    script: str

    def __str__(self) -> str:
        return f"Event '{self.filter}' invoking '{self.script}'"


def parse_script(spec: str) -> list[EventScript]:
    """One for each element of the filter, valid or not. Without `=` the whole is a script for every event."""
    filter_text, equals, script = spec.partition("=")
    if not equals:
        filter_text, script = "", spec
    return [EventScript(element, script) for element in parse_filter(filter_text)]


def parse_scripts(specs: Sequence[str]) -> list[EventScript]:
    """Those of several specifications, in order."""
    return [script for spec in specs for script in parse_script(spec)]
