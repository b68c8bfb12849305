"""How long a datagram is under way: distributions to choose from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from serfcompat.sim.units import MILLISECOND, duration_ns, duration_text
from serfcompat.swim.dice import Dice

_SPREAD = 0.5
"Standard deviation of the logarithm: one datagram in 40 takes more than 2.7 times the median."


class Latency(Protocol):
    """One way, in nanoseconds. `str()` is the text that `latency_of` reads."""

    def draw(self, dice: Dice) -> int: ...

    @property
    def usual_ns(self) -> int:
        """The median."""
        ...


@dataclass(frozen=True, slots=True)
class Fixed:
    """Always the same; `1ms`."""

    ns: int

    def draw(self, dice: Dice) -> int:
        return self.ns

    @property
    def usual_ns(self) -> int:
        return self.ns

    def __str__(self) -> str:
        return duration_text(self.ns)


@dataclass(frozen=True, slots=True)
class Uniform:
    """Anything between two bounds; `1ms..5ms`."""

    low_ns: int
    high_ns: int

    def draw(self, dice: Dice) -> int:
        return self.low_ns + int(dice.random() * (self.high_ns - self.low_ns))

    @property
    def usual_ns(self) -> int:
        return (self.low_ns + self.high_ns) // 2

    def __str__(self) -> str:
        return f"{duration_text(self.low_ns)}..{duration_text(self.high_ns)}"


@dataclass(frozen=True, slots=True)
class About:
    """Log-normal around a median, as real networks are: a long tail upwards; `~3ms`."""

    median_ns: int

    def draw(self, dice: Dice) -> int:
        # Box and Muller; 1 - x, because log(0) is not for us.
        normal = math.sqrt(-2.0 * math.log(1.0 - dice.random())) * math.cos(2.0 * math.pi * dice.random())
        return int(self.median_ns * math.exp(_SPREAD * normal))

    @property
    def usual_ns(self) -> int:
        return self.median_ns

    def __str__(self) -> str:
        return f"~{duration_text(self.median_ns)}"


LAN = Uniform(MILLISECOND // 5, MILLISECOND)


def latency_of(text: str) -> Latency:
    """The distribution that a text means: `1ms`, `1ms..5ms` or `~3ms`. Raises UsageError."""
    if text.startswith("~"):
        return About(duration_ns(text[1:]))
    low, dots, high = text.partition("..")
    if not dots:
        return Fixed(duration_ns(low))
    return Uniform(*sorted((duration_ns(low), duration_ns(high))))
