"""What may be wrong with a network, beside its usual conditions. Each can be taken back by itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Pair = tuple[str, str]
"(from, to): one way between two hosts."


@dataclass(frozen=True, eq=False)
class Cut:
    """Nothing gets through between some hosts."""

    pairs: frozenset[Pair]

    def without(self, host: str) -> Cut:
        """The same, but for one host."""
        return Cut(frozenset(pair for pair in self.pairs if host not in pair))


@dataclass(frozen=True, eq=False)
class Unplugged:
    """A host's interface is down: its own sends fail at once, and nothing reaches it."""

    host: str


@dataclass(frozen=True, eq=False)
class HostLoss:
    """Some of what a host sends, and of what is sent to it, gets lost."""

    host: str
    share: float


@dataclass(frozen=True, eq=False)
class Changed:
    """A field of the conditions has another value; of two changes the later one counts."""

    field: str
    value: Any


Impairment = Cut | Unplugged | HostLoss | Changed


def one_way(source: str, target: str) -> Cut:
    return Cut(frozenset([(source, target)]))


def sides(groups: Iterable[Iterable[str]]) -> Cut:
    """Groups of hosts that don't hear each other."""
    parts = [list(group) for group in groups]
    return Cut(frozenset((a, b) for here in parts for there in parts if here is not there for a in here for b in there))
