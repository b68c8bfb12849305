"""Serf's messages at the ends of the wire: how a peer says and hears them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from serfcompat.conformance.bench import Bench
from serfcompat.conformance.case import Broken, expect
from serfcompat.conformance.peer import Peer
from serfcompat.conformance.words import serf_line
from serfcompat.errors import WireError
from serfcompat.wire.gostruct import Message
from serfcompat.wire.serf_messages import SerfPushPull
from serfcompat.wire.types import MessageType, SerfMessageType

LIMIT = 10.0
M = TypeVar("M", bound=Message)


def user(message: bytes) -> bytes:
    """A message of Serf as one of memberlist."""
    return bytes((MessageType.USER,)) + message


def say(bench: Bench, message: Message | bytes) -> None:
    """Gossip a message of Serf to the node."""
    data = message if isinstance(message, bytes) else message.encode()
    bench.herald.send(user(data), bench.node.address)


def bodies(peer: Peer, kind: int) -> list[bytes]:
    """Bodies of Serf's messages of a type that a peer has heard, by packet and by stream."""
    wanted = bytes((kind,))
    packets = [each.body for each in peer.heard if each.kind == MessageType.USER and each.body[:1] == wanted]
    streams = [body for of, body in list(peer.streams) if of == MessageType.USER and isinstance(body, bytes)]
    return [payload[1:] for payload in [*packets, *(body for body in streams if body[:1] == wanted)]]


def hear(
    peer: Peer, kind: type[M], right: Callable[[M], bool] = lambda _: True, *, limit: float = LIMIT, what: str = ""
) -> M:
    """The first of Serf's messages of a type that a peer hears and that is right. Broken: none comes."""
    return kind.decode(hear_body(peer, kind, right, limit=limit, what=what))


def hear_body(
    peer: Peer, kind: type[M], right: Callable[[M], bool] = lambda _: True, *, limit: float = LIMIT, what: str = ""
) -> bytes:
    """The body of that message, as it came."""
    assert kind.TYPE is not None
    deadline = time.monotonic() + limit
    while True:
        for body in bodies(peer, kind.TYPE):
            try:
                message = kind.decode(body)
            except WireError as error:
                raise Broken(f"a {kind.__name__} that can be read", f"{error} in {body.hex()}") from error
            if right(message):
                return body
        if time.monotonic() > deadline:
            heard = [serf_line(each.body) for each in peer.heard if each.kind == MessageType.USER]
            raise Broken(what or f"a {kind.__name__} within {limit:g} s", heard[-5:] or "no message of Serf at all")
        time.sleep(0.02)


def heard_nothing(peer: Peer, kind: type[M], wrong: Callable[[M], bool], what: str) -> None:
    """Broken if a peer has heard a message that it shouldn't have."""
    assert kind.TYPE is not None
    found = [message for body in bodies(peer, kind.TYPE) if wrong(message := kind.decode(body))]
    expect(not found, what, found)


def serf_state(bench: Bench) -> SerfPushPull:
    """Serf's part of the node's state. Broken: it has none."""
    data = bench.state().user_state or b""
    expect(data[:1] == bytes((SerfMessageType.PUSH_PULL,)), "Serf's state behind the nodes of a push/pull", data[:16])
    try:
        return SerfPushPull.decode(data[1:])
    except WireError as error:
        raise Broken("Serf's state that can be read", f"{error} in {data[:64].hex()}") from error


def exchange_serf(bench: Bench, peer: Peer, state: SerfPushPull, *, join: bool = True) -> None:
    """Give the node a peer's state with Serf's part."""
    bench.exchange([peer.entry], join=join, user_state=state.encode())


def empty_state(**fields: object) -> SerfPushPull:
    """Serf's state of a node that knows nothing."""
    values: dict[str, object] = {
        "ltime": 1,
        "status_ltimes": {},
        "left_members": [],
        "event_ltime": 1,
        "events": [],
        "query_ltime": 1,
    }
    return SerfPushPull(**(values | fields))  # type: ignore[arg-type]
