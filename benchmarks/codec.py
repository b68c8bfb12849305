"""Cases 1 to 9: the messages that most packets consist of.

Encoding makes the whole message, type byte included, from a value that is there. Decoding takes
the body without the type byte.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.case import Case, require
from benchmarks.inputs import Inputs
from serfcompat.wire.gostruct import Message
from serfcompat.wire.messages import Ack, Alive, Ping


def cases(inputs: Inputs) -> Iterator[Case]:
    kinds: tuple[tuple[int, str, type[Message]], ...] = ((1, "ping", Ping), (4, "ack", Ack), (7, "alive", Alive))
    for number, name, kind in kinds:
        yield from _one_kind(number, kind, inputs[name])


def _one_kind(number: int, kind: type[Message], message: bytes) -> Iterator[Case]:
    body = message[1:]
    value = kind.decode(body)
    require(value.encode() == message, f"{kind.__name__} is encoded to other bytes")

    def decode() -> Message:
        return kind.decode(body)

    def both() -> None:
        value.encode()
        kind.decode(body)

    yield Case(number, lambda: value.encode)
    yield Case(number + 1, lambda: decode)
    yield Case(number + 2, lambda: both)
