"""Durations as Go writes them, for texts that are part of parity: `1.5ms`, `-35s`, `1h0m0.25s`."""

from __future__ import annotations

_SECOND = 1_000_000_000
_SMALL_UNITS = ((1_000, "ns", 1), (1_000_000, "µs", 1_000), (_SECOND, "ms", 1_000_000))
"Below this many nanoseconds, this unit, of so many nanoseconds."


def go_duration(ns: int) -> str:
    """`ns` nanoseconds, without trailing zeros and with only the units it needs (Go `Duration.String`)."""
    if ns < 0:
        return f"-{go_duration(-ns)}"
    if ns == 0:
        return "0s"
    for below, unit, size in _SMALL_UNITS:
        if ns < below:
            return _decimal(ns, size) + unit
    minutes, rest = divmod(ns, 60 * _SECOND)
    hours, minutes_left = divmod(minutes, 60)
    # Once a larger unit is there, the smaller ones are as well, even if they are 0.
    leading = f"{hours}h{minutes_left}m" if hours else f"{minutes}m" if minutes else ""
    return f"{leading}{_decimal(rest, _SECOND)}s"


def _decimal(value: int, unit: int) -> str:
    """`value / unit` exactly; `unit` is a power of ten."""
    whole, fraction = divmod(value, unit)
    digits = str(unit + fraction)[1:].rstrip("0")
    return f"{whole}.{digits}" if digits else str(whole)
