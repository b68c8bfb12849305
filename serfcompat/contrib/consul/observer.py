"""`Observer`: a member of a Consul LAN pool that only listens, and leaves without a trace.

How it goes. First a visit tells what pool that is: its datacenter and segment go into our tags, and
what Consul would refuse is said before anything is sent that it could log. Then we join, and visit
again: Consul answers a join before it judges it, so only its own member list tells whether it took us.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from typing import Any, Self

from serfcompat.contrib.consul.admission import check_tags, observer_tags, refusal
from serfcompat.contrib.consul.events import PoolEvent, pool_event
from serfcompat.contrib.consul.members import ConsulMember, typed
from serfcompat.contrib.consul.pool import LAN_PORT, Pool, look
from serfcompat.errors import ConsulRefused, DeadlineExceeded, JoinError, StateError, UsageError
from serfcompat.runtime.channel import Channel
from serfcompat.runtime.home import HomeName
from serfcompat.runtime.serf import Serf
from serfcompat.runtime.waiting import waiter
from serfcompat.serf.config import Config
from serfcompat.serf.events import Event
from serfcompat.serf.member import MemberStatus
from serfcompat.serf.state import SerfState

TAKEN_LIMIT = 5.0
"Seconds until a member that took us must have us in its list."
_LOOK_AGAIN = 0.1
REMEMBERED = 72 * 3600.0
"Seconds that Consul remembers who failed or left; we as well, so that both lists agree."
LEAVE_PROPAGATE_DELAY = 3.0
"""Seconds after leaving before we ask to be forgotten; Consul itself waits as long before it goes.

⚠ An agent that heard of the leave only in part stops all of Serf for 8 seconds when it is asked to forget us.
"""


class Observer:
    """A typed client in a LAN pool: in `consul members` and the catalog while it runs, and gone from both after.

        with Observer(["10.0.0.1"], bind_addr="10.0.0.9") as observer:
            for event in observer.events():
                ...

    The block ends with a `leave`.
    """

    def __init__(
        self,
        join: Sequence[str],
        *,
        name: str = "",
        bind_addr: str = "0.0.0.0",
        bind_port: int = LAN_PORT,
        keys: Sequence[bytes] = (),
        tags: Mapping[str, str] | None = None,
        forget: bool = True,
        home: HomeName = "auto",
        **config: Any,
    ) -> None:
        """Nothing happens before `start`.

        Args:
            join: `host` or `host:port` of members, tried in turn; without a port 8301.
            name: Unique in the pool; empty: made of this host's name and process.
            bind_port: 8301 as everybody else's; another one where a Consul agent runs on this host, 0 for any.
            keys: Of an encrypted pool, as bytes (Consul's `encrypt` in base64), the primary first.
            tags: Instead of those that Consul wants of a client. Without `role` we are an untyped member,
                not in the catalog; but the leader then warns of us once a minute.
            forget: After leaving, have everybody forget us at once, not only after 72 hours.
            config: Fields of `Config` or `MemberlistConfig`.

        Raises:
            UsageError: The tags would make us a server; or a field of `config` is none.
        """
        check_tags(tags or {})
        self.name = name or f"observer-{socket.gethostname()}-{os.getpid()}"
        self._join = tuple(join)
        self._keys = tuple(keys)
        self._tags = tags
        self._forget = forget
        self._home: HomeName = home
        fixed = {
            "node_name": self.name,
            "bind_addr": bind_addr,
            "bind_port": bind_port,
            "keyring": self._keys,
            "reconnect_timeout": REMEMBERED,
            "tombstone_timeout": REMEMBERED,
            "leave_propagate_delay": LEAVE_PROPAGATE_DELAY,
            # Consul's agents hold no vote over names, and are not to be asked for one.
            "enable_name_conflict_resolution": False,
        }
        try:
            self._config = Config.lan(**(fixed | config))
        except TypeError as error:
            raise UsageError(str(error)) from None
        self._serf: Serf | None = None

    # -- life ---------------------------------------------------------------------------------

    def start(self) -> Self:
        """Look, join, and make sure that Consul took us. Blocks.

        Raises:
            VisitError: Nobody answered. A wrong key is told as what it is.
            ConsulRefused: Consul doesn't want us, or wouldn't; the text says why. Nothing is left running.
            StartError: The address can't be bound.
        """
        pool = look(self._join, keys=self._keys)
        tags = dict(observer_tags(pool, metadata.version("serfcompat")) if self._tags is None else self._tags)
        if why := refusal(self.name, tags, pool):
            raise ConsulRefused(why)
        serf = Serf(self._config.replace(tags=tags), home=self._home).start()
        try:
            self._enter(serf, pool)
        except BaseException:
            serf.shutdown()
            raise
        self._serf = serf
        return self

    def _enter(self, serf: Serf, pool: Pool) -> None:
        # Those who don't answer any more were not all there was: one that took us is enough.
        addresses = [pool.asked, *(address if ":" in address else f"{address}:{LAN_PORT}" for address in self._join)]
        try:
            serf.join(list(dict.fromkeys(addresses)))
        except JoinError as error:
            raise ConsulRefused(f"the pool answered a visit, but not the join: {error}") from error
        if not is_taken(pool.asked, serf.local_member().address, self.name, keys=self._keys, limit=TAKEN_LIMIT):
            raise ConsulRefused(
                f"{pool.asked} answered the join and did not take us: its log says why, after 'Failed push/pull merge'"
            )

    def leave(self) -> None:
        """Leave for good, and stop. Blocks some seconds. A second call does nothing.

        Consul deregisters us, and with `forget` the pool's members strike us off their lists.
        """
        serf = self._serf
        if serf is None or serf.state is SerfState.SHUTDOWN:
            return
        try:
            serf.leave()
            if self._forget:
                with contextlib.suppress(DeadlineExceeded):  # who didn't hear of it remembers that we left, no more
                    serf.remove_failed_node(self.name, prune=True)
        finally:
            serf.shutdown()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.leave()

    # -- what is seen -------------------------------------------------------------------------

    @property
    def serf(self) -> Serf:
        """The node itself. StateError before `start`."""
        if self._serf is None:
            raise StateError("the observer was not started: use it in a `with` block, or call start()")
        return self._serf

    def members(
        self, *, status: MemberStatus | str | None = None, tags: Mapping[str, str] | None = None
    ) -> list[ConsulMember]:
        """All members, ourselves included, by name; or those that match, as with `Serf.members`."""
        found = self.serf.members(status=status, tags=tags)
        return sorted(map(typed, found), key=lambda member: member.name)

    def events(self, maxsize: int = 1024) -> PoolEvents:
        """What happens from now on, as an independent subscription; see `Serf.events`."""
        return PoolEvents(self.serf.events(["member", "user"], maxsize))


class PoolEvents:
    """A subscription. Iterate over it, or `get(timeout)`; `close()` ends it."""

    def __init__(self, channel: Channel[Event]) -> None:
        self._channel = channel

    @property
    def dropped(self) -> int:
        """Events that came while too many waited untaken."""
        return self._channel.dropped

    def get(self, timeout: float | None = None) -> PoolEvent:
        """The next event. Raises EOFError after the end, TimeoutError if none came in time."""
        found = pool_event(self._channel.get(timeout))
        assert found is not None  # queries weren't asked for
        return found

    def close(self) -> None:
        self._channel.close()

    def __iter__(self) -> Iterator[PoolEvent]:
        while True:
            try:
                yield self.get()
            except EOFError:
                return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def is_taken(asked: str, address: str, name: str, *, keys: Sequence[bytes] = (), limit: float) -> bool:
    """Whether the member at `asked` has this one in its list, alive; given some time to make up its mind.

    Args:
        asked: `host:port`.
        address: `host:port` of the member that is looked for.
        limit: Seconds until the answer is no.

    Raises:
        VisitError: It does not answer any more.
    """
    deadline = time.monotonic() + limit
    while True:
        for member in look([asked], keys=keys).members:
            if (member.name, member.address, member.status) == (name, address, MemberStatus.ALIVE):
                return True
        if time.monotonic() > deadline:
            return False
        waiter(0)[0](_LOOK_AGAIN)
