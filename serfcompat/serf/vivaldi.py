"""Network coordinates: where a node is, in a space whose distances are round-trip times (spec serf §10).

Vivaldi with a height vector, a median filter for each peer, an adjustment window and gravity.
Numbers are seconds in 64-bit floats, durations integer nanoseconds.

Results equal Go's (amd64) bit for bit, so the order of every operation is part of the protocol:
multiply by a reciprocal where Go does, add from left to right, and never call `sum`, `math.fsum`
or `math.dist` for a result, because they round differently (`sum` since Python 3.12).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from math import isfinite, sqrt
from operator import add, mul, sub

from serfcompat.errors import SerfCompatError, UsageError
from serfcompat.serf.duration import go_duration
from serfcompat.swim.dice import Dice
from serfcompat.swim.metrics import Metrics, NullMetrics

MAX_RTT_NS = 10_000_000_000
"The longest round trip that is believed: 10 s."
ZERO = 1.0e-6
"Lengths, round trips and errors up to this count as nothing (zeroThreshold)."

_SECOND_NS = 1_000_000_000
_INT64_END = 9223372036854775808.0
_INT64_MIN = -(1 << 63)


class CoordinateError(SerfCompatError):
    """A coordinate or a round trip that can't be used. No state was touched; the text is upstream's."""


@dataclass(frozen=True, slots=True)
class VivaldiConfig:
    """How a coordinate moves (coordinate.Config). Serf uses the defaults; all nodes of a cluster need the same."""

    dimensionality: int = 8
    """Numbers in `vec`, at least 1 (Dimensionality)."""
    vivaldi_error_max: float = 1.5
    """Error of a node that knows nothing yet, and the cap of every node's (VivaldiErrorMax)."""
    vivaldi_ce: float = 0.25
    """0 to 1: how much one observation changes the error (VivaldiCE)."""
    vivaldi_cc: float = 0.25
    """0 to 1: how far one observation moves us towards where it says we are (VivaldiCC)."""
    adjustment_window_size: int = 20
    """Observations to average the non-Euclidean rest over; 0 switches that off (AdjustmentWindowSize)."""
    height_min: float = 10.0e-6
    """Seconds; a height never shrinks below, or it could not grow again (HeightMin)."""
    latency_filter_size: int = 3
    """Round trips to take the median of, at least 1; each peer has its own (LatencyFilterSize)."""
    gravity_rho: float = 150.0
    """Seconds, not 0: the larger, the weaker the pull that keeps the cluster around the origin (GravityRho)."""

    def problems(self) -> list[str]:
        """Everything that is wrong with this configuration."""
        found = []
        if self.dimensionality < 1:
            found.append("dimensionality must be >0")  # upstream's text
        if self.adjustment_window_size < 0:
            found.append("adjustment_window_size must not be negative; 0 switches it off")
        if self.latency_filter_size < 1:  # upstream would crash at the first update
            found.append("latency_filter_size must be at least 1")
        if self.gravity_rho == 0:
            found.append("gravity_rho must not be 0")
        return found


@dataclass(frozen=True, slots=True)
class Coordinate:
    """A place in the network (coordinate.Coordinate)."""

    vec: tuple[float, ...]
    "Seconds in each dimension. What differs between two nodes is the path between them."
    error: float
    "How unsure the node is of it, without unit: 0 certain, 1.5 knows nothing."
    adjustment: float
    "Seconds to add to what the vectors say: the mean of what recent observations missed; may be negative."
    height: float
    "Seconds that every packet from and to this node needs on top: its access link."

    def raw_distance(self, other: Coordinate) -> float:
        """Seconds between two places, adjustments left out (rawDistanceTo).

        Raises:
            ValueError: The dimensions differ.
        """
        _, norm = _gap(self.vec, other.vec)
        return norm + self.height + other.height

    def distance_ns(self, other: Coordinate) -> int:
        """The estimated round trip between two nodes, in nanoseconds (DistanceTo, spec serf §10.3).

        -2**63 if it can't be expressed; only absurd coordinates get there.

        Raises:
            ValueError: The dimensions differ.
        """
        return _estimate_ns(self.raw_distance(other), self.adjustment, other.adjustment)

    def apply_force(self, force: float, other: Coordinate, height_min: float, dice: Dice) -> Coordinate:
        """Where we are after a push of `force` seconds away from `other`; a negative one pulls (ApplyForce, §10.5).

        Two nodes in one place part in a random direction: `dice` is only asked then, once per dimension.

        Raises:
            ValueError: The dimensions differ.
        """
        gap, norm = _gap(self.vec, other.vec)
        vec, height = _pushed(self.vec, self.height, force, gap, norm, other.height, height_min, dice)
        return Coordinate(tuple(vec), self.error, self.adjustment, height)

    def is_valid(self) -> bool:
        """Whether all numbers are finite (IsValid)."""
        # A finite sum has no infinite or NaN term. The converse isn't true: a sum can overflow.
        return isfinite(sum(self.vec) + self.error + self.adjustment + self.height) or all(
            map(isfinite, (*self.vec, self.error, self.adjustment, self.height))
        )

    def is_compatible_with(self, other: Coordinate) -> bool:
        """Whether both have as many dimensions (IsCompatibleWith)."""
        return len(self.vec) == len(other.vec)


def origin(config: VivaldiConfig) -> Coordinate:
    """Where every node begins (NewCoordinate)."""
    return Coordinate((0.0,) * config.dimensionality, config.vivaldi_error_max, 0.0, config.height_min)


class VivaldiClient:
    """One node's own coordinate, and how it moves with each round trip observed (coordinate.Client)."""

    __slots__ = ("_config", "_dice", "_latencies", "_metrics", "_origin", "_own", "_sample_index", "_samples", "resets")

    resets: int
    "How often the own coordinate became invalid and began anew at the origin (Stats.Resets)."

    def __init__(self, *, dice: Dice, metrics: Metrics | None = None, config: VivaldiConfig | None = None) -> None:
        """Start at the origin, knowing nothing.

        Args:
            dice: Only `random()` is used, and only to part from a node in the very same place.

        Raises:
            UsageError: The configuration can't work; it names every problem.
        """
        config = config or VivaldiConfig()
        if problems := config.problems():
            raise UsageError("; ".join(problems))
        self._config = config
        self._dice = dice
        self._metrics = metrics or NullMetrics()
        self._origin = self._own = origin(config)
        self._samples = [0.0] * config.adjustment_window_size
        self._sample_index = 0
        self._latencies: dict[bytes, list[float]] = {}
        self.resets = 0

    def get(self) -> Coordinate:
        """Where we are (GetCoordinate)."""
        return self._own

    def set(self, coordinate: Coordinate) -> None:
        """Go there at once (SetCoordinate). Raises `CoordinateError` for what `update` would refuse as well."""
        self._check(coordinate)
        self._own = coordinate

    def forget(self, node: bytes) -> None:
        """Drop what was observed of a node (ForgetNode). Nothing happens if there is nothing."""
        self._latencies.pop(node, None)

    def distance_to(self, other: Coordinate) -> int:
        """The estimated round trip from here, in nanoseconds (DistanceTo). Raises ValueError as `distance_ns` does."""
        return self._own.distance_ns(other)

    def update(self, node: bytes, other: Coordinate, rtt_ns: int) -> Coordinate:
        """Move by what a round trip to `node`, which is at `other`, tells; returns where we are then (Update, §10.6).

        Raises:
            CoordinateError: `other` has other dimensions or isn't finite, or the round trip is negative or
                longer than 10 s.
        """
        self._check(other)
        if not 0 <= rtt_ns <= MAX_RTT_NS:
            raise CoordinateError(
                f"round trip time not in valid range, duration {go_duration(rtt_ns)} "
                "is not a positive value less than 10s "  # ⚠ upstream's text ends with a space
            )
        if rtt_ns == 0:
            self._metrics.incr("serf.coordinate.zero-rtt")
        moved = self._moved(other, self._filtered(node, _seconds(rtt_ns)))
        if not moved.is_valid():
            # ⚠ As upstream, the sample that led here stays in the window. If it is infinite, each update
            # ends in a reset until it is overwritten, `adjustment_window_size` updates from now.
            self.resets += 1
            moved = self._origin
        self._own = moved
        return moved

    def _check(self, coordinate: Coordinate) -> None:
        if len(coordinate.vec) != self._config.dimensionality:
            raise CoordinateError("dimensions aren't compatible")
        if not coordinate.is_valid():
            raise CoordinateError("coordinate is invalid")

    def _filtered(self, node: bytes, rtt: float) -> float:
        """The median of the node's latest round trips, this one included; of two the larger (latencyFilter)."""
        latest = self._latencies.setdefault(node, [])
        latest.append(rtt)
        if len(latest) > self._config.latency_filter_size:
            del latest[0]
        return sorted(latest)[len(latest) // 2]

    def _moved(self, other: Coordinate, rtt: float) -> Coordinate:
        """Steps 5 to 7 of the update. All steps share one set of locals: this runs once per probe on every node."""
        own, config, dice = self._own, self._config, self._dice
        height_min = config.height_min

        # Towards where the observation says we are (updateVivaldi). A small round trip is not a division by zero.
        gap, norm = _gap(own.vec, other.vec)
        estimate = _seconds(_estimate_ns(norm + own.height + other.height, own.adjustment, other.adjustment))
        observed = max(rtt, ZERO)
        wrongness = abs(estimate - observed) / observed
        weight = own.error / max(own.error + other.error, ZERO)
        error = config.vivaldi_ce * weight * wrongness + own.error * (1.0 - config.vivaldi_ce * weight)
        error = min(error, config.vivaldi_error_max)
        force = config.vivaldi_cc * weight * (observed - estimate)
        vec, height = _pushed(own.vec, own.height, force, gap, norm, other.height, height_min, dice)

        # What the vectors miss, seen from the new place (updateAdjustment).
        adjustment = own.adjustment
        if samples := self._samples:
            _, norm = _gap(vec, other.vec)
            samples[self._sample_index] = rtt - (norm + height + other.height)
            self._sample_index = (self._sample_index + 1) % len(samples)
            adjustment = _total(samples) / (2.0 * len(samples))

        # Back a little to the origin, so that the cluster as a whole does not drift away (updateGravity).
        norm = sqrt(_total(map(mul, vec, vec)))
        away = _seconds(_estimate_ns(norm + height_min + height, 0.0, adjustment)) / config.gravity_rho
        vec, height = _pushed(vec, height, -(away * away), vec, norm, height_min, height_min, dice)
        return Coordinate(tuple(vec), error, adjustment, height)


def _total(values: Iterable[float]) -> float:
    """The sum, rounded after each addition as Go's is."""
    return reduce(add, values, 0.0)


def _gap(a: Sequence[float], b: Sequence[float]) -> tuple[Sequence[float], float]:
    """The vector from `b` to `a`, and its length."""
    if len(a) != len(b):
        raise ValueError("coordinate dimensionality does not match")
    gap = list(map(sub, a, b))
    return gap, sqrt(_total(map(mul, gap, gap)))


def _pushed(
    vec: Sequence[float],
    height: float,
    force: float,
    gap: Sequence[float],
    norm: float,
    other_height: float,
    height_min: float,
    dice: Dice,
) -> tuple[list[float], float]:
    """`vec` and `height` after a push along `gap`, a vector of length `norm` (spec serf §10.4, §10.5)."""
    if norm > ZERO:
        scale = 1.0 / norm
        # ⚠ The order of the arguments lets a NaN through, as Go's maximum does, to end in a reset.
        height = max((height + other_height) * force / norm + height, height_min)
    else:
        gap, scale = _random_direction(len(vec), dice)
    return [x + step * scale * force for x, step in zip(vec, gap, strict=True)], height


def _random_direction(dimensions: int, dice: Dice) -> tuple[Sequence[float], float]:
    """A vector, and what to multiply it by to make its length 1."""
    vector = [dice.random() - 0.5 for _ in range(dimensions)]
    norm = sqrt(_total(map(mul, vector, vector)))
    if norm > ZERO:
        return vector, 1.0 / norm
    return (1.0, *[0.0] * (dimensions - 1)), 1.0


def _seconds(ns: int) -> float:
    """⚠ Not `ns / 1e9`: as Go, whole seconds and the rest are converted each for itself."""
    if ns < 0:
        return -_seconds(-ns)
    whole, rest = divmod(ns, _SECOND_NS)
    return float(whole) + float(rest) / 1e9


def _estimate_ns(raw: float, adjustment: float, other_adjustment: float) -> int:
    """A distance in nanoseconds, truncated; the adjustments count only if the result stays positive."""
    adjusted = raw + adjustment + other_adjustment
    scaled = (adjusted if adjusted > 0.0 else raw) * 1e9
    if -_INT64_END <= scaled < _INT64_END:  # not so for NaN
        return int(scaled)
    return _INT64_MIN  # what amd64 converts all others to
