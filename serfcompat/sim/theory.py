"""Published formulas, to hold measurements against."""

from __future__ import annotations

import math

FIRST_DETECTION = math.e / (math.e - 1)
"""Protocol periods from a failure until some member probes the failed one, the detecting period counted:
1.58 in a large group (SWIM, Das, Gupta and Motivala 2002, §3.1)."""


def first_detection(nodes: int) -> float:
    """The same for a group of `nodes`: each of the others picks the failed one with chance 1/(n - 1) per period."""
    if nodes < 3:
        return 1.0
    return 1.0 / (1.0 - (1.0 - 1.0 / (nodes - 1)) ** (nodes - 1))


def worst_detection(nodes: int) -> int:
    """Most periods until one given member probes another, with a shuffled round robin (SWIM §4.3): 2n - 1."""
    return 2 * nodes - 1


def infected(nodes: int, fan_out: float, ticks: float, *, loss: float = 0.0) -> float:
    """Members that have heard a claim after so many gossip ticks: the logistic curve of epidemics (SWIM §5.1).

    `n / (1 + (n - 1) · exp(-β t))`: every infected member tells `fan_out` others per tick,
    and what is lost tells nobody.
    """
    rate = fan_out * (1.0 - loss)
    return nodes / (1.0 + (nodes - 1) * math.exp(-rate * ticks))


def missed(nodes: int, copies: float) -> float:
    """Share of members that a claim never reaches by gossip, if each member sends `copies` in all.

    After `λ·log n` sends each, about `n^-λ` of the members are left out: the complement of
    the epidemic is hit by n · copies messages at random.
    """
    return math.exp(-copies) if nodes > 1 else 0.0
