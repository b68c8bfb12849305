"""How long a death goes unnoticed: kill -9 in a cluster of Go agents, in one of ours, and in a mixed one.

    python -m interop.detect --nodes 10 --kills 10

The clusters live side by side at the same time. In each one agent after the other is killed, and comes
back before the next one dies; in the mixed one Go's and ours in turn. Times are seconds from the kill to
the line that another agent logs about it, read as it is written. The first is who finds out, the last is
the slowest to hear of it. The exit status is 0 if the medians of our cluster are within one probe interval
of those of Go's, and in the mixed one those of our agents within one of those of the Go agents.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

from interop.group import LIMIT, Group, go_only, half_ours, ours_only
from interop.table import table
from serfcompat.errors import SerfCompatError
from serfcompat.testing.processes import Agent

PROBE_INTERVAL = {"lan": 1.0, "local": 1.0}
"Seconds between an agent's probes."


@dataclass(frozen=True, slots=True)
class Death:
    """One kill, and after how many seconds the others said so."""

    victim: Agent
    go: Sequence[float]
    ours: Sequence[float]


def deaths(group: Group, count: int) -> list[Death]:
    """Kill that many, one after the other."""
    found = []
    for number in range(count):
        found.append(_kill(group, next(iter(group.agents))))  # who comes back is the last from then on
        print(f"{group.name}: {number + 1} of {count}: {_told(found[-1])}", flush=True)
    return found


def _kill(group: Group, node: str) -> Death:
    victim = group.agents[node]
    others = [agent for agent in group.agents.values() if agent is not victim]
    sizes = {agent.name: len(agent.log) for agent in others}

    def notice(agent: Agent) -> float:
        agent.wait_for_log(f"EventMemberFailed: {node} ", limit=LIMIT, since=sizes[agent.name])
        return time.monotonic() - killed

    with ThreadPoolExecutor(len(others)) as pool:
        killed = time.monotonic()
        victim.process.kill()
        noticed = dict(zip(others, pool.map(notice, others), strict=True))
    victim.wait_for_exit()
    group.restart(node)
    go, ours = (
        [seconds for agent, seconds in noticed.items() if group.is_ours(agent.name) == ours] for ours in (False, True)
    )
    return Death(victim, go, ours)


def _told(death: Death) -> str:
    times = [
        f"{who} {min(seconds):.2f} to {max(seconds):.2f} s"
        for who, seconds in (("Go", death.go), ("ours", death.ours))
        if seconds
    ]
    return f"{death.victim.name} ({death.victim.kind.label}) died, noticed by {' and '.join(times)}"


@dataclass(frozen=True, slots=True)
class Column:
    """Whose view is meant."""

    cluster: str
    who: str
    deaths: Sequence[Death]
    times: Callable[[Death], Sequence[float]]

    @property
    def first(self) -> list[float]:
        return [min(self.times(death)) for death in self.deaths]

    @property
    def last(self) -> list[float]:
        return [max(self.times(death)) for death in self.deaths]

    def row(self) -> list[object]:
        cells = [f"{measure(each):.2f}" for each in (self.first, self.last) for measure in (statistics.median, max)]
        return [self.cluster, self.who, len(self.deaths), *cells]


def judge(go: Column, ours: Column, interval: float) -> bool:
    """Print how far the medians are apart; whether both are near enough."""
    good = True
    for what, theirs, mine in (("first", go.first, ours.first), ("last", go.last, ours.last)):
        apart = statistics.median(mine) - statistics.median(theirs)
        near = abs(apart) <= interval
        good = good and near
        verdict = "within" if near else "NOT within"
        print(f"{what} in {ours.cluster}: ours {apart:+.2f} s from Go's, {verdict} one probe interval ({interval:g} s)")
    return good


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=10, help="how many in each cluster (10)")
    parser.add_argument("--nodes", type=int, default=10, help="agents in each cluster (10)")
    parser.add_argument("--profile", default="lan", choices=list(PROBE_INTERVAL), help="timing of all agents (lan)")
    parser.add_argument("--seed", type=int, default=7, help="of when agents start (7)")
    options = parser.parse_args(arguments)
    if options.kills < 1:
        parser.error("--kills must be 1 at least")
    if options.nodes < 4:
        parser.error("--nodes must be 4 at least")
    dice = random.Random(options.seed)
    kinds = {"Go": go_only(options.nodes), "ours": ours_only(options.nodes), "mixed": half_ours(options.nodes)}
    try:
        with ExitStack() as stack:
            flags = [f"-profile={options.profile}"]
            groups = [Group(name, each, stack, flags=flags, dice=dice) for name, each in kinds.items()]
            for group in groups:
                group.join()
            with ThreadPoolExecutor(len(groups)) as pool:
                go, ours, mixed = pool.map(lambda group: deaths(group, options.kills), groups)
    except SerfCompatError as error:
        print(f"detect: {error}")
        return 1
    except KeyboardInterrupt:
        print("detect: interrupted; all agents are stopped")
        return 130
    columns = [
        Column("Go", "Go", go, lambda death: death.go),
        Column("ours", "ours", ours, lambda death: death.ours),
        Column("mixed", "Go", mixed, lambda death: death.go),
        Column("mixed", "ours", mixed, lambda death: death.ours),
    ]
    titles = ["cluster", "who", "kills", "first: median", "worst", "last: median", "worst"]
    print(f"seconds from kill -9 to the log line, {options.nodes} agents in each cluster, profile {options.profile}")
    print(table(titles, [column.row() for column in columns]))
    interval = PROBE_INTERVAL[options.profile]
    verdicts = [judge(columns[0], columns[1], interval), judge(columns[2], columns[3], interval)]
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
