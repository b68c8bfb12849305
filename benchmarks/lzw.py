"""Cases 10, 11, 22 and 23: a compress message around a packet's worth of gossip, and around a large push/pull."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from benchmarks.case import Case, require
from benchmarks.inputs import Inputs
from serfcompat.wire.compress import forget, unwrap, wrap
from serfcompat.wire.messages import Compress
from serfcompat.wire.types import MAX_DECOMPRESSED


def cases(inputs: Inputs) -> Iterator[Case]:
    gossip, push_pull = inputs["payload1400"], inputs["pushpull1000"]
    yield Case(10, partial(_compress, gossip, inputs["payload1400_compressed"]))
    yield Case(11, partial(_decompress, inputs["payload1400_compressed"], gossip))
    yield Case(22, partial(_compress, push_pull, None))
    yield Case(23, lambda: _decompress(wrap(push_pull), push_pull))


def _compress(payload: bytes, expected: bytes | None) -> Callable[[], object]:
    require(expected is None or wrap(payload) == expected, "the compress message")
    return partial(wrap, payload)


def _decompress(message: bytes, expected: bytes) -> Callable[[], object]:
    body = message[1:]

    def decompress() -> bytes:
        forget()
        return unwrap(Compress.decode(body), MAX_DECOMPRESSED)

    require(decompress() == expected, "what was compressed")
    return decompress
