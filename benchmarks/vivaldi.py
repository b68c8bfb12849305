"""Case 26: one round trip moves the own coordinate."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import cycle

from benchmarks.case import Case, require
from benchmarks.inputs import Inputs
from serfcompat.serf.vivaldi import Coordinate, VivaldiClient


def cases(_: Inputs) -> Iterator[Case]:
    yield Case(26, _update)


def _update() -> Callable[[], object]:
    client = VivaldiClient(dice=random.Random(1))
    peer = Coordinate(tuple(n / 1000 for n in range(1, 9)), error=0.5, adjustment=0.0, height=10e-6)
    rtts_ns = cycle([ms * 1_000_000 for ms in range(5, 25)])

    def update() -> None:
        client.update(b"peer", peer, next(rtts_ns))

    update()
    require(client.get().vec != (0.0,) * 8 and client.resets == 0, "an update moves nothing")
    return update
