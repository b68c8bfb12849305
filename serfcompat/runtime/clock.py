"""The node's clock. Everything below `runtime` is told the time; here it is read."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Monotonic nanoseconds; only differences mean anything."""

    def now_ns(self) -> int: ...


class MonotonicClock:
    """The system's monotonic clock."""

    now_ns = staticmethod(time.monotonic_ns)
