"""`Serf`: a full member of a Serf cluster, as blocking calls (spec serf §12)."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Self

from serfcompat.errors import DeadlineExceeded, StateError
from serfcompat.runtime.channel import Channel
from serfcompat.runtime.home import HomeName
from serfcompat.runtime.inheritance import OnFork
from serfcompat.runtime.key_manager import KeyManager
from serfcompat.runtime.query import QueryResponses
from serfcompat.runtime.serf_node import SerfNode
from serfcompat.runtime.surroundings import monotonic
from serfcompat.serf.config import Config
from serfcompat.serf.events import Event, QueryEvent
from serfcompat.serf.member import Member, MemberStatus
from serfcompat.serf.queries import QueryParams
from serfcompat.serf.selection import leader, matching, nearest
from serfcompat.serf.state import SerfState
from serfcompat.serf.vivaldi import Coordinate
from serfcompat.swim.config import seconds_to_ns
from serfcompat.swim.metrics import Metrics

EVENT_QUEUE = 1024
"Events that one subscriber may leave untaken before newer ones are dropped and counted."


class Serf:
    """One member of a Serf cluster.

    Creating it opens nothing; `start()`, or the `with` block, does. Every call may be made
    from any thread. In a gevent program the node lives on the program's own hub, elsewhere
    in a thread of its own (`home="inline"` and `home="thread"` insist).
    """

    def __init__(
        self, config: Config, *, home: HomeName = "auto", on_fork: OnFork = "error", metrics: Metrics | None = None
    ) -> None:
        """
        Args:
            home: Where the node lives: `auto`, `inline` or `thread`.
            on_fork: What a child process finds that was forked after `start()`: with `error` every call
                raises ForkedError; with `restart` the first call starts a node of its own, called
                `NAME-PID`, on a free port, without the files, but with the tags, keys and handlers
                (`on`) of the parent, and joins the parent's cluster. The parent goes on either way.

        Raises:
            UsageError: Names every problem of the configuration.
        """
        if not config.node_name:
            config = config.replace(node_name=socket.gethostname())
        config.check()
        self._node = SerfNode(config, home, on_fork, metrics)

    @property
    def config(self) -> Config:
        """As given; once started, with the port really bound, and in a forked child the child's own."""
        return self._node.config

    # -- life ---------------------------------------------------------------------------------

    def start(self) -> Self:
        """Bind, announce ourselves and begin to take part. Raises StartError; nothing is left open then."""
        if self._node.inherited:
            self._node.check_process()
        else:
            self._node.begin()
        return self

    def leave(self) -> None:
        """Leave on purpose, so that the others don't count us as failed; call `shutdown` after it.

        Blocks some seconds: until the word is spread, and a moment longer to answer those
        who have not heard it. A second call after that returns at once.

        Raises:
            StateError: A leave is under way, or the node was shut down.
        """
        self._node.wait(lambda engine, now_ns, token: engine.begin_leave(token, now_ns))

    def shutdown(self) -> None:
        """Stop at once. Without a `leave` before it the others will see us fail. May be called again."""
        self._node.end()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.shutdown()

    @property
    def state(self) -> SerfState:
        """alive, leaving, left or shutdown."""
        self._node.check_process()
        return self._node.engine.state if self._node.running else SerfState.SHUTDOWN

    # -- membership ---------------------------------------------------------------------------

    def join(self, addresses: Sequence[str], ignore_old: bool = False) -> int:
        """Join a cluster by exchanging full state with each address over TCP (push/pull).

        Blocks the caller; probing and event delivery go on. Each exchange is bounded by
        `config.memberlist.tcp_timeout` seconds, and addresses are tried in turn.

        Args:
            addresses: `host`, `host:port`, `[v6]:port` or `node-name/host:port`. A host with
                three A records is tried, and counted, three times. `srv+_serf._tcp.example.org`
                stands for each target of that SRV record. They are remembered: should all
                others be gone once, they are looked up and joined again.
            ignore_old: Don't deliver user events from before the join.

        Returns:
            How many addresses answered; not how many members are new. 0 for an empty list.

        Raises:
            JoinError: Nobody answered. `.failures` has one cause per address, in order.
                Calling again is safe: merging the same state twice changes nothing.
            StateError: The node left, or was shut down.

        Source: spec serf §12.2; upstream `Serf.Join`.
        """

        return self._node.call(lambda: self._node.join(addresses, ignore_old))

    def members(
        self,
        *,
        status: MemberStatus | str | None = None,
        tags: Mapping[str, str] | None = None,
        name: str | None = None,
    ) -> list[Member]:
        """Every member known, or those that match. A look at a snapshot: cheap, and never delayed by the network.

        Args:
            status: Only these, e.g. `"alive"`; None: in any status.
            tags: Tag → regular expression for its whole value; a missing tag counts as empty.
            name: Regular expression for the whole name.
        """
        self._node.check()
        if status is None and not tags and name is None:
            return list(self._node.members)
        matches = matching(status=status, tags=tags, name=name)
        return [member for member in self._node.members if matches(member)]

    def wait_for(
        self, members: int = 1, *, tags: Mapping[str, str] | None = None, timeout: float | None = None
    ) -> list[Member]:
        """Block until at least so many alive members match, and return them.

        Raises:
            DeadlineExceeded: After `timeout` seconds there were fewer; the text says how many.
        """
        deadline = None if timeout is None else monotonic() + timeout
        with self.events(kinds=("member",)) as events:
            while True:
                found = self.members(status=MemberStatus.ALIVE, tags=tags)
                if len(found) >= members:
                    return found
                try:
                    events.get(None if deadline is None else max(0.0, deadline - monotonic()))
                except TimeoutError:
                    raise DeadlineExceeded(
                        f"{len(found)} alive members match after {timeout} s, {members} were waited for"
                    ) from None
                except EOFError:
                    raise StateError("the node was shut down while waiting for members") from None

    def nearest(self, count: int = 1, *, tags: Mapping[str, str] | None = None) -> list[tuple[Member, float]]:
        """Other alive members by estimated round trip in seconds, the nearest first.

        Members whose coordinate isn't known yet are left out. Raises UsageError if coordinates are disabled.
        """
        others = [m for m in self.members(tags=tags) if m.name != self.config.node_name]

        def measure() -> list[tuple[Member, float]]:
            engine = self._node.engine
            return nearest(others, engine.coordinate(), engine.cached_coordinate)

        return self._node.call(measure)[:count]

    def leader(self, *, tags: Mapping[str, str] | None = None) -> Member | None:
        """The alive member that has its role longest: the smallest (tag `since`, name) among those that match.

        A rule that every member evaluates by itself, not an election. While news are still
        spreading, or during a partition, two members may both believe to lead. What must
        never happen twice needs a fencing token from a store that is consistent.
        """
        return leader(self.members(tags=tags))

    def local_member(self) -> Member:
        """Ourselves as the others see us."""
        return self._node.call(lambda: self._node.engine.local_member())

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Replace all our tags, and wait until the others know.

        Raises:
            PayloadTooLarge: They don't fit into 512 bytes; nothing was changed.
            DeadlineExceeded: Not spread within `config.broadcast_timeout`; the new tags stay in force.
        """
        self._node.wait(lambda engine, now_ns, token: engine.set_tags(tags, token, now_ns))

    def remove_failed_node(self, name: str, *, prune: bool = False) -> None:
        """Declare a failed member gone for good (force-leave); an alive one will refute.

        Args:
            prune: Forget it at once, with all that is known of it.

        Raises:
            DeadlineExceeded: Not spread within `config.broadcast_timeout`.
        """
        self._node.wait(lambda engine, now_ns, token: engine.force_leave(name, prune, token, now_ns))

    # -- events and queries -------------------------------------------------------------------

    def user_event(
        self,
        name: str,
        payload: bytes | None = None,
        coalesce: bool = False,
        *,
        tags: Mapping[str, str] | None = None,
        block: bool = True,
        timeout: float | None = None,
    ) -> None:
        """Tell every member something, ourselves included. Returns once it is queued for gossip.

        As long as more events wait than can be sent without loss, the caller waits: some 50 small
        events a second get through a LAN cluster, from all members together, and three times as
        many if there are at most four. `events_held` counts the calls that had to.

        Args:
            payload: Name and payload together fit into `config.user_event_size_limit` bytes.
            coalesce: Receivers may merge events of this name: only the newest matters.
            tags: Tag → regular expression (RE2) that must match somewhere in its value: only those
                members hear of it. Go has no such events: its members take them for queries. Then
                the limit is `config.query_size_limit`, nothing is coalesced, and nobody waits.
            block: False: raise EventQueueFull instead of waiting.
            timeout: Seconds to wait at most; then EventQueueFull.

        Raises:
            PayloadTooLarge: Nothing was sent.
            EventQueueFull: Nothing was sent, now or within `timeout`.
        """
        if tags:
            params = QueryParams(filter_tags=tags, as_event=True)
            self._node.step(lambda engine, now_ns: engine.query(name, payload, params, now_ns).effects)
            return
        self._node.call(lambda: self._node.held.fire(name, payload, coalesce, block=block, timeout=timeout))

    @property
    def events_held(self) -> int:
        """Calls of `user_event` that had to wait for room, or were refused (metric `serfcompat.user_event.held`)."""
        return self._node.held.held

    def query(
        self,
        name: str,
        payload: bytes | None = None,
        *,
        filter_nodes: Sequence[str] = (),
        filter_tags: Mapping[str, str] | None = None,
        request_ack: bool = False,
        relay_factor: int = 0,
        timeout: float | None = None,
        until_deadline: bool = False,
        large_answers: bool | None = None,
    ) -> QueryResponses:
        """Ask all members, or those that the filters choose; ourselves included.

        Args:
            filter_nodes: Only these nodes answer.
            filter_tags: Tag → regular expression (RE2) that must match somewhere in its value.
            request_ack: Every node that the query reaches says so.
            relay_factor: So many redundant copies of each answer take another way, 0 to 255.
            timeout: Seconds that answers are taken; None: by the cluster's size, 3.2 s below 10 nodes.
            until_deadline: Take answers all that time, even if every node that is asked has answered.
            large_answers: Let serfcompat nodes answer with up to 16 MiB; such an answer is fetched over a
                stream before it is given out. Go's nodes never notice. None: unless `until_deadline`.

        Returns:
            The answers, as they come; iterating ends when all have answered, or the time is over.

        Raises:
            PayloadTooLarge: The encoded query is over `config.query_size_limit` bytes.
        """
        params = QueryParams(
            filter_nodes=filter_nodes,
            filter_tags=filter_tags or {},
            request_ack=request_ack,
            relay_factor=relay_factor,
            timeout_ns=0 if timeout is None else seconds_to_ns(timeout),
            large_answers=not until_deadline if large_answers is None else large_answers,
        )

        return self._node.call(lambda: self._node.queries.ask(name, payload, params, until_deadline=until_deadline))

    def respond(self, query: QueryEvent, payload: bytes | None = None) -> None:
        """Answer a query that `events()` delivered; once, and before its deadline.

        Up to `config.query_response_size_limit` bytes (1024), encoded, go in a datagram. Up to 16 MiB
        are fetched from us over a stream, if the asker is serfcompat's (`query.large_answers`).

        Raises:
            PayloadTooLarge: The answer is over the limit that holds for this asker.
            StateError: It was answered already.
            DeadlineExceeded: Nobody listens any more.
        """

        self._node.call(lambda: self._node.respond(query, payload))

    def default_query_timeout(self) -> float:
        """Seconds that a query stays open if its caller doesn't say."""
        return self._node.call(lambda: self._node.engine.default_query_timeout_ns()) / 1e9

    def events(self, kinds: Sequence[str] = (), maxsize: int = EVENT_QUEUE) -> Channel[Event]:
        """What happens from now on. Each call gives an independent subscription.

        Iterate over it, or `get(timeout)`; `close()` ends it. It ends by itself at `shutdown`.

        Args:
            kinds: Only these: `member` (any change of a member), `member-join`, `member-failed` …,
                `user` or `user:NAME`, `query` or `query:NAME`. None given: everything.
            maxsize: Events that may wait; newer ones are then dropped, counted in `.dropped`. 0: no limit.

        Raises:
            UsageError: There is no such kind.
        """
        return self._node.subscribe(kinds, maxsize)

    def on(
        self, kind: str, handler: Callable[[Event], object], *, maxsize: int = EVENT_QUEUE, workers: int = 1
    ) -> Channel[Event]:
        """Call `handler` with each event of a kind, beside everything else.

        It runs in greenlets of its own in a gevent program, elsewhere in threads of its own,
        so it may block: only its own events wait meanwhile. What it raises is logged.

        Args:
            maxsize: Events that may wait; newer ones are then dropped, counted in `.dropped`. 0: no limit.
            workers: So many calls may run at once. With one, events come one after the other, in order.

        Returns:
            The subscription; `close()` it to stop.

        Raises:
            UsageError: There is no such kind, or no worker.
        """
        return self._node.handle(kind, handler, maxsize, workers)

    @property
    def keys(self) -> KeyManager:
        """Encryption keys of the whole cluster."""
        return KeyManager(
            lambda name, payload, relay_factor: self.query(
                name, payload, relay_factor=relay_factor, until_deadline=True
            ),
            lambda: self._node.engine.swim.alive_count(),
            lambda: frozenset(member.name for member in self.members(status=MemberStatus.ALIVE)),
            self._node.call,
            self._node.changing_keys,
            self._node.log,
        )

    # -- what is known ------------------------------------------------------------------------

    def stats(self) -> dict[str, str]:
        """Numbers about this node, as `serf info` shows them."""
        return self._node.call(lambda: self._node.engine.stats())

    def coordinate(self) -> Coordinate:
        """Our own network coordinate. Raises UsageError if they are disabled."""
        return self._node.call(lambda: self._node.engine.coordinate())

    def cached_coordinate(self, name: str) -> Coordinate | None:
        """Another member's coordinate, once it answered a probe of ours."""
        return self._node.call(lambda: self._node.engine.cached_coordinate(name))

    @property
    def encrypted(self) -> bool:
        """Whether keys are installed."""
        return len(self._node.engine.swim.keyring) > 0

    def wait_shutdown(self, timeout: float | None = None) -> bool:
        """Block until the node was shut down, e.g. because it lost its name; False if time ran out."""
        self._node.check_process()
        if not self._node.running or self._node.ended is None:
            return True
        try:
            self._node.ended.get(timeout)
        except EOFError:
            return True
        except TimeoutError:
            return False
        raise AssertionError("nothing is ever put there")
