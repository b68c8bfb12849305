"""Who hears which events, and handlers that run beside the node."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import NamedTuple

import gevent
from gevent import monkey

from serfcompat.errors import UsageError
from serfcompat.runtime.channel import Channel
from serfcompat.serf.events import Event, EventType, MemberEvent

Wants = Callable[[Event], bool]

_MEMBER = "member"
_NAMED = (str(EventType.USER), str(EventType.QUERY))
_KINDS = (_MEMBER, *map(str, EventType))


class Subscriber(NamedTuple):
    """A channel, and which events belong into it."""

    wants: Wants
    channel: Channel[Event]


def wanted(kinds: Sequence[str]) -> Wants:
    """A test for events of these kinds, e.g. `member-failed` or `user:deploy`; none given: all. Raises UsageError."""
    if isinstance(kinds, str):
        kinds = (kinds,)
    for kind in kinds:
        base, colon, _ = kind.partition(":")
        if base not in _KINDS or (colon and base not in _NAMED):
            raise UsageError(
                f"no kind of event is called {kind!r}: there are {', '.join(_KINDS)}, and user:NAME and query:NAME"
            )
    chosen = frozenset(kinds)
    if not chosen:
        return lambda event: True

    def wants(event: Event) -> bool:
        kind = str(event.type)
        if kind in chosen:
            return True
        if isinstance(event, MemberEvent):
            return _MEMBER in chosen
        return f"{kind}:{event.name}" in chosen

    return wants


def run_handler(
    handler: Callable[[Event], object], channel: Channel[Event], *, inline: bool, name: str, log: logging.Logger
) -> None:
    """Call `handler` with each item of the channel until that is closed, in a greenlet or in a native thread."""

    def run() -> None:
        for event in channel:
            try:
                handler(event)
            except Exception:  # the user's code: its fault must not stop the delivery
                log.exception("serf: handler %s failed on %s", name, event)

    if inline:
        gevent.spawn(run)
    else:
        # ⚠ After `patch_all` the ordinary way starts a greenlet, on a hub that may be busy.
        monkey.get_original("_thread", "start_new_thread")(run, ())


class Subscriptions:
    """Who hears which events of one node. Filled on the node's hub."""

    def __init__(self) -> None:
        self._all: list[Subscriber] = []

    def add(self, subscriber: Subscriber) -> None:
        self._all.append(subscriber)

    def deliver(self, event: Event) -> None:
        """Tell everybody who wants to hear it; forget who has closed."""
        for subscriber in self._all:
            if subscriber.wants(event):
                subscriber.channel.put(event)
        if any(subscriber.channel.closed for subscriber in self._all):
            self._all = [s for s in self._all if not s.channel.closed]

    def end(self) -> None:
        """The node ends."""
        for subscriber in self._all:
            subscriber.channel.close()

    def abandon(self) -> None:
        """In a forked child: the events go to the parent."""
        for subscriber in self._all:
            subscriber.channel.abandon()
        self._all.clear()
