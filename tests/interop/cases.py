"""What every test of this package is run with."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from serfcompat.testing.processes import Kind
from tests.peers import GO_VERSIONS, go_serf

LIMIT = 75.0
"Seconds within which everybody knows everything, even where gossip was lost: some push/pulls."


@dataclass(frozen=True, slots=True)
class Case:
    """A version of the Go agent, and what cluster it lives in."""

    version: str
    encrypted: bool

    def __str__(self) -> str:
        return f"{self.version}-{'encrypted' if self.encrypted else 'plain'}"

    @property
    def go(self) -> Kind:
        """The Go agent. Skips or fails the test if it isn't there."""
        return Kind(f"Go serf {self.version}", (go_serf(self.version),))

    @property
    def key(self) -> bytes | None:
        return bytes(range(32)) if self.encrypted else None


CASES = [Case(version, encrypted) for version in GO_VERSIONS for encrypted in (False, True)]
PER_VERSION = [Case("0.9.4", False), Case("0.10.1", True)]
"One of each version, where secrecy makes no difference."


def key_flag(key: bytes | None) -> list[str]:
    """How an agent is told its key; nothing without one."""
    return [] if key is None else [f"-encrypt={base64.b64encode(key).decode()}"]
