"""The RPC protocol: what a client sends to an agent, and what an agent answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from serfcompat.errors import WireError
from serfcompat.rpc import codec
from serfcompat.rpc.protocol import REQUESTS, ReplyHeader, RequestHeader
from serfcompat.rpc.records import LogRecord, QueryRecord, event_of
from serfcompat.rpc.replies import CoordinateReply, JoinReply, KeyReply, MembersReply, StatsReply
from tests.fuzz import corpus
from tests.fuzz.target import Target

PREVIOUS = RequestHeader("members", 7)
READS_REQUESTS: tuple[Callable[[Any], object], ...] = (
    lambda data: RequestHeader.decode(data, PREVIOUS),
    *(request.decode for request in REQUESTS.values()),
)
READS_REPLIES: tuple[Callable[[Any], object], ...] = (
    *(ReplyHeader.decode, CoordinateReply.decode, JoinReply.decode, KeyReply.decode, MembersReply.decode),
    *(StatsReply.decode, LogRecord.decode, QueryRecord.decode, event_of),
)
PIECE = 7
"Bytes that arrive at a time."
ENOUGH = 20
"Objects looked at in one input."


def rpc_targets() -> Iterator[Target]:
    objects = corpus.rpc_objects()
    yield Target("rpc requests", _reads(READS_REQUESTS), objects, weight=2)
    yield Target("rpc replies", _reads(READS_REPLIES), objects, weight=2)


def _reads(decoders: tuple[Callable[[Any], object], ...]) -> Callable[[bytes], None]:
    """Each object of the stream is tried as everything that it could be, as nothing in it says what it is."""

    def run(data: bytes) -> None:
        fitted = 0
        for value in islice(_objects(data), ENOUGH):
            fitted += sum(_fits(decode, value) for decode in decoders)
        if not fitted:
            raise WireError("nothing", "fits")

    return run


def _objects(data: bytes) -> Iterator[Any]:
    stream = codec.Objects()
    for at in range(0, len(data), PIECE):
        stream.feed(data[at : at + PIECE])
        while (packed := stream.next()) is not None:
            yield codec.unpack(packed)


def _fits(decode: Callable[[Any], object], value: Any) -> bool:
    try:
        decode(value)
    except WireError:
        return False
    return True
