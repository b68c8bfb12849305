"""Network coordinates on the wire: each ack of a ping carries one (spec serf §10.8, §10.9).

What they mean, and how they move, is `vivaldi`.
"""

from __future__ import annotations

import logging

from serfcompat.errors import WireError
from serfcompat.serf.text import shown
from serfcompat.serf.vivaldi import Coordinate, CoordinateError, VivaldiClient
from serfcompat.swim.dice import Dice
from serfcompat.swim.metrics import Metrics
from serfcompat.wire.serf_messages import CoordinatePayload

PING_VERSION = 1
"First byte of the payload; it has nothing to do with any protocol version (PingVersion)."
TRACE = 5
"Level of the line about refused coordinates, below DEBUG."


class Coordinates:
    """Our own coordinate, and those that others had when they last answered a ping of ours."""

    def __init__(self, me: bytes, dice: Dice, metrics: Metrics, log: logging.Logger) -> None:
        self._me = me
        self._metrics = metrics
        self._log = log
        self._client = VivaldiClient(dice=dice, metrics=metrics)
        self._cache: dict[bytes, Coordinate] = {me: self._client.get()}
        self._payload: bytes | None = None

    @property
    def own(self) -> Coordinate:
        return self._client.get()

    @property
    def resets(self) -> int:
        """How often our coordinate became nonsense and began anew."""
        return self._client.resets

    def cached(self, name: bytes) -> Coordinate | None:
        return self._cache.get(name)

    def ack_payload(self) -> bytes:
        """What our acks carry (AckPayload). Made anew only when our coordinate has moved."""
        if self._payload is None:
            own = self._client.get()
            self._payload = CoordinatePayload(list(own.vec), own.error, own.adjustment, own.height).encode()
        return self._payload

    def on_ping(self, name: bytes, rtt_ns: int, payload: bytes | None) -> None:
        """A direct ping of ours was answered: move a little (NotifyPingComplete)."""
        if not payload:
            return
        if payload[0] != PING_VERSION:
            self._log.error("serf: Unsupported ping version: %d", payload[0])
            return
        try:
            heard = CoordinatePayload.decode(payload[1:])
        except WireError as error:
            self._log.error("serf: Failed to decode coordinate from ping: %s", error)
            return
        other = Coordinate(tuple(heard.vec or ()), heard.error, heard.adjustment, heard.height)
        before = self._client.get()
        try:
            after = self._client.update(name, other, rtt_ns)
        except CoordinateError as error:
            self._metrics.incr("serf.coordinate.rejected")
            self._log.log(TRACE, "serf: Rejected coordinate from %s: %s", shown(name), error)
            return
        self._payload = None
        self._metrics.sample("serf.coordinate.adjustment-ms", before.distance_ns(after) / 1e6)
        self._cache[name] = other
        self._cache[self._me] = after

    def forget(self, name: bytes) -> None:
        """A member is gone for good."""
        self._client.forget(name)
        self._cache.pop(name, None)
