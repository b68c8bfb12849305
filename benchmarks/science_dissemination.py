"""How a claim spreads by gossip, beside the logistic curve of epidemics and the λ·log n bound.

One node tells something new about itself, at a moment when nobody else has anything to
say. Nodes gossip to three others every interval, not in step, each claim λ·⌈log10(n + 1)⌉
times in all. Who hears it waits for its own next tick: so what is known grows by the factor
e^3 per interval at first, as the logistic curve with β = 3 says.
"""

from __future__ import annotations

import statistics

from benchmarks.science_clusters import gossiping_only
from serfcompat.sim.cluster import Cluster
from serfcompat.sim.host import Host
from serfcompat.sim.theory import infected
from serfcompat.sim.units import SECOND
from serfcompat.swim.queue import retransmit_limit

TICK_NS = SECOND // 5
FAN_OUT, LAMBDA = 3, 4
_PER_TICK = 20
"Looks per gossip interval."
_MOST_TICKS = 25


def spread(nodes: int, trials: int, seed: str = "7", *, loss: float = 0.0) -> list[list[int]]:
    """For each trial how many nodes know after each twentieth of a tick, until all know or nobody speaks any more."""
    cluster = gossiping_only(nodes, seed, loss=loss)
    dice = cluster.dice_of("sources")
    cluster.run(1)
    return [_one_trial(cluster, cluster.hosts[dice.randrange(nodes)]) for _ in range(trials)]


def _one_trial(cluster: Cluster, source: Host) -> list[int]:
    agenda = cluster.driver.agenda
    cluster.driver.step(source, "call", "update", lambda _engine, now_ns: source.swim.update_node(now_ns, None))
    news = source.swim.local_node().incarnation
    known = [1]
    while known[-1] < len(cluster.hosts) and len(known) <= _MOST_TICKS * _PER_TICK:
        agenda.run(agenda.now_ns + TICK_NS // _PER_TICK)
        known.append(sum(host.swim.table.nodes[source.raw].incarnation == news for host in cluster.hosts))
    agenda.run(agenda.now_ns + _MOST_TICKS * TICK_NS)  # until nobody has anything left to say
    return known


def ticks_between(known: list[int], low: float, high: float, nodes: int) -> float | None:
    """Ticks from when a share of the nodes knew until a larger share did; None: it never did."""
    begin = next(i for i, count in enumerate(known) if count >= low * nodes)
    end = next((i for i, count in enumerate(known) if count >= high * nodes), None)
    return None if end is None else (end - begin) / _PER_TICK


def logistic_ticks(nodes: int, low: float, high: float, loss: float = 0.0) -> float:
    """The same by the logistic curve."""

    def reached(share: float) -> int:
        return next(i for i in range(10**6) if infected(nodes, FAN_OUT, i / _PER_TICK, loss=loss) >= share * nodes)

    return (reached(high) - reached(low)) / _PER_TICK


def report(trials: int) -> list[tuple[str, str, str]]:
    """(what, published, measured) rows."""
    rows = []
    for nodes, some, loss in ((100, trials, 0.0), (1000, max(trials // 10, 5), 0.0), (100, trials, 0.3)):
        runs = spread(nodes, some, loss=loss)
        where = f"n = {nodes}, {some} trials" + (f", {loss:.0%} loss" if loss else "")
        for low, high in ((0.1, 0.5), (0.1, 0.9)):
            ticks = [t for known in runs if (t := ticks_between(known, low, high, nodes)) is not None]
            rows.append(
                (
                    f"gossip ticks from {low:.0%} to {high:.0%} of nodes, {where}",
                    f"{logistic_ticks(nodes, low, high, loss):.2f} (logistic)",
                    f"{statistics.mean(ticks):.2f} (mean)",
                )
            )
        everybody = [t for known in runs if (t := ticks_between(known, 0.0, 1.0, nodes)) is not None]
        rows.append(
            (
                f"gossip ticks until everybody knows, {where}",
                f"at most {retransmit_limit(LAMBDA, nodes)} (λ·log n, λ = {LAMBDA})",
                f"{statistics.median(everybody):.1f} (median), {max(everybody):.1f} (max); "
                f"somebody missed it {some - len(everybody)} times",
            )
        )
    return rows
