"""`Agent`: a node with the manners of the `serf` agent: log lines, a file of tags, one event loop (spec agent §3.6)."""

from __future__ import annotations

import logging
import os
import platform
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache

import gevent
from gevent.event import Event as Flag

from serfcompat.agent.durations import SECOND
from serfcompat.agent.event_scripts import EventScript
from serfcompat.agent.node import Node, Responses
from serfcompat.agent.quoting import quote
from serfcompat.agent.tags_file import write_tags
from serfcompat.errors import SerfCompatError, UsageError
from serfcompat.serf.events import Event, QueryEvent
from serfcompat.serf.key_responses import KeyResult
from serfcompat.serf.member import Member
from serfcompat.serf.vivaldi import Coordinate

log = logging.getLogger("serfcompat.agent")
EVENT_QUEUE = 65536
"Events that may wait for slow scripts before newer ones are dropped."
INTERNAL_PREFIX = "_serf_"
PING = "_serf_ping"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "i386": "386", "i686": "386", "armv7l": "arm"}
"Machine → Go's name for it, which scripts look for in `serf info`."

Consumer = Callable[[Event], None]
"""Gets every event, in order. May block, and then delays all that comes after."""


class Agent:
    """One member of a cluster, as scripts and RPC clients see it.

    All methods may block the calling greenlet. Errors are SerfCompatError with the texts that clients get.
    """

    def __init__(self, node: Node, scripts: Sequence[EventScript] = (), *, tags_file: str = "") -> None:
        self.node = node
        self.tags_file = tags_file
        self.ended = Flag()
        "Set when the node was shut down, by us or by itself."
        self.ending = False
        "Whether `shutdown` was called."
        self._first_scripts = list(scripts)
        self._consumers: list[Consumer] = []
        self._loop: gevent.Greenlet | None = None

    # -- life ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the node, and hand out its events from now on. Raises StartError or UsageError."""
        log.info("agent: Serf agent starting")
        self.node.start()
        self._loop = gevent.spawn(self._run, self.node.events(maxsize=EVENT_QUEUE))

    def leave(self) -> None:
        log.info("agent: requesting graceful leave from Serf")
        self.node.leave()

    def shutdown(self) -> None:
        """Stop the node at once; may be called again."""
        if self.ending:
            return
        self.ending = True
        log.info("agent: requesting serf shutdown")
        self.node.shutdown()
        log.info("agent: shutdown complete")
        self.ended.set()

    def add_consumer(self, consumer: Consumer) -> None:
        """It hears of every event from now on."""
        self._consumers.append(consumer)

    def _run(self, events: Iterable[Event]) -> None:
        """The one event loop: an event is handed to all before the next one's turn comes."""
        for event in events:
            log.info("agent: Received event: %s", event)
            for consumer in self._consumers:
                try:
                    consumer(event)
                except Exception:  # one event must not be the last one
                    log.exception("agent: Failed to handle event: %s", event)
        if not self.ending:
            log.warning("agent: Serf shutdown detected, quitting")
            self.shutdown()

    # -- membership ---------------------------------------------------------------------------

    def join(self, addresses: Sequence[str], *, replay: bool) -> int:
        """How many addresses answered. `replay`: deliver user events from before the join."""
        log.info("agent: joining: [%s] replay: %s", " ".join(addresses), "true" if replay else "false")
        try:
            count = self.node.join(addresses, not replay)
        except SerfCompatError as error:
            log.warning("agent: error joining: %s", error)
            raise
        if count > 0:
            log.info("agent: joined: %d nodes", count)
        return count

    def force_leave(self, name: str, *, prune: bool) -> None:
        log.info("agent: Force leaving node%s: %s", " (prune)" if prune else "", name)
        try:
            self.node.remove_failed_node(name, prune=prune)
        except SerfCompatError as error:
            log.warning("agent: failed to remove node: %s", error)
            raise

    def members(self) -> list[Member]:
        return self.node.members()

    def update_tags(self, tags: Mapping[str, str], delete: Sequence[str]) -> None:
        """Delete some tags, set others, keep the rest."""
        kept = {key: value for key, value in self.node.local_member().tags.items() if key not in delete}
        self.set_tags(kept | dict(tags))

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Replace all tags, and the tags file with them.

        ⚠ The file is written first: tags that are then refused stay in it, as upstream's do.
        """
        if self.tags_file:
            try:
                write_tags(self.tags_file, tags)
            except OSError as error:
                reason = (error.strerror or str(error)).lower()
                raise UsageError(f"Failed to write tags file: open {self.tags_file}: {reason}") from None
        self.node.set_tags(tags)

    # -- events and queries -------------------------------------------------------------------

    def user_event(
        self, name: str, payload: bytes | None, *, coalesce: bool, tags: Mapping[str, str] | None = None
    ) -> None:
        """Tell all members, or those whose tags match."""
        shown = "true" if coalesce else "false"
        log.debug("agent: Requesting user event send: %s. Coalesced: %s. Payload: %s", name, shown, _shown(payload))
        try:
            self.node.user_event(name, payload, coalesce, tags=tags)
        except SerfCompatError as error:
            log.warning("agent: failed to send user event: %s", error)
            raise

    def query(
        self,
        name: str,
        payload: bytes | None,
        *,
        filter_nodes: Sequence[str] = (),
        filter_tags: Mapping[str, str] | None = None,
        request_ack: bool = False,
        relay_factor: int = 0,
        timeout_ns: int = 0,
    ) -> Responses:
        """Ask the cluster; `timeout_ns` 0 leaves the time to the cluster's size."""
        # ⚠ Of the internal queries, users may send only the ping, and that without even an empty payload.
        if name.startswith(INTERNAL_PREFIX) and (name != PING or payload is not None):
            raise UsageError(f"Queries cannot contain the '{INTERNAL_PREFIX}' prefix")
        log.debug("agent: Requesting query send: %s. Payload: %s", name, _shown(payload))
        try:
            return self.node.query(
                name,
                payload,
                filter_nodes=filter_nodes,
                filter_tags=filter_tags,
                request_ack=request_ack,
                relay_factor=relay_factor,
                timeout=timeout_ns / SECOND or None,
                until_deadline=True,
            )
        except SerfCompatError as error:
            log.warning("agent: failed to start user query: %s", error)
            raise

    def respond(self, query: QueryEvent, payload: bytes | None) -> None:
        self.node.respond(query, payload)

    # -- keys ---------------------------------------------------------------------------------

    def install_key(self, key: str) -> KeyResult:
        log.info("agent: Initiating key installation")
        return self.node.keys.install(key)

    def use_key(self, key: str) -> KeyResult:
        log.info("agent: Initiating primary key change")
        return self.node.keys.use(key)

    def remove_key(self, key: str) -> KeyResult:
        log.info("agent: Initiating key removal")
        return self.node.keys.remove(key)

    def list_keys(self) -> KeyResult:
        log.info("agent: Initiating key listing")
        return self.node.keys.list()

    # -- what is known ------------------------------------------------------------------------

    def coordinate(self, name: str) -> Coordinate | None:
        return self.node.cached_coordinate(name)

    def stats(self) -> dict[str, dict[str, str]]:
        """Sections of `serf info`. ⚠ The scripts are those of the start, also after a reload."""
        local = self.node.local_member()
        return {
            "agent": {"name": local.name},
            "runtime": _runtime(),
            "serf": dict(self.node.stats()),
            "tags": dict(local.tags),
            "event_handlers": {f"{each.filter.event}:{each.filter.name}": each.script for each in self._first_scripts},
        }


def _runtime() -> dict[str, str]:
    # There are no goroutines here; threads come nearest.
    return {**_machine(), "goroutines": str(threading.active_count())}


@lru_cache(maxsize=1)
def _machine() -> dict[str, str]:
    machine = platform.machine()
    processors = str(os.cpu_count() or 1)
    return {
        "os": {"win32": "windows"}.get(sys.platform, sys.platform),
        "arch": _ARCHITECTURES.get(machine, machine),
        "version": f"python{platform.python_version()}",
        "max_procs": processors,
        "cpu_count": processors,
    }


def _shown(payload: bytes | None) -> str:
    return quote((payload or b"").decode("utf-8", "surrogateescape"))
