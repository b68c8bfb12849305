"""Where the engines report what they count. The agent and the simulator put their own sink here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Metrics(Protocol):
    """A sink for dotted names, e.g. `memberlist.msg.alive`. Calls must be cheap and never raise.

    Labels that all of a node's metrics carry (MetricLabels) are the sink's business. Samples
    of durations are in milliseconds.
    """

    def incr(self, name: str, value: float = 1) -> None: ...

    def gauge(self, name: str, value: float, labels: Mapping[str, str] | None = None) -> None: ...

    def sample(self, name: str, value: float) -> None: ...


class NullMetrics:
    """Forgets everything."""

    def incr(self, name: str, value: float = 1) -> None:
        pass

    def gauge(self, name: str, value: float, labels: Mapping[str, str] | None = None) -> None:
        pass

    def sample(self, name: str, value: float) -> None:
        pass


class CountingMetrics:
    """Keeps sums, last values and sample counts in plain dicts: for tests, `stats()` and the simulator."""

    def __init__(self) -> None:
        self.counters: dict[str, float] = {}
        self.gauges: dict[str, float] = {}
        self.samples: dict[str, list[float]] = {}

    def incr(self, name: str, value: float = 1) -> None:
        self.counters[name] = self.counters.get(name, 0) + value

    def gauge(self, name: str, value: float, labels: Mapping[str, str] | None = None) -> None:
        labelled = ",".join(f'{label}="{of}"' for label, of in (labels or {}).items())
        self.gauges[f"{name}{{{labelled}}}" if labelled else name] = value

    def sample(self, name: str, value: float) -> None:
        self.samples.setdefault(name, []).append(value)
