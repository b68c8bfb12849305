"""The node under test, as far as the kit knows it beforehand."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from serfcompat.conformance.case import Need
from serfcompat.conformance.stranger import split_address
from serfcompat.swim.config import MemberlistConfig
from serfcompat.wire.layers import Layers

PROFILES: dict[str, Callable[[], MemberlistConfig]] = {
    "lan": MemberlistConfig.lan,
    "wan": MemberlistConfig.wan,
    "local": MemberlistConfig.local,
}
"Go's three sets of timings."


def _silent() -> Sequence[str]:
    return ()


@dataclass(frozen=True, slots=True)
class Node:
    """Where it is, and how to talk to it."""

    address: str
    "`host:port` of its packets and streams."
    layers: Layers = field(default_factory=Layers)
    "Its label and keys; the kit encrypts with the first."
    timing: MemberlistConfig = field(default_factory=MemberlistConfig.lan)
    "Its intervals and multipliers."
    facts: frozenset[Need] = frozenset()
    "What is known about it, for cases that need it."
    log: Callable[[], Sequence[str]] = _silent
    "All lines that it has logged so far."

    @property
    def host(self) -> str:
        return split_address(self.address)[0]

    @property
    def port(self) -> int:
        return split_address(self.address)[1]

    def our_address(self) -> str:
        """The address of this machine that the node can answer to."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((self.host, self.port))
            return str(probe.getsockname()[0])
