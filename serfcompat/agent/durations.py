"""Durations as Go writes and reads them: `1m30s`, `500ms` (spec agent §1.1.2). Integer nanoseconds inside."""

from __future__ import annotations

from serfcompat.agent.quoting import quote

MICROSECOND, MILLISECOND, SECOND = 1_000, 1_000_000, 1_000_000_000
_UNITS = {
    "ns": 1,
    "us": MICROSECOND,
    "µs": MICROSECOND,  # U+00B5, the micro sign
    "μs": MICROSECOND,  # U+03BC, the Greek letter
    "ms": MILLISECOND,
    "s": SECOND,
    "m": 60 * SECOND,
    "h": 3600 * SECOND,
}
_MAX = 2**63


def parse_duration(text: str) -> int:
    """Nanoseconds. Raises ValueError in Go's words (upstream `time.ParseDuration`)."""
    negative = text.startswith("-")
    rest = text[1:] if text[:1] in ("-", "+") else text
    if rest == "0":
        return 0
    if not rest:
        raise _invalid(text)
    total = 0
    while rest:
        whole, rest = _digits(rest)
        fraction = ""
        if rest.startswith("."):
            fraction, rest = _digits(rest[1:])
        if not whole and not fraction:
            raise _invalid(text)
        length = next((at for at, char in enumerate(rest) if char == "." or char in _DIGITS), len(rest))
        unit, rest = rest[:length], rest[length:]
        if not unit:
            raise ValueError(f"time: missing unit in duration {quote(text)}")
        if unit not in _UNITS:
            raise ValueError(f"time: unknown unit {quote(unit)} in duration {quote(text)}")
        total += int(whole or "0") * _UNITS[unit]
        if fraction:
            total += int(fraction) * _UNITS[unit] // 10 ** len(fraction)
        if total > _MAX:
            raise _invalid(text)
    if negative:
        return -total
    if total >= _MAX:
        raise _invalid(text)
    return total


_DIGITS = "0123456789"


def _digits(text: str) -> tuple[str, str]:
    length = len(text) - len(text.lstrip(_DIGITS))
    return text[:length], text[length:]


def _invalid(text: str) -> ValueError:
    return ValueError(f"time: invalid duration {quote(text)}")


def format_duration(ns: int) -> str:
    """As Go prints it: `1h0m0s`, `1.5s`, `0s` (upstream `Duration.String`)."""
    if ns < 0:
        return "-" + format_duration(-ns)
    if ns == 0:
        return "0s"
    if ns < SECOND:
        unit, name = next(
            (unit, name) for name, unit in (("ms", MILLISECOND), ("µs", MICROSECOND), ("ns", 1)) if ns >= unit
        )
        return _decimal(ns, unit) + name
    minutes, below = divmod(ns, 60 * SECOND)
    hours, minutes = divmod(minutes, 60)
    text = _decimal(below, SECOND) + "s"
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text


def _decimal(value: int, unit: int) -> str:
    whole, rest = divmod(value, unit)
    digits = len(str(unit)) - 1
    return f"{whole}.{rest:0{digits}}".rstrip("0") if rest else str(whole)
