"""Event handlers: what a script is told of an event, and what becomes of its output (spec agent §3)."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Sequence

import gevent

from serfcompat.agent.event_scripts import EventScript
from serfcompat.agent.node import Node
from serfcompat.agent.script import ScriptFailed, run_script
from serfcompat.errors import SerfCompatError
from serfcompat.serf.events import Event, MemberEvent, QueryEvent
from serfcompat.serf.member import Member
from serfcompat.swim.metrics import Metrics

log = logging.getLogger("serfcompat.agent")
SLOW = 1.0
"Seconds after which a script is called slow. It is never stopped."


class ScriptHandler:
    """Runs the scripts for each event, one after the other, and so delays all later events."""

    def __init__(self, node: Node, scripts: Sequence[EventScript], metrics: Metrics) -> None:
        self.scripts = list(scripts)
        "May be replaced at any time; the next event is handled by the new ones."
        self._node = node
        self._metrics = metrics

    def handle(self, event: Event) -> None:
        """Run every script that wants the event, in order."""
        for each in self.scripts:
            if each.filter.matches(event):
                self._run(each.script, event)

    def _run(self, script: str, event: Event) -> None:
        started = time.monotonic()
        slow = gevent.spawn_later(SLOW, log.warning, "agent: Script '%s' slow, execution exceeding 1s", script)
        try:
            ran = run_script(script, environment(event, self._node.local_member()), stdin_of(event))
        except ScriptFailed as error:
            log.error("agent: Error invoking script '%s': %s", script, error)
            return
        finally:
            slow.kill(block=False)
            self._metrics.sample(f"agent.invoke.{script}", (time.monotonic() - started) * 1000)
        if ran.input_failure:
            log.error("Error writing payload: %s", ran.input_failure)
        log.debug("agent: Event '%s' script output: %s", event.type, ran.output.decode("utf-8", "surrogateescape"))
        if ran.failure:
            log.error("agent: Error invoking script '%s': %s", script, ran.failure)
        elif isinstance(event, QueryEvent) and ran.output:
            try:
                self._node.respond(event, ran.output)
            except SerfCompatError as error:
                log.warning("agent: Failed to respond to query '%s': %s", event, error)


def environment(event: Event, local: Member) -> dict[str, str]:
    """Variables that tell a script of the event and of the node (spec agent §3.2)."""
    variables = {f"SERF_TAG_{_variable(key)}": value for key, value in local.tags.items()}
    variables["SERF_EVENT"] = str(event.type)
    variables["SERF_SELF_NAME"] = local.name
    variables["SERF_SELF_ROLE"] = local.tags.get("role", "")
    if isinstance(event, QueryEvent):
        variables["SERF_QUERY_NAME"] = event.name
        variables["SERF_QUERY_LTIME"] = str(event.ltime)
    elif not isinstance(event, MemberEvent):
        variables["SERF_USER_EVENT"] = event.name
        variables["SERF_USER_LTIME"] = str(event.ltime)
    return variables


def _variable(key: str) -> str:
    """A tag's name in capitals; what doesn't fit into a variable's name becomes `_`, one for each code point."""
    capitals = "".join(char.upper() if len(char.upper()) == 1 else char for char in key)
    return re.sub("[^A-Z0-9_]", "_", capitals)


def stdin_of(event: Event) -> bytes:
    """A line for each member, or the payload with a final newline (spec agent §3.3)."""
    if isinstance(event, MemberEvent):
        return "".join(map(_line, event.members)).encode("utf-8", "surrogateescape")
    payload = event.payload or b""
    return payload if not payload or payload.endswith(b"\n") else payload + b"\n"


def _line(member: Member) -> str:
    tags = ",".join(f"{key}={value}" for key, value in member.tags.items())
    fields = (_cell(member.name), member.addr, _cell(member.tags.get("role", "")), _cell(tags))
    return "\t".join(fields) + "\n"


def _cell(text: str) -> str:
    return text.replace("\t", "\\t").replace("\n", "\\n")
