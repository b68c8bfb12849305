"""Django signals for what happens in the cluster.

    @receiver(user_event)
    def on_event(sender, name, payload, event, **kwargs): ...

Receivers run in the thread of the handlers, in every worker; each gets fresh database connections.
"""

from __future__ import annotations

import logging
from typing import Any

from django.db import close_old_connections
from django.dispatch import Signal

from serfcompat.contrib.local import LocalSerf
from serfcompat.serf.events import MemberEvent, UserEvent

log = logging.getLogger("serfcompat.contrib")

member_event = Signal()
"""Sent with `type` (`member-join`, `member-failed` …), `members` (a list of `Member`) and `event`."""
user_event = Signal()
"""Sent with `name`, `payload` (bytes, or None) and `event`."""
gap = Signal()
"""Events may have been missed. Sent with `seconds`."""


def connect(serf: LocalSerf) -> None:
    """Send the signals from now on."""

    def on_member_event(event: MemberEvent) -> None:
        _send(member_event, type=str(event.type), members=list(event.members), event=event)

    def on_user_event(event: UserEvent) -> None:
        _send(user_event, name=event.name, payload=event.payload, event=event)

    serf.on("member-join,member-leave,member-failed,member-update,member-reap", on_member_event)
    serf.on("user", on_user_event)
    serf.on_gap(lambda event: _send(gap, seconds=event.seconds))


def _send(signal: Any, **values: Any) -> None:
    close_old_connections()
    try:
        for receiver, answer in signal.send_robust(sender=LocalSerf, **values):
            if isinstance(answer, Exception):
                log.error("contrib: a receiver failed: %r", receiver, exc_info=answer)
    finally:
        close_old_connections()
