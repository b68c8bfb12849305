"""A fixed piece of plain Python: how fast this machine and this Python are, just now.

A figure divided by the yardstick of the same run can be compared with one from another machine,
or from the same one under other load. ⚠ Changing this file makes all earlier figures useless.
"""

from __future__ import annotations

from functools import partial

from benchmarks.case import Case, measure


def work() -> int:
    """What the protocol code does most: dicts, small numbers, short byte strings, calls."""
    counts: dict[bytes, int] = {}
    total = 0
    for number in range(2000):
        name = (number * 7919 % 509).to_bytes(2, "big")
        counts[name] = counts.get(name, 0) + 1
        total += _weight(number, name)
    return total + len(b"".join(sorted(counts)))


def _weight(number: int, name: bytes) -> int:
    return (number << 4 | len(name)) & 0xFFFF


def seconds(repeats: int) -> float:
    """The fastest of several: what disturbs can only make it slower."""
    return min(measure(Case(0, partial(lambda: work)), repeats=repeats, seconds=0.02))
