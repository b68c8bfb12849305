"""Caches in the memory of workers, and how all of them forget a key at once.

    flags = {}
    invalidation = Invalidation(local(), delete=lambda keys: [flags.pop(key, None) for key in keys], clear=flags.clear)
    ...
    flags[name] = load(name)       # when it is looked for and not there
    ...
    invalidation.invalidate(name)  # when it was changed in the database

What is sent is which keys are wrong, never a value: the next reader loads it anew, from where it is right. Keys
that belong together go in one event, and a worker that may have missed one forgets everything.

⚠ Change first, then invalidate. A reader that loaded the old value just before may still put it into its
cache just after; give entries a lifetime as well.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from serfcompat.contrib.local import LocalSerf
from serfcompat.errors import UsageError
from serfcompat.serf.events import UserEvent

log = logging.getLogger("serfcompat.contrib")
EVENT = "cache"
ROOM = 440
"Bytes of keys in one event: an event has 512, and its name and head are in them."


class Invalidation:
    """One cache of this process, and its likes in all other workers."""

    def __init__(
        self, serf: LocalSerf, delete: Callable[[list[str]], Any], clear: Callable[[], Any], *, event: str = EVENT
    ) -> None:
        """Listen from now on.

        Args:
            delete: Forgets these keys here. Called in the thread of the handlers, and by `invalidate`.
            clear: Forgets everything here: keys may have been missed, or somebody said so.
            event: Name of the user event; one for each cache that has keys of its own.
        """
        self._serf = serf
        self._delete = delete
        self._clear = clear
        self.event = event
        serf.on(f"user:{event}", self._on_event)
        serf.on_gap(lambda gap: clear())

    def invalidate(self, *keys: str) -> None:
        """Forget these keys here, now, and everywhere else soon.

        Raises:
            UsageError: A key is too long for an event; nothing was sent or forgotten.
            AgentUnreachable: Only this process forgot them; call again.
        """
        payloads = list(_payloads(keys))
        self._delete(list(keys))
        for payload in payloads:
            self._serf.user_event(self.event, payload)

    def invalidate_all(self) -> None:
        """Forget everything, here and everywhere. Errors as above."""
        self._clear()
        self._serf.user_event(self.event)

    def _on_event(self, event: UserEvent) -> None:
        if not event.payload:
            self._clear()
            return
        try:
            keys = json.loads(event.payload)
        except (ValueError, RecursionError):
            keys = None
        if isinstance(keys, list) and all(isinstance(key, str) for key in keys):
            self._delete(keys)
        else:
            log.warning("contrib: an event %s without a list of keys: forgetting everything", self.event)
            self._clear()


def _payloads(keys: Sequence[str]) -> Iterator[bytes]:
    """Lists of keys as JSON, each of which fits into an event."""
    batch: list[str] = []
    for key in keys:
        if len(_encoded([key])) > ROOM:
            raise UsageError(
                f"a key of {len(key)} characters does not fit into an event: {key[:40]!r}…; invalidate all"
            )
        if len(_encoded([*batch, key])) > ROOM:
            yield _encoded(batch)
            batch = []
        batch.append(key)
    if batch:
        yield _encoded(batch)


def _encoded(keys: Sequence[str]) -> bytes:
    return json.dumps(keys, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
