"""Our memberlist without Serf on it, among Serf agents: any protocol version, and every message in the open."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Self, TypeVar

from serfcompat import Delegate, Memberlist, MemberlistConfig, NodeState, NodeView
from serfcompat.errors import WireError
from serfcompat.wire.serf_messages import CoordinatePayload, UserEventMessage
from serfcompat.wire.types import SerfMessageType
from tests.interop.cases import LIMIT
from tests.interop.ours import kept_log

ASK_AGAIN = 0.1
SERF_PROTOCOLS = (2, 5, 5)
"Lowest, highest and current. Agents refuse who speaks none of theirs."
REPEAT = 8
"Times that a user event is handed to gossip: some for every other member of a small cluster."
T = TypeVar("T")


class Ears(Delegate):
    """Keeps what it hears, and has what it takes for an agent to know our coordinate and our events."""

    def __init__(self) -> None:
        self.news = threading.Condition()
        self.events: list[UserEventMessage] = []
        self.left: dict[str, NodeState] = {}
        self.answered: set[str] = set()
        self.to_send: list[bytes] = []

    def ack_payload(self) -> bytes:
        return CoordinatePayload([0.0] * 8, 1.5, 0.0, 1e-5).encode()

    def get_broadcasts(self, overhead: int, limit: int) -> Sequence[bytes]:
        return [self.to_send.pop()] if self.to_send and len(self.to_send[-1]) + overhead <= limit else []

    def notify_msg(self, payload: bytes) -> None:
        if payload and payload[0] == SerfMessageType.USER_EVENT:
            try:
                event = UserEventMessage.decode(payload[1:])
            except WireError:
                return
            with self.news:
                self.events.append(event)
                self.news.notify_all()

    def notify_leave(self, node: NodeView) -> None:
        with self.news:
            self.left[node.name.decode()] = node.state
            self.news.notify_all()

    def notify_ping_complete(self, node: NodeView, rtt: float, payload: bytes | None) -> None:
        with self.news:
            self.answered.add(node.name.decode())
            self.news.notify_all()


class Bare:
    """A started memberlist node of ours. Use it in a `with` block."""

    def __init__(self, name: str, host: str, **config: object) -> None:
        self.name, self.host, self.gossip = name, host, f"{host}:7946"
        self.ears = Ears()
        self.log: list[str] = []
        own = {"name": name, "bind_addr": host, "delegate_protocol": SERF_PROTOCOLS}
        own["logger"] = kept_log(f"{name} at {host}", self.log.append)
        self.memberlist = Memberlist(MemberlistConfig.local(**(own | config)), self.ears, home="thread")

    def __repr__(self) -> str:
        return f"<our memberlist {self.name!r} at {self.gossip}>"

    def tell(self, name: bytes, payload: bytes) -> None:
        """Gossip a user event."""
        self.ears.to_send.extend([UserEventMessage(1, name, payload, False).encode()] * REPEAT)

    def wait_until(self, ask: Callable[[], T], right: Callable[[T], bool]) -> T:
        """Ask, now and whenever something happens, until the answer is right. TimeoutError after 75 s."""
        found: list[T] = []

        def is_right() -> bool:
            found[:] = [ask()]
            return right(found[0])

        waited = 0.0
        with self.ears.news:
            while not is_right():
                if waited > LIMIT:
                    raise TimeoutError(f"{self.name}: {found[0]}")
                waited += ASK_AGAIN
                self.ears.news.wait(ASK_AGAIN)
        return found[0]

    def __enter__(self) -> Self:
        self.memberlist.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.memberlist.shutdown()
