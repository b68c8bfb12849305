"""Lifeguard's tables IV, V and VII in miniature: what each of its parts does to false positives, detection and load.

As in the paper (Dadgar, Phillips and Currey 2018, §V): 128 members, α = 5, β = 6. For the
false positives some members stall, all together, for D seconds, then go on for I seconds,
over and over: deaf and mute, but thinking on, like members on an overloaded machine. FP
counts failures of members that did not stall, seen by anybody; FP⁻ those seen by members that
did not stall either. For the latencies a few members die for good.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from serfcompat.sim.cluster import Cluster
from serfcompat.sim.host import Host
from serfcompat.sim.measure import Measurement
from serfcompat.sim.units import SECOND
from serfcompat.swim.config import MemberlistConfig
from serfcompat.swim.events import NodeLeft, NodeState

NODES = 128
ALPHA, BETA = 5, 6


@dataclass(frozen=True)
class Parts:
    """Which parts of Lifeguard are on."""

    name: str
    probe: bool
    "LHA-Probe: the local health score stretches the probe interval."
    suspicion: bool
    "LHA-Suspicion: a suspicion begins with β times the time, and confirmations shorten it."
    buddy: bool
    "Buddy System: who is suspected is told so with the next ping."

    def config(self) -> MemberlistConfig:
        return MemberlistConfig.lan(
            suspicion_mult=ALPHA,
            suspicion_max_timeout_mult=BETA if self.suspicion else 1,
            awareness_max_mult=8 if self.probe else 1,
        )


VARIANTS = (
    Parts("SWIM", False, False, False),
    Parts("LHA-Probe", True, False, False),
    Parts("LHA-Suspicion", False, True, False),
    Parts("Buddy System", False, False, True),
    Parts("Lifeguard", True, True, True),
)


def cluster_of(parts: Parts, seed: str) -> Cluster:
    cluster = Cluster(NODES, seed=seed, dice=random.Random, config=parts.config())
    if not parts.buddy:
        for host in cluster.hosts:
            _without_buddy(host)
    return cluster


def _without_buddy(host: Host) -> None:
    """Ping a suspect like anybody else: whether the suspicion rides along is left to chance."""
    sender = host.swim._prober.sender

    def together(messages: list[bytes], node: Any, *, probe: int | None = None) -> Any:
        return sender.piggybacked(messages[0], node.address, name=node.name, probe=probe)

    sender.together = together  # type: ignore[method-assign]


@dataclass(frozen=True)
class Anomaly:
    """`members` of them stall for `stalled` seconds, then go on for `well` seconds, for two minutes."""

    members: int
    stalled: float
    well: float


ANOMALIES = (Anomaly(4, 8.0, 0.064), Anomaly(8, 16.0, 0.256), Anomaly(16, 32.0, 1.0))
_SECONDS = 120.0
_DEATHS = 12
"Members that die for good, for the latencies."


@dataclass
class Counts:
    """What one variant did in all anomalies."""

    false: int = 0
    "FP: failures of members that never stalled, seen by anybody."
    false_at_healthy: int = 0
    "FP⁻: those of them that members saw which never stalled."
    messages: int = 0
    bytes: int = 0

    def __iadd__(self, other: Counts) -> Counts:
        self.false += other.false
        self.false_at_healthy += other.false_at_healthy
        self.messages += other.messages
        self.bytes += other.bytes
        return self


def count_false(parts: Parts, anomaly: Anomaly, seed: str) -> Counts:
    """Run one anomaly and count."""
    cluster = cluster_of(parts, seed)
    dice = cluster.dice_of("anomaly")
    names = [host.name for host in cluster.hosts]
    dice.shuffle(names)
    stalling = frozenset(names[: anomaly.members])
    counts = Counts()

    def listen(observer: str, event: Any, at: float) -> None:
        failed = isinstance(event, NodeLeft) and event.node.state is NodeState.DEAD
        if failed and event.node.name.decode() not in stalling:
            counts.false += 1
            counts.false_at_healthy += observer not in stalling

    cluster.on_event(listen)
    cluster.run(15)
    while cluster.now < 15 + _SECONDS:
        for name in sorted(stalling):
            cluster.stall(name)
        cluster.run(anomaly.stalled)
        for name in sorted(stalling):
            cluster.go_on(name)
        cluster.run(anomaly.well)
    counts.messages = sum(host.traffic.packets for host in cluster.hosts)
    counts.bytes = sum(host.traffic.packet_bytes for host in cluster.hosts)
    return counts


def measure_latencies(parts: Parts, seed: str) -> tuple[float, float]:
    """Medians of first detection and of full dissemination, in seconds, over some deaths in a healthy group."""
    cluster = cluster_of(parts, seed)
    measurement = Measurement()
    cluster.watch(measurement)
    measurement.follow(cluster)
    dice = cluster.dice_of("deaths")
    names = [host.name for host in cluster.hosts]
    dice.shuffle(names)
    for name in names[:_DEATHS]:
        cluster.run(5 + 5 * dice.random())
        measurement.killed(name)
        cluster.crash(name)
    cluster.run(60)
    deaths, observers = list(measurement.deaths.values()), len(cluster.running)
    first = [ns for death in deaths if (ns := death.first_detection_ns) is not None]
    # Who died later had not heard the last words about those before: a majority of the living is asked.
    full = [max(sorted(death.failed_ns.values())[:observers]) - death.at_ns for death in deaths]
    return statistics.median(first) / SECOND, statistics.median(full) / SECOND


@dataclass(frozen=True)
class Row:
    """One line of the tables."""

    parts: Parts
    counts: Counts
    first: float
    full: float


def run(seeds: Iterable[str], anomalies: Sequence[Anomaly] = ANOMALIES) -> list[Row]:
    """Every variant in every anomaly."""
    rows = []
    for parts in VARIANTS:
        total = Counts()
        latencies = []
        for seed in seeds:
            for anomaly in anomalies:
                total += count_false(parts, anomaly, seed)
            latencies.append(measure_latencies(parts, seed))
        first, full = (statistics.median(column) for column in zip(*latencies, strict=True))
        rows.append(Row(parts, total, first, full))
    return rows


def report(seeds: Sequence[str] = ("7",)) -> list[tuple[str, str, str]]:
    """(what, published, measured) rows."""
    rows = run(seeds)
    base, full = rows[0], rows[-1]
    lines = [
        (
            f"IV false positives, {row.parts.name}",
            "100 %" if row is base else ("1 to 2 % (50 to 100 times fewer, §V)" if row is full else ""),
            f"FP {row.counts.false} ({_share(row.counts.false, base.counts.false)}), "
            f"FP⁻ {row.counts.false_at_healthy} ({_share(row.counts.false_at_healthy, base.counts.false_at_healthy)})",
        )
        for row in rows
    ]
    lines += [
        (
            f"V first detection / full dissemination, {row.parts.name}",
            "" if row is not full else "as SWIM's, within 10 %",
            f"{row.first:.2f} s / {row.full:.2f} s ({row.first / base.first:.0%} / {row.full / base.full:.0%})",
        )
        for row in rows
    ]
    lines += [
        (
            f"VII messages / bytes, {row.parts.name}",
            "",
            f"{_share(row.counts.messages, base.counts.messages)} / {_share(row.counts.bytes, base.counts.bytes)}",
        )
        for row in rows
    ]
    return lines


def _share(value: float, of: float) -> str:
    return f"{value / of:.1%}" if of else "–"
