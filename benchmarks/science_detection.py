"""First detection of a failure, beside SWIM's figures.

The paper counts protocol periods of members that act in step, the detecting one included: e/(e-1) = 1.58 in
a large group. Real members are not in step: a failed one is then probed after one period on average,
and the probe fails a period later. And with the shuffled round robin no member waits longer than 2n - 1
periods for its turn.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from benchmarks.science_clusters import probing_only
from serfcompat.sim.cluster import Cluster
from serfcompat.sim.host import Host
from serfcompat.sim.observer import Observer
from serfcompat.sim.theory import FIRST_DETECTION, first_detection, worst_detection
from serfcompat.sim.units import SECOND
from serfcompat.swim.effects import SendPacket
from serfcompat.wire.address import Address

_ANSWER_NS = SECOND // 10
"Into a period: all pings of it are sent, and a victim that goes on now still answers in time, so that nothing is left."


class Probes(Observer):
    """Who was probed, when, and by whom."""

    def __init__(self) -> None:
        self.of: dict[Address, list[tuple[int, str]]] = {}

    def on_step(self, now_ns: int, host: Host, cause: str, detail: Any, effects: Sequence[Any]) -> None:
        if cause == "timer" and detail[0] == "probe":
            for effect in effects:
                if type(effect) is SendPacket:
                    self.of.setdefault(effect.to, []).append((now_ns, host.name))


def periods_in_step(nodes: int, trials: int, seed: str = "7") -> list[int]:
    """Periods until a victim is first probed, one per trial, each with another victim."""
    cluster = probing_only(nodes, seed, synchronised=True)
    probes = Probes()
    cluster.watch(probes)
    dice = cluster.dice_of("victims")
    agenda = cluster.driver.agenda
    agenda.run(SECOND // 2)  # pings are sent at whole seconds
    return [_one_trial(cluster, probes, cluster.hosts[dice.randrange(nodes)]) for _ in range(trials)]


def _one_trial(cluster: Cluster, probes: Probes, victim: Host) -> int:
    agenda = cluster.driver.agenda
    cluster.driver.pause(victim)
    probes.of.clear()
    period = 0
    while victim.address not in probes.of:
        period += 1
        agenda.run((agenda.now_ns // SECOND + 1) * SECOND + _ANSWER_NS)
    cluster.driver.resume(victim)
    agenda.run(agenda.now_ns // SECOND * SECOND + SECOND // 2)
    return period


def seconds_unsynchronised(nodes: int, trials: int, seed: str = "7") -> list[float]:
    """Seconds from a failure at any time until the first ping to the failed member, nodes not in step."""
    cluster = probing_only(nodes, seed, synchronised=False)
    probes = Probes()
    cluster.watch(probes)
    dice = cluster.dice_of("victims")
    agenda = cluster.driver.agenda
    agenda.run(5 * SECOND)
    waits = []
    for _ in range(trials):
        agenda.run(agenda.now_ns + int(dice.random() * SECOND))
        victim = cluster.hosts[dice.randrange(nodes)]
        cluster.driver.pause(victim)
        probes.of.clear()
        began_ns = agenda.now_ns
        while victim.address not in probes.of:
            agenda.step(agenda.now_ns + SECOND)
        waits.append((probes.of[victim.address][0][0] - began_ns) / SECOND)
        cluster.driver.resume(victim)
    return waits


def longest_wait(nodes: int, periods: int, seed: str = "7") -> int:
    """The most periods between two probes of one member by the same other one."""
    cluster = probing_only(nodes, seed, synchronised=True)
    probes = Probes()
    cluster.watch(probes)
    cluster.run(periods)
    longest = 0
    for times in probes.of.values():
        last: dict[str, int] = {}
        for now_ns, prober in times:
            if prober in last:
                longest = max(longest, round((now_ns - last[prober]) / SECOND))
            last[prober] = now_ns
    return longest


def report(trials: int) -> list[tuple[str, str, str]]:
    """(what, published, measured) rows."""
    rows = []
    for nodes, some in ((10, trials // 5), (100, trials), (300, trials // 20)):
        periods = periods_in_step(nodes, some)
        rows.append(
            (
                f"first detection, in step, n = {nodes}, {some} trials, periods",
                f"{FIRST_DETECTION:.2f} (n → ∞); {first_detection(nodes):.2f} for this n",
                f"{statistics.mean(periods):.3f} ± {2 * statistics.stdev(periods) / some**0.5:.3f}",
            )
        )
    waits = seconds_unsynchronised(100, trials // 5)
    rows.append(
        (
            f"first ping, not in step, n = 100, {trials // 5} trials, periods of time",
            "1.00",
            f"{statistics.mean(waits):.3f} ± {2 * statistics.stdev(waits) / len(waits) ** 0.5:.3f}",
        )
    )
    for nodes in (5, 10, 20):
        rows.append(
            (
                f"longest wait for a turn, round robin, n = {nodes}, periods",
                f"at most {worst_detection(nodes)}",
                str(longest_wait(nodes, 400)),
            )
        )
    return rows
