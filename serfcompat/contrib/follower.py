"""The one thread that a worker has for its host's member: it keeps the view fresh and hands out events.

It also does the worker's share of looking after the member: it starts one when there is
none, and, in the worker that holds the supervisor's lock, ends one that hangs.
"""

from __future__ import annotations

import contextlib
import logging
import random
import threading
import time
from collections.abc import Mapping

from serfcompat.contrib.handlers import Gap, Handlers, Query
from serfcompat.contrib.host_agent import HostAgent
from serfcompat.contrib.view import View
from serfcompat.errors import AgentUnreachable, RPCError, SerfCompatError
from serfcompat.rpc.client import Client, Records
from serfcompat.rpc.codec import sorted_map
from serfcompat.rpc.protocol import CoordinateRequest, TagsRequest
from serfcompat.rpc.records import StreamedEvent, StreamedQuery

log = logging.getLogger("serfcompat.contrib")
TICK = 0.25
"Seconds between chores when no event comes."
HEARTBEAT, SUPERVISOR_HEARTBEAT = 5.0, 1.0
"Seconds between questions whether the member still answers."
HEARTBEAT_TIMEOUT = 1.0
"Seconds for the answer; the next question follows at once."
REFRESH = 60.0
"Seconds between fresh copies of the whole list, should an event ever have been dropped on the way."
GIVE_UP = 10.0
"Seconds of trying before a problem is reported. Trying goes on after that."
PAUSE = 1.0
"Seconds between such rounds."
TAGS_TIMEOUT = 15.0
"Seconds for a change of tags, which is confirmed when the cluster was told."
HOLD_BACK = 15.0
"Seconds that a member which left on purpose is not brought back by those who used it."


class Follower:
    """One thread's work, from `start` to `close`."""

    def __init__(self, host: HostAgent, view: View, handlers: Handlers, tags: Mapping[str, str]) -> None:
        self._host = host
        self._view = view
        self._handlers = handlers
        self._tags = tags
        self._closed = threading.Event()
        self.attached = threading.Event()
        "Set while there is a connection and the list is fresh."
        self.settled = threading.Event()
        "Set while it is attached, or has a problem to tell: there is nothing to wait for."
        self.own = ""
        "The name of the host's member, once it is known."
        self.client: Client | None = None
        "The connection, while there is one."
        self.problem = ""
        "Why there is none, for people; empty if all is well."
        self._lost_at: float | None = None
        self._thread = threading.Thread(target=self._run, name="serfcompat-follower", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """End the thread, and give the connection up."""
        self._closed.set()
        if self.client is not None:
            self.client.close()
        if self._thread is not threading.current_thread():
            self._thread.join(GIVE_UP)
        self._host.close()

    def abandon(self) -> None:
        """In a forked child: close this process's copies of what the parent's thread uses, and tell nobody."""
        self._closed.set()
        if self.client is not None:
            self.client.abandon()
        self._host.close()

    @property
    def supervises(self) -> bool:
        """Whether this worker looks after the member."""
        return self._host.supervises()

    # -- the thread ---------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                self._session()
            except (SerfCompatError, TimeoutError) as error:
                self._complain(str(error))
                self._closed.wait(PAUSE)
            except Exception:  # the app must not lose its view for ever because of one surprise
                log.exception("contrib: following the host's member failed; trying again")
                self._closed.wait(PAUSE)

    def _complain(self, text: str) -> None:
        if text and text != self.problem and not self._closed.is_set():
            log.error("contrib: %s", text)
        self.problem = text
        if text:
            self.settled.set()

    def _session(self) -> None:
        """From a new connection to its loss. Raises what keeps it from being made."""
        client = self._host.connect(GIVE_UP)
        try:
            with client:
                try:
                    # First the stream, then the list: what happens in between is told twice, not lost.
                    events = client.stream("*")
                    self.own = client.stats()["agent"]["name"]
                    self._view.replace(client.members())
                    self._attach(client)
                    self._add_tags(client)
                    self._follow(client, events)
                except (AgentUnreachable, TimeoutError) as error:
                    log.info("contrib: lost the host's member: %s", error)
        finally:
            self.client = None
            if self.attached.is_set():
                self.attached.clear()
                self.settled.clear()
            self._lost_at = self._lost_at or time.monotonic()
        if not self._closed.is_set() and self._host.left_on_purpose():
            self._complain("the host's member has left the cluster")
            self._closed.wait(HOLD_BACK)

    def _attach(self, client: Client) -> None:
        self.client = client
        self._complain("")
        self.attached.set()
        self.settled.set()
        wanted = self._host.settings.agent.get("node_name")
        if wanted and wanted != self.own and not self._host.settings.attach:
            log.warning(
                "contrib: the member that this host's workers share is %s, not %s: another app with the same run "
                "directory started it; one that wants its own needs another run_dir, node_name and bind address",
                self.own,
                wanted,
            )
        if self._lost_at is not None:
            gap, self._lost_at = Gap(time.monotonic() - self._lost_at), None
            self._handlers.put(gap)

    def _follow(self, client: Client, events: Records[StreamedEvent]) -> None:
        """Raises AgentUnreachable when the connection is lost, TimeoutError when the list doesn't come any more."""
        heard = time.monotonic()
        refreshed = heard - random.uniform(0, REFRESH / 2)  # not all workers at once
        chores = heard
        while not self._closed.is_set():
            with contextlib.suppress(TimeoutError):
                self._take(events.get(TICK), client)
            now = time.monotonic()
            if now < chores:
                continue
            chores = now + TICK
            self._host.reap()
            every = SUPERVISOR_HEARTBEAT if self._host.supervises() else HEARTBEAT
            if now - refreshed >= REFRESH:
                self._view.replace(client.members())
                refreshed = now
            elif now - heard >= every:
                heard = now if self._answers(client) else heard

    def _take(self, event: StreamedEvent, client: Client) -> None:
        self._view.apply(event)
        if isinstance(event, StreamedQuery):
            self._handlers.put(Query(event.name, event.payload, event.ltime, event.id, client))
        else:
            self._handlers.put(event)

    def _answers(self, client: Client) -> bool:
        """Ask something that costs nearly nothing."""
        try:
            client.submit(CoordinateRequest()).result(HEARTBEAT_TIMEOUT)
        except TimeoutError:
            self._host.owes_an_answer()
            return False
        self._host.answered()
        self._view.confirm()
        return True

    def _add_tags(self, client: Client) -> None:
        """Let the member have our app's tags; those of other apps stay. What it refuses is logged."""
        if not self._tags:
            return
        try:
            own = self._view.get(self.own)
            if own is not None and not self._tags.items() <= own.tags.items():
                client.submit(TagsRequest(sorted_map(dict(self._tags)), ())).result(TAGS_TIMEOUT)
        except AgentUnreachable:
            raise
        except RPCError as error:
            log.error("contrib: the host's member does not take our tags: %s", error)
