"""Answers too large for a datagram: a small one that names them, and their pieces over a stream. Not in Serf.

    a query with QueryFlag.LARGE    "I can fetch"; Go passes the bit on unchanged, and ignores it
    its answer, a `Reference`       size and digest as text, small like any other answer
    a stream, asker to answerer     FETCH {Digest, Offset} → user message with a piece, again and again

Only who set the flag gets a reference, so nobody else ever sees one; and only who sent a reference is asked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, Self

from serfcompat.wire.gomsgpack import BYTES, INT
from serfcompat.wire.gostruct import Message, go_struct
from serfcompat.wire.types import MessageType

MAX_ANSWER = 16 << 20
"Bytes of a large answer."
PIECE = 256 << 10
"Bytes fetched at a time."
DIGEST_SIZE = 32

_FORM = re.compile(rb"serfcompat-large-answer sha256=([0-9a-f]{64}) size=([0-9]{1,8})")


@dataclass(frozen=True, slots=True)
class Reference:
    """Names an answer by its content."""

    digest: bytes
    "SHA-256, 32 bytes."
    size: int

    def encode(self) -> bytes:
        return b"serfcompat-large-answer sha256=%b size=%d" % (self.digest.hex().encode(), self.size)

    @classmethod
    def parse(cls, payload: bytes | None) -> Self | None:
        """None if it is an ordinary answer, or refers to more than there may be."""
        found = _FORM.fullmatch(payload or b"")
        if found is None or int(found[2]) > MAX_ANSWER:
            return None
        return cls(bytes.fromhex(found[1].decode()), int(found[2]))


@go_struct(Digest=BYTES, Offset=INT)
@dataclass(frozen=True, slots=True)
class Fetch(Message):
    """Asks for the piece at an offset, at most `PIECE` bytes; the answer is a user message, empty if there is none."""

    TYPE: ClassVar = MessageType.FETCH

    digest: bytes | None
    offset: int
