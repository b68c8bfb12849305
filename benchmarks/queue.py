"""Cases 24 and 25: the broadcast queue with 1000 alive messages in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import cycle

from benchmarks.case import Case, require
from benchmarks.inputs import Inputs
from serfcompat.swim.queue import TransmitLimitedQueue

NAMES = [b"node-%04d" % number for number in range(1000)]
OVERHEAD, LIMIT = 2, 1398
"Bytes for each message and for all: what fits into one packet."
NEVER = 1 << 40
"A retransmit multiplier that is never used up, so that the queue stays as long as it is."


def cases(inputs: Inputs) -> Iterator[Case]:
    yield Case(24, lambda: _get(inputs["alive"]))
    yield Case(25, lambda: _replace(inputs["alive"]))


def _full(message: bytes) -> TransmitLimitedQueue:
    queue = TransmitLimitedQueue(NEVER)
    for name in NAMES:
        queue.put(message, name=name)
    return queue


def _get(message: bytes) -> Callable[[], object]:
    queue = _full(message)
    require(len(queue.get(OVERHEAD, LIMIT, len(NAMES))) == 17, "how many messages fit")
    require(len(queue) == 1000, "how many are queued")
    return lambda: queue.get(OVERHEAD, LIMIT, 1000)


def _replace(message: bytes) -> Callable[[], object]:
    queue, names = _full(message), cycle(NAMES)

    def replace() -> None:
        queue.put(message, name=next(names))

    replace()
    require(len(queue) == 1000, "how many are queued")
    return replace
