"""Peers that were members once, whether they failed or left: whom `rejoin` asks when nobody is left."""

from __future__ import annotations

from collections.abc import Mapping


class FormerPeers:
    """Names and addresses (`host:port` as text)."""

    LIMIT = 256
    "The oldest are forgotten beyond it."

    def __init__(self, remembered: Mapping[bytes, bytes] | None = None) -> None:
        self.addresses: dict[bytes, bytes] = dict(remembered or {})
        self.rounds: dict[bytes, int] = {}
        "How often each was asked since we are alone."

    def add(self, name: bytes, address: bytes) -> None:
        """A member is forgotten."""
        self.forget(name)
        self.addresses[name] = address
        if len(self.addresses) > self.LIMIT:
            del self.addresses[next(iter(self.addresses))]

    def forget(self, name: bytes) -> None:
        """It is a member again, or somebody wants it forgotten."""
        self.addresses.pop(name, None)
