"""`local()`: what a worker of a web server or a task queue has of the cluster.

    from serfcompat.contrib import local

    serf = local()
    serf.members(tags={"role": "db"})          # a list, from this process's own memory

    @serf.on("deploy")
    def deployed(event): ...                   # runs in every worker

All workers of a host share one member, in a process of its own; see `host_agent`. Nothing
happens before the first call that needs the cluster, or `start()`: no thread, no socket, so
that a server may import the app first and fork its workers then. A worker that is forked
after that starts anew by itself.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, overload

from serfcompat.contrib.follower import Follower
from serfcompat.contrib.handlers import Handler, Handlers, Per, Query
from serfcompat.contrib.host_agent import HostAgent
from serfcompat.contrib.settings import HostSettings
from serfcompat.contrib.view import View
from serfcompat.errors import AgentUnreachable, UsageError
from serfcompat.rpc.client import Client, Records
from serfcompat.rpc.protocol import LeaveRequest, TagsRequest
from serfcompat.rpc.records import QueryRecord
from serfcompat.serf.member import Member, MemberStatus

PATIENCE = 10.0
"Seconds that a call waits for the host's member, at most, if it isn't there: one that starts is there much sooner."
LEAVE_TIMEOUT = 15.0
DRAINING = "draining"
"The tag of a member whose host takes no new work."

H = TypeVar("H", bound=Handler)


class LocalSerf:
    """One process's use of its host's member. Programs use the one that `local()` returns."""

    def __init__(self, settings: HostSettings | None = None) -> None:
        self._settings = settings
        self._start_when_configured = False
        self._view = View()
        self._handlers = Handlers(lambda: self.supervises)
        self._follower: Follower | None = None
        self._starting = threading.Lock()
        _all.add(self)

    # -- life ---------------------------------------------------------------------------------

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Say how the host's member shall be: our own keys and those of an agent's configuration file.

        Own keys: `run_dir`, `linger`, `attach`, `attach_auth`, `log_file`; see `HostSettings`.

        Raises:
            UsageError: A setting can't be used, or the process was configured or started otherwise before.
        """
        wanted = HostSettings.of(settings)
        if self._settings is not None and self._settings != wanted:
            raise UsageError(
                "this process already uses its host's member with other settings: one process has one; "
                "give all apps in it the same settings"
            )
        self._settings = wanted
        if self._start_when_configured:
            self.start()

    @property
    def settings(self) -> HostSettings:
        """Those of `configure`, or the defaults."""
        return self._settings or HostSettings()

    def start(self) -> None:
        """Begin to follow the cluster in this process, without waiting. May be called again.

        ⚠ Not in a server's master process: in its workers, after the fork.

        Raises UsageError if threads don't run here.
        """
        if self._follower is not None:
            return
        with self._starting:
            if self._follower is None:
                _check_threads()
                self._settings = settings = self.settings
                tags = dict(settings.agent.get("tags") or {})
                follower = Follower(HostAgent(settings), self._view, self._handlers, tags)
                follower.start()
                self._follower = follower

    def start_when_configured(self) -> None:
        """For hooks that come before the app: start as soon as the app has said how the member shall be."""
        self._start_when_configured = True
        if self._settings is not None:
            self.start()

    def close(self) -> None:
        """Stop following; the view stays as it is. The member stays, for the other workers."""
        with self._starting:
            follower, self._follower = self._follower, None
        if follower is not None:
            follower.close()

    def wait(self, timeout: float = PATIENCE) -> bool:
        """Start, and block until the host's member is connected, has a problem, or `timeout` seconds are over.

        Returns:
            Whether it is connected. If not, `problem` may say why.
        """
        self.start()
        follower = self._follower
        if follower is None:
            return False
        follower.settled.wait(timeout)
        return follower.attached.is_set()

    # -- the view -----------------------------------------------------------------------------

    def members(
        self,
        tags: Mapping[str, str] | None = None,
        *,
        status: MemberStatus | str | None = MemberStatus.ALIVE,
        name: str | None = None,
    ) -> list[Member]:
        """Members by name, from this process's memory: no I/O, no lock, some microseconds.

        Only the very first call waits for the member, up to 10 s. When it is lost later, the last list
        stays; `staleness` says how old it is.

        Args:
            tags: Tag → regular expression for the whole value. A tag that a member lacks counts as empty.
            status: Alive ones, unless you say otherwise; None for all.
            name: A regular expression for the whole name.

        Raises:
            AgentUnreachable: There has not been a list yet; the text says what is wrong.
            UsageError: An expression does not compile.
        """
        if not self._view.filled or self._follower is None:
            self._first_wait()
        return self._view.select(status, tags, name)

    def member(self, name: str) -> Member | None:
        """The member of that name in whatever status; None if there is none. As fast as `members`."""
        if not self._view.filled or self._follower is None:
            self._first_wait()
        return self._view.get(name)

    @property
    def own(self) -> Member | None:
        """The host's own member; None before it is known."""
        return self._view.get(self._follower.own) if self._follower is not None else None

    @property
    def draining(self) -> bool:
        """Whether this host was told to take no new work: its member has the tag `draining`. See `drain`."""
        own = self.own
        return own is not None and DRAINING in own.tags

    @property
    def staleness(self) -> float:
        """Seconds since the list was last known to be right; infinite before there is one.

        Below 6 while all is well: the member is heard of at least every 5 s.
        """
        return time.monotonic() - self._view.confirmed

    @property
    def attached(self) -> bool:
        """Whether the host's member is connected now."""
        return self._follower is not None and self._follower.attached.is_set()

    @property
    def problem(self) -> str:
        """Why it is not, and what to do; empty if all is well or nothing was tried yet."""
        return self._follower.problem if self._follower is not None else ""

    @property
    def supervises(self) -> bool:
        """Whether this worker looks after the host's member. One worker of a host does, at any time."""
        return self._follower is not None and self._follower.supervises

    # -- what happens -------------------------------------------------------------------------

    @overload
    def on(self, events: str, handler: None = None, *, per: Per = "worker") -> Callable[[H], H]: ...

    @overload
    def on(self, events: str, handler: H, *, per: Per = "worker") -> H: ...

    def on(self, events: str, handler: H | None = None, *, per: Per = "worker") -> Any:
        """Call a handler, in a thread of this process, for what happens from now on. Also a decorator.

        Args:
            events: `deploy` or `user:deploy` for a user event, `query:load`, `member-join`, `member-leave`,
                `member-failed`, `member-update`, `member-reap`; several with commas; `*` for everything.
            handler: Gets the event. Handlers run one after the other. What one for a query returns, bytes or
                str, is this host's answer if no other worker was faster. Errors are logged.
            per: `worker`: in each worker. `host`: in one worker of each host; at most once, and while
                a worker dies that may be never.

        Raises:
            UsageError: There is no such event.
        """
        if handler is None:
            return lambda function: self.on(events, function, per=per)
        self._handlers.add(events, handler, per)
        return handler

    def on_gap(self, handler: H) -> H:
        """Call a handler when events may have been missed, with the `Gap`: it should look at everything anew."""
        self._handlers.add_for_gaps(handler)
        return handler

    def user_event(
        self,
        name: str,
        payload: bytes | str | None = None,
        *,
        coalesce: bool = False,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Tell all members, or those whose tags match; see `rpc.client.Client.user_event`.

        Blocks until the host's member has it, some 1 ms.

        Raises:
            RPCError: The member refused, most often because name and payload are over 512 bytes.
            AgentUnreachable: There is no member. If it was lost just now the event may have been sent.
        """
        self._client().user_event(name, _bytes(payload), coalesce=coalesce, tags=tags)

    def query(
        self,
        name: str,
        payload: bytes | str | None = None,
        *,
        nodes: Sequence[str] = (),
        tags: Mapping[str, str] | None = None,
        ack: bool = False,
        timeout: float | None = None,
    ) -> Records[QueryRecord]:
        """Ask members; iterate over what comes, until the query's time is over. Errors as for `user_event`."""
        return self._client().query(
            name, _bytes(payload), filter_nodes=nodes, filter_tags=tags, request_ack=ack, timeout=timeout
        )

    def respond(self, query: Query, payload: bytes | str | None = None) -> None:
        """Answer a query for this host, from whichever thread. RPCError if a worker of this host did already."""
        query.respond(_bytes(payload))

    def set_tags(self, tags: Mapping[str, str | None]) -> None:
        """Change some tags of the host's member for all to see; None deletes one. Blocks until the cluster was told."""
        changed = {key: value for key, value in sorted(tags.items()) if value is not None}
        deleted = tuple(key for key, value in tags.items() if value is None)
        self._client().submit(TagsRequest(changed, deleted)).result(LEAVE_TIMEOUT)

    def leave(self) -> None:
        """Let the host's member leave the cluster and end, for all its workers. It comes back with the next new worker.

        Workers that used it bring it back themselves after 15 s, should they still be there.
        """
        self._client().submit(LeaveRequest()).result(LEAVE_TIMEOUT)

    # -- inside -------------------------------------------------------------------------------

    def _client(self) -> Client:
        self.wait()
        client = self._follower.client if self._follower is not None else None
        if client is None:
            raise self._unreachable()
        return client

    def _first_wait(self) -> None:
        self.start()
        if not self._view.filled and not self.wait() and not self._view.filled:
            raise self._unreachable()

    def _unreachable(self) -> AgentUnreachable:
        return AgentUnreachable(self.problem or "the host's member does not answer yet")

    def _forked(self) -> None:
        """In a child: thread, connection and locks are the parent's. Handlers and the list are ours, too."""
        follower, self._follower = self._follower, None
        self._starting = threading.Lock()
        self._handlers.forget_thread()
        if follower is not None:
            follower.abandon()


def _bytes(payload: bytes | str | None) -> bytes | None:
    return payload.encode() if isinstance(payload, str) else payload


def _check_threads() -> None:
    """uWSGI runs no threads unless it is told to; then nobody would follow anything."""
    try:
        import uwsgi
    except ImportError:
        return
    options = uwsgi.opt
    if not (options.get("enable-threads") or options.get("threads") or options.get("gevent")):
        raise UsageError("serfcompat needs a thread in each worker: start uWSGI with --enable-threads")


_all: weakref.WeakSet[LocalSerf] = weakref.WeakSet()
_local = LocalSerf()


def local() -> LocalSerf:
    """This process's use of its host's member; always the same object."""
    return _local


def configure(**settings: Any) -> LocalSerf:
    """`local().configure(settings)`, for programs without a framework's configuration. Returns `local()`."""
    _local.configure(settings)
    return _local


def _after_fork_in_child() -> None:
    for each in list(_all):
        each._forked()


os.register_at_fork(after_in_child=_after_fork_in_child)
