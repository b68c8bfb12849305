"""Times and shares as people write them: `10s`, `300ms`, `5%`."""

from __future__ import annotations

import re

from serfcompat.errors import UsageError

SECOND = 1_000_000_000
MILLISECOND = 1_000_000
_UNITS = {"ns": 1, "us": 1_000, "ms": MILLISECOND, "s": SECOND, "m": 60 * SECOND, "h": 3600 * SECOND}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|ms|s|m|h)")


def duration_ns(text: str) -> int:
    """Nanoseconds of a text like `1.5s` or `1m30s`. Raises UsageError."""
    found = _DURATION.findall(text)
    if not found or "".join(number + unit for number, unit in found) != text:
        raise UsageError(f"'{text}' is not a time: write it like 10s, 300ms or 1m30s")
    return sum(round(float(number) * _UNITS[unit]) for number, unit in found)


def duration_text(ns: int) -> str:
    """The shortest exact text: `2s`, `1500ms`; the inverse of `duration_ns`."""
    for unit in ("h", "m", "s", "ms", "us"):
        if ns and ns % _UNITS[unit] == 0:
            return f"{ns // _UNITS[unit]}{unit}"
    return f"{ns}ns" if ns else "0s"


def share(text: str) -> float:
    """A share between 0 and 1, of a text like `5%` or `0.05`. Raises UsageError."""
    try:
        value = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 1.0:
        raise UsageError(f"'{text}' is not a share: write it like 5% or 0.05")
    return value


def share_text(value: float) -> str:
    """The inverse of `share`, in percent."""
    return f"{value * 100:.6f}".rstrip("0").rstrip(".") + "%"


def clock_text(ns: int) -> str:
    """A point in time of a simulation, to the nanosecond: `12.345678901`."""
    return f"{ns // SECOND}.{ns % SECOND:09d}"
