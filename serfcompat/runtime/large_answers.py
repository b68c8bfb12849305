"""Large answers of ours, kept for those who asked until they have fetched them."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from serfcompat.errors import PayloadTooLarge
from serfcompat.wire.large_answer import MAX_ANSWER, PIECE, Reference

MAX_KEPT = 64 << 20
"Bytes of all answers that wait to be fetched."
GRACE_NS = 30_000_000_000
"How long after a query's deadline its answer can still be fetched: who got the reference in time may be slow."


class _Kept(NamedTuple):
    payload: bytes
    until_ns: int


class LargeAnswers:
    """Answers by their digest. Everything here runs on the node's hub."""

    def __init__(self) -> None:
        self._kept: dict[bytes, _Kept] = {}

    def offer(self, payload: bytes, deadline_ns: int, now_ns: int) -> Reference:
        """Keep an answer, and name it. Raises PayloadTooLarge."""
        if len(payload) > MAX_ANSWER:
            raise PayloadTooLarge(f"response exceeds limit of {MAX_ANSWER} bytes", limit=MAX_ANSWER, size=len(payload))
        self._forget_old(now_ns)
        reference = Reference(hashlib.sha256(payload).digest(), len(payload))
        self._kept.pop(reference.digest, None)
        room = MAX_KEPT - sum(len(kept.payload) for kept in self._kept.values())
        if len(payload) > room:
            raise PayloadTooLarge(
                f"large answers wait to be fetched, there is room for {room} bytes more: answer later or with less",
                limit=room,
                size=len(payload),
            )
        self._kept[reference.digest] = _Kept(payload, deadline_ns + GRACE_NS)
        return reference

    def piece(self, digest: bytes, offset: int) -> bytes:
        """The bytes at an offset, at most `PIECE`; none if there is no such answer, or none beyond the offset."""
        kept = self._kept.get(digest)
        return b"" if kept is None or offset < 0 else kept.payload[offset : offset + PIECE]

    def _forget_old(self, now_ns: int) -> None:
        self._kept = {digest: kept for digest, kept in self._kept.items() if kept.until_ns > now_ns}
