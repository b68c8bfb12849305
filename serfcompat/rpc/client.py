"""`Client`: talk to a Serf agent, serfcompat's or Go's, as blocking calls (spec agent §4.7)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, Self, TypeVar

from serfcompat.errors import AgentUnreachable
from serfcompat.rpc import protocol
from serfcompat.rpc.codec import sorted_map
from serfcompat.rpc.connection import Call, Connection, Inbox
from serfcompat.rpc.dial import dial
from serfcompat.rpc.protocol import Request
from serfcompat.rpc.records import LogRecord, QueryRecord, StreamedEvent, event_of
from serfcompat.rpc.replies import Coordinate, CoordinateReply, JoinReply, KeyReply, MembersReply, StatsReply
from serfcompat.serf.member import Member

DEFAULT_ADDRESS = "127.0.0.1:7373"
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 5.0
"Seconds between attempts to reconnect; doubled after each."

T = TypeVar("T")
_MEMBERS, _STATS = protocol.MembersRequest(), protocol.StatsRequest()


class Client:
    """A connection to an agent's RPC port. Any number of threads or greenlets may share it.

    Every call waits for the agent's answer, however long that takes; `submit` doesn't wait.
    Calls raise RPCError with the agent's own words if it refuses, and AgentUnreachable if
    the connection is lost.
    """

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        auth_key: str = "",
        *,
        timeout: float = 10.0,
        reconnect: float = 0.0,
        answer_timeout: float | None = None,
    ) -> None:
        """Connect and introduce ourselves.

        Args:
            address: `host:port`, `[v6]:port`, or `unix:///path` for a serfcompat agent's socket.
            auth_key: The agent's `rpc_auth`. ⚠ An agent without one refuses every key.
            timeout: Seconds for connecting, and for each write. Answers may take longer.
            reconnect: If the connection is lost, later calls try for so many seconds to get a new
                one, streams and monitors go on by themselves. What was on its way is not repeated.
                0: a lost connection stays lost.
            answer_timeout: Seconds that a call waits for its answer before it raises TimeoutError; what
                was asked for may still happen. None: for ever, because some answers take long.

        Raises:
            AgentUnreachable: Nobody answers there.
            RPCError: The agent refuses the key, or speaks another version.
        """
        self.address = address
        self.timeout = timeout
        self.reconnect = reconnect
        self.answer_timeout = answer_timeout
        self._auth_key = auth_key
        self._closed = False
        self._reconnecting = threading.Lock()
        self._connection = self._connect()

    def close(self) -> None:
        """Close the connection; what still waits ends with AgentUnreachable. May be called again."""
        self._closed = True
        self._connection.close()

    def abandon(self) -> None:
        """In a forked child: close this process's copy of the connection. The parent's goes on."""
        self._closed = True
        self._connection.abandon()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def closed(self) -> bool:
        """Closed, or lost and not to be had again."""
        return self._closed or (self._connection.closed and not self.reconnect)

    # -- membership ---------------------------------------------------------------------------

    def members(self) -> list[Member]:
        """All members that the agent knows, in any status, in no particular order."""
        reply: MembersReply = self._call(_MEMBERS)
        return list(reply.members)

    def members_filtered(
        self, *, name: str = "", status: str = "", tags: Mapping[str, str] | None = None
    ) -> list[Member]:
        """Members whose name, status and tags match these regular expressions (RE2), each as a whole.

        A tag that a member lacks counts as empty. ⚠ `a|b` means "starts with a, or ends with b": write
        `(a|b)`. ⚠ An expression that is wrong makes the agent close the connection.
        """
        reply: MembersReply = self._call(protocol.MembersFilteredRequest(sorted_map(dict(tags or {})), status, name))
        return list(reply.members)

    def join(self, addresses: Sequence[str], *, replay: bool = False) -> int:
        """Let the agent join a cluster through these addresses; how many answered.

        Args:
            replay: Deliver user events from before the join.

        Raises:
            RPCError: None answered; the text has one line per address.
        """
        reply: JoinReply = self._call(protocol.JoinRequest(tuple(addresses), replay))
        return reply.num

    def force_leave(self, node: str, *, prune: bool = False) -> None:
        """Declare a failed member gone for good; an unknown name is no error.

        Args:
            prune: Forget it at once (agents before 0.8.4 ignore this).
        """
        self._call(protocol.ForceLeaveRequest(node, prune))

    def leave(self) -> None:
        """Let the agent leave its cluster, and end. Takes some seconds; the connection is gone afterwards."""
        self._call(protocol.LeaveRequest())

    def update_tags(self, tags: Mapping[str, str] | None = None, delete: Sequence[str] = ()) -> None:
        """Set some of the agent's tags and delete others; the rest stays. A tag in both is set."""
        self._call(protocol.TagsRequest(sorted_map(dict(tags or {})), tuple(delete)))

    def stats(self) -> Mapping[str, Mapping[str, str]]:
        """What `serf info` shows: section, name, value."""
        reply: StatsReply = self._call(_STATS)
        return reply.sections

    def coordinate(self, node: str) -> Coordinate | None:
        """A member's network coordinate; None if the agent knows none."""
        reply: CoordinateReply = self._call(protocol.CoordinateRequest(node))
        return reply.coord if reply.ok else None

    # -- keys ---------------------------------------------------------------------------------

    def install_key(self, key: str) -> KeyReply:
        """Add a key (base64) on every member. RPCError if some refused; `.reply` says which."""
        reply: KeyReply = self._call(protocol.InstallKeyRequest(key))
        return reply

    def use_key(self, key: str) -> KeyReply:
        """Let every member encrypt with a key that all have. RPCError as above."""
        reply: KeyReply = self._call(protocol.UseKeyRequest(key))
        return reply

    def remove_key(self, key: str) -> KeyReply:
        """Drop a key that nobody uses any more. RPCError as above."""
        reply: KeyReply = self._call(protocol.RemoveKeyRequest(key))
        return reply

    def list_keys(self) -> KeyReply:
        """The keys of all members, and how many have each. RPCError as above."""
        reply: KeyReply = self._call(protocol.ListKeysRequest())
        return reply

    # -- events and queries -------------------------------------------------------------------

    def user_event(
        self,
        name: str,
        payload: bytes | None = None,
        *,
        coalesce: bool = False,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Tell members something.

        Args:
            coalesce: Of several with this name only the newest matters.
            tags: Tag → regular expression (RE2): only members that match hear of it. ⚠ A Go agent
                knows no such events: it answers `Unsupported command`, and closes the connection.
        """
        if tags:
            self._call(protocol.TaggedEventRequest(name, payload, sorted_map(dict(tags))))
        else:
            self._call(protocol.EventRequest(name, payload, coalesce))

    def respond(self, id: int, payload: bytes | None = None) -> None:
        """Answer a query that a stream of this client told, before its time is over."""
        self._call(protocol.RespondRequest(id, payload))

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
    ) -> Records[QueryRecord]:
        """Ask members; gives acks and responses as they come, until the query's time is over.

        Args:
            filter_tags: Tag → regular expression (RE2) that must match somewhere in its value.
            timeout: Seconds that answers are taken; None: the agent's default.
        """
        request = protocol.QueryRequest(
            filter_nodes=tuple(filter_nodes),
            filter_tags=sorted_map(dict(filter_tags or {})),
            request_ack=request_ack,
            relay_factor=relay_factor,
            timeout_ns=0 if timeout is None else round(timeout * 1_000_000_000),
            name=name,
            payload=payload,
        )
        records: Records[QueryRecord] = Records(self)
        records.add(request, QueryRecord.decode, resumes=False)
        return records

    def stream(self, filter: str = "*") -> Records[StreamedEvent]:
        """Events from now on: `member-join,user:deploy,query` and the like, or `*` for all.

        ⚠ A Go agent answers just before it begins: it misses what other clients cause in that moment. The
        answer to another request of this client, such as `stats()`, shows that it has begun.
        """
        records: Records[StreamedEvent] = Records(self)
        records.add(protocol.StreamRequest(filter), event_of)
        return records

    def monitor(self, level: str = "INFO", *, into: Records[Any] | None = None) -> Records[str]:
        """The agent's log: up to 512 entries of its past, then what comes. Independent of the agent's own level.

        Args:
            into: Records of this client that shall bring the lines as well, in the order in which all came.
        """
        records: Records[str] = Records(self) if into is None else into
        records.add(protocol.MonitorRequest(level), _log_line)
        return records

    # -- below the commands -------------------------------------------------------------------

    def submit(self, request: Request) -> Call:
        """Send a request and go on; `.result()` waits for its answer. For many requests at once.

        Not for requests that open a stream.
        """
        return self.connection().submit(request)

    def submit_all(self, requests: Iterable[Request]) -> list[Call]:
        """Like `submit` for each, in as few writes as can be: the fastest way to do many things.

        for call in client.submit_all(EventRequest(f"deploy-{name}") for name in names):
            call.result()
        """
        return self.connection().submit_all(requests)

    def connection(self) -> Connection:
        """The connection; a new one if the old was lost and `reconnect` says so. Raises AgentUnreachable."""
        if not self.reconnect or self._closed:
            return self._connection
        with self._reconnecting:
            self._connection.look()
            return self._reconnect() if self._connection.closed else self._connection

    def _call(self, request: Request) -> Any:
        connection = self.connection() if self.reconnect else self._connection
        return connection.call(request, self.answer_timeout)

    def _connect(self) -> Connection:
        connection = Connection(dial(self.address, self.timeout), self.timeout)
        try:
            connection.submit(protocol.HandshakeRequest(protocol.VERSION)).result(self.answer_timeout)
            if self._auth_key:
                connection.submit(protocol.AuthRequest(self._auth_key)).result(self.answer_timeout)
        except TimeoutError as error:
            connection.close()
            raise AgentUnreachable(f"{self.address}: {error}") from error
        except BaseException:
            connection.close()
            raise
        return connection

    def _reconnect(self) -> Connection:
        deadline, pause = time.monotonic() + self.reconnect, FIRST_PAUSE
        while True:
            try:
                self._connection = self._connect()
            except AgentUnreachable:
                if self._closed or time.monotonic() + pause > deadline:
                    raise
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                if self._closed:
                    self._connection.close()
                return self._connection


class Records(Generic[T]):
    """What a stream, a monitor or a query brings, for one consumer.

    Iterating ends when a query's time is over, or at `close()`. Raises AgentUnreachable if the
    connection is lost, unless the client reconnects.
    """

    def __init__(self, client: Client) -> None:
        """Made by the client's methods."""
        self._client = client
        self._inbox: Inbox[T] = Inbox()
        self._opened: list[tuple[Request, Callable[[Any], T], bool]] = []
        self._seqs: list[int] = []
        self._connection = client.connection()

    def add(self, request: Request, decode: Callable[[Any], T], *, resumes: bool = True) -> None:
        """Open one more source of records. Raises RPCError if the agent refuses."""
        self._open(request, decode)
        self._opened.append((request, decode, resumes))

    def _open(self, request: Request, decode: Callable[[Any], T]) -> None:
        inbox, connection = self._inbox, self._connection

        def take(item: Any) -> None:
            record = decode(item)
            if isinstance(record, QueryRecord):
                if record.type == QueryRecord.DONE:
                    connection.forget(call.seq)
                    inbox.end()
                    return
                if not record.from_:  # Go agents may send bursts of these shortly before the end
                    return
            if not inbox.ended:
                inbox.put(record)

        call = connection.submit(request, take, inbox)
        self._seqs.append(call.seq)
        call.result(self._client.answer_timeout)

    @property
    def dropped(self) -> int:
        """Records that were lost because nobody took the 65536 before them."""
        return self._inbox.dropped

    @property
    def finished(self) -> bool:
        """Whether all was taken and nothing more will come."""
        return self._inbox.ended and not self._inbox.records

    def get(self, timeout: float | None = None) -> T:
        """The next record.

        Raises:
            TimeoutError: Nothing came within `timeout` seconds.
            EOFError: Nothing more will come.
            AgentUnreachable: The connection was lost.
        """
        while True:
            inbox = self._inbox
            if not inbox.ready and not self._connection.wait(inbox, timeout):
                raise TimeoutError(f"nothing came within {timeout} s")
            try:
                return inbox.records.popleft()
            except IndexError:
                if not inbox.ended:
                    continue
            if inbox.error is None:
                raise EOFError("no more records")
            if not self._resume():
                raise AgentUnreachable(str(inbox.error)) from inbox.error

    def close(self) -> None:
        """Stop the agent's sending, and end the iteration. A query runs on; its answers are dropped."""
        if self._inbox.ended:
            return
        self._inbox.end()
        self._inbox.records.clear()
        # The newest first, as the Go command line does.
        for seq, (_, _, resumes) in reversed(list(zip(self._seqs, self._opened, strict=True))):
            self._connection.forget(seq)
            if resumes:
                try:
                    self._connection.submit(protocol.StopRequest(seq)).result(self._client.timeout)
                except (AgentUnreachable, TimeoutError):
                    return

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        try:
            return self.get()
        except EOFError:
            raise StopIteration from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _resume(self) -> bool:
        """After a loss, open the same again on a new connection; False if that isn't wanted."""
        if not self._client.reconnect or not all(resumes for _, _, resumes in self._opened):
            return False
        self._connection = self._client.connection()
        dropped, self._inbox, self._seqs = self._inbox.dropped, Inbox(), []
        self._inbox.dropped = dropped
        for request, decode, _ in self._opened:
            self._open(request, decode)
        return True


def _log_line(item: Any) -> str:
    return LogRecord.decode(item).log
