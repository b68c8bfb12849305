"""What the agent counts: kept for a minute for SIGUSR1, and told to statsd and statsite (spec agent §7)."""

from __future__ import annotations

import gc
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import gevent

from serfcompat.agent.metric_sinks import LineSink

SERVICE = "serf-agent"
INTERVAL, RETAINED = 10, 60
"Seconds that are summed up together; seconds that are kept."
RUNTIME_PERIOD = 1.0
"Seconds between looks at our own memory."


@dataclass(slots=True)
class Aggregate:
    """Many values of one metric."""

    count: int = 0
    total: float = 0.0
    squares: float = 0.0
    low: float = math.inf
    high: float = -math.inf
    updated: float = 0.0
    "Unix time of the last one."

    def add(self, value: float, now: float) -> None:
        self.count += 1
        self.total += value
        self.squares += value * value
        if value < self.low:
            self.low = value
        if value > self.high:
            self.high = value
        self.updated = now

    @property
    def deviation(self) -> float:
        divisor = self.count * (self.count - 1)
        spread = self.count * self.squares - self.total * self.total
        return math.sqrt(spread / divisor) if divisor and spread > 0 else 0.0

    def __str__(self) -> str:
        last = f"Sum: {self.total:.3f} LastUpdated: {_time(self.updated, fraction=True)}"
        if not self.deviation:
            return f"Count: {self.count} {last}"
        mean = self.total / self.count
        spread = f"Min: {self.low:.3f} Mean: {mean:.3f} Max: {self.high:.3f} Stddev: {self.deviation:.3f}"
        return f"Count: {self.count} {spread} {last}"


@dataclass(slots=True)
class Interval:
    """Ten seconds' metrics, by their names."""

    start: float
    gauges: dict[str, float] = field(default_factory=dict)
    counters: dict[str, Aggregate] = field(default_factory=dict)
    samples: dict[str, Aggregate] = field(default_factory=dict)

    def lines(self) -> list[str]:
        stamp = _time(self.start)
        return [
            *(f"[{stamp}][G] '{name}': {value:.3f}" for name, value in self.gauges.items()),
            *(f"[{stamp}][C] '{SERVICE}.{name}': {aggregate}" for name, aggregate in self.counters.items()),
            *(f"[{stamp}][S] '{SERVICE}.{name}': {aggregate}" for name, aggregate in self.samples.items()),
        ]


class AgentMetrics:
    """Takes metrics from the node and the agent (`serfcompat.swim.metrics.Metrics`)."""

    def __init__(self, sinks: Sequence[LineSink] = (), *, host: str, now: Callable[[], float] = time.time) -> None:
        """`host` becomes part of gauges' names if there are sinks: many agents tell the same server."""
        self._sinks = sinks
        self._gauge_prefix = f"{SERVICE}.{host}." if sinks else f"{SERVICE}."
        self._now = now
        self._intervals: deque[Interval] = deque(maxlen=RETAINED // INTERVAL)
        self._interval = Interval(-math.inf)

    def incr(self, name: str, value: float = 1) -> None:
        now = self._now()
        self._count(self._current(now).counters, name, value, now, "c")

    def sample(self, name: str, value: float) -> None:
        now = self._now()
        self._count(self._current(now).samples, name, value, now, "ms")

    def gauge(self, name: str, value: float, labels: Mapping[str, str] | None = None) -> None:
        full = ".".join([self._gauge_prefix + name, *(labels or {}).values()])
        self._current(self._now()).gauges[_flat(full)] = value
        for sink in self._sinks:
            sink.put(full, value, "g")

    def _count(self, values: dict[str, Aggregate], name: str, value: float, now: float, kind: str) -> None:
        if " " in name:
            name = _flat(name)
        aggregate = values.get(name)
        if aggregate is None:
            aggregate = values[name] = Aggregate()
        aggregate.add(value, now)
        for sink in self._sinks:
            sink.put(f"{SERVICE}.{name}", value, kind)

    def _current(self, now: float) -> Interval:
        current = self._interval
        if not current.start <= now < current.start + INTERVAL:
            current = self._interval = Interval(now - now % INTERVAL)
            self._intervals.append(current)
        return current

    def dump(self) -> str:
        """Every interval but the current one; empty if there is no other."""
        return "".join(f"{line}\n" for interval in list(self._intervals)[:-1] for line in interval.lines())

    def watch_runtime(self) -> None:
        """Report our own memory every second, for ever. Names are Go's; values what comes nearest."""
        while True:
            size, resident = _memory()
            generations = gc.get_stats()
            collections = sum(generation["collections"] for generation in generations)
            freed = sum(generation["collected"] for generation in generations)
            self.gauge("runtime.num_goroutines", threading.active_count())
            self.gauge("runtime.alloc_bytes", resident)
            self.gauge("runtime.sys_bytes", size)
            self.gauge("runtime.malloc_count", gc.get_count()[0] + freed)
            self.gauge("runtime.free_count", freed)
            self.gauge("runtime.heap_objects", gc.get_count()[0])
            self.gauge("runtime.total_gc_pause_ns", 0)
            self.gauge("runtime.total_gc_runs", collections)
            gevent.sleep(RUNTIME_PERIOD)


def _memory() -> tuple[int, int]:
    """Bytes of address space and of memory in use; zeros where the system doesn't tell."""
    try:
        with open("/proc/self/statm", "rb") as statm:
            size, resident, *_ = statm.read().split()
    except OSError:
        return 0, 0
    return int(size) * 4096, int(resident) * 4096


def _flat(name: str) -> str:
    return name.replace(" ", "_")


def _time(seconds: float, *, fraction: bool = False) -> str:
    local = time.localtime(seconds)
    clock = time.strftime("%Y-%m-%d %H:%M:%S", local)
    if fraction:
        clock += f".{int(seconds % 1 * 1e6):06d}"
    return f"{clock} {time.strftime('%z %Z', local)}"
