"""Lifeguard's local health: how much a node trusts its own network (spec memberlist §6.10)."""

from __future__ import annotations


class Awareness:
    """A score from 0 (healthy) to `max_mult - 1`; a high score makes a node slower to suspect others."""

    __slots__ = ("_max", "score")

    def __init__(self, max_mult: int) -> None:
        self._max = max(max_mult, 1)
        self.score = 0

    def apply(self, delta: int) -> bool:
        """Add to the score within its bounds; whether it changed."""
        before = self.score
        self.score = min(max(before + delta, 0), self._max - 1)
        return self.score != before

    def scale(self, duration_ns: int) -> int:
        """The probe interval as this node's health stretches it. Nothing else is stretched (M-155)."""
        return duration_ns * (self.score + 1)
