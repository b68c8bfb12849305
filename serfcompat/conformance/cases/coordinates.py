"""Network coordinates."""

from __future__ import annotations

import time

from serfcompat.conformance.case import Area, Broken, Level, Severity, case, expect
from serfcompat.conformance.lab import Lab
from serfcompat.errors import WireError
from serfcompat.wire.serf_messages import CoordinatePayload
from serfcompat.wire.types import PING_VERSION

AGENT = Level.AGENT


@case("coordinate-ack", Area.COORDINATES, "S-186", "S-020", level=AGENT)
def acks_carry_coordinates(lab: Lab) -> None:
    """An ack carries version byte 1 and the agent's coordinate in Go's bytes: 8 dimensions, and at first the
    origin with error 1.5.
    """
    bench = lab.bench(lab.agent("a"))
    payload = bench.ask(bench.stranger()).payload or b""
    expect(payload[:1] == bytes((PING_VERSION,)), "a payload that begins with 1", payload.hex())
    try:
        found = CoordinatePayload.decode(payload[1:])
    except WireError as error:
        raise Broken("a coordinate", f"{error} in {payload.hex()}") from error
    wanted = CoordinatePayload([0.0] * 8, 1.5, 0.0, 1e-5)
    expect(found == wanted, repr(wanted), found)
    expect(wanted.encode() == payload, wanted.encode().hex(), payload.hex())


@case("coordinate-known", Area.COORDINATES, "S-187", "A-237", level=AGENT)
def coordinates_are_learned(lab: Lab) -> None:
    """An agent knows its own coordinate, and that of a member that it has pinged; of others it says that it
    knows none.
    """
    a, _ = lab.agents("a", "b")
    own = a.client.coordinate("a")
    expect(own is not None and len(own.vec or ()) == 8, "its own coordinate of 8 dimensions", own)
    expect(a.client.coordinate("kit-nobody") is None, "none of a stranger")
    deadline = time.monotonic() + 20.0
    while a.client.coordinate("b") is None:
        expect(time.monotonic() < deadline, "the coordinate of a member after it was pinged", "none in 20 s")
        time.sleep(0.1)


@case("coordinate-wrong", Area.COORDINATES, "S-192", "S-195", level=AGENT, severity=Severity.SHOULD)
def wrong_coordinates_are_ignored(lab: Lab) -> None:
    """Coordinates of other dimensions or versions, or that are no numbers, are ignored and do no harm."""
    agent = lab.agent("a")
    bench = lab.bench(agent)
    nan, good = float("nan"), CoordinatePayload([0.0] * 8, 1.5, 0.0, 1e-5).encode()
    payloads = [
        CoordinatePayload([nan] * 8, 1.5, 0.0, 1e-5).encode(),
        CoordinatePayload([0.0] * 3, 1.5, 0.0, 1e-5).encode(),
        b"\2" + good[1:],
        b"\1\xc1",
    ]
    members = []
    for payload in payloads:
        member = bench.member("peer")
        members.append(member)
        member.ack_payload = payload
    bench.wait(
        lambda: all(any(each.kind == 0 for each in member.heard) for member in members),
        bool,
        "a ping of each member",
        limit=30.0,
    )
    bench.lives("wrong coordinates")
    known = [name for member in members if agent.client.coordinate(name := member.name.decode()) is not None]
    expect(not known, "no coordinate of those that sent wrong ones", known)
    own = agent.client.coordinate("a")
    expect(own is not None and all(value == value for value in own.vec or ()), "a coordinate of numbers", own)
