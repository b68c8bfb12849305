"""False failures under packet loss: a mixed cluster beside a Go-only one, in the same bad weather.

    python -m interop.loss --minutes 30 --loss 0.1

Two clusters of the same size run side by side, each behind a relay that loses the same
share of datagrams on every link. Nobody is ever stopped, so every failure that an agent
declares is a false one. Counted is who declares: what spreads from there is not counted again.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import re
import sys
import threading
import time
from collections.abc import Sequence

from interop.table import table
from serfcompat.testing.processes import Agent, Cluster, Kind, go_agent, serfcompat_agent
from serfcompat.testing.relay import Relay, Weather

_DECLARED = re.compile(r"memberlist: [Mm]arking (\S+) as failed")
_SUSPECTED = re.compile(r"memberlist: (Suspect \S+ has failed|suspecting \S+:)")
_FAILED = re.compile(r"serf: EventMemberFailed:")


class Group:
    """A cluster behind a relay of its own."""

    def __init__(self, name: str, kinds: Sequence[Kind], seed: int, stack: contextlib.ExitStack) -> None:
        self.name = name
        self.relay = stack.enter_context(Relay(random.Random(seed)))
        self.cluster = stack.enter_context(Cluster())
        for number, kind in enumerate(kinds):
            host, front = self.cluster.free_host(), self.cluster.free_host()
            node = f"{name}-{number}"
            self.relay.serve(node, listen=f"{front}:7946", target=f"{host}:7946")
            seeds = [f"-retry-join={self._first_front}:7946"] if number else []
            if not number:
                self._first_front = front
            self.cluster.start(kind, node, f"-advertise={front}:7946", *seeds, host=host)
        for agent in self.cluster.agents:
            agent.wait_for_members({other.name: "alive" for other in self.cluster.agents}, limit=75)
        self._start = {agent.name: len(agent.log) for agent in self.cluster.agents}

    def agents(self, kind: Kind) -> list[Agent]:
        return [agent for agent in self.cluster.agents if agent.kind == kind]

    def count(self, agent: Agent, pattern: re.Pattern[str]) -> int:
        return sum(bool(pattern.search(line)) for line in agent.log[self._start[agent.name] :])


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30, help="how long (30)")
    parser.add_argument("--loss", type=float, default=0.1, help="share of datagrams that are lost on each link (0.1)")
    parser.add_argument(
        "--nodes", type=int, default=10, help="size of each cluster, half of it ours in the mixed one (10)"
    )
    parser.add_argument("--go", default="0.10.1", help="version of the Go agents (0.10.1)")
    parser.add_argument("--seed", type=int, default=7, help="of the relays' dice (7)")
    options = parser.parse_args(argv)
    go, ours = go_agent(options.go), serfcompat_agent()
    half = options.nodes // 2
    with contextlib.ExitStack() as stack:
        control = Group("control", [go] * options.nodes, options.seed, stack)
        mixed = Group("mixed", [go] * half + [ours] * (options.nodes - half), options.seed + 1, stack)
        for group in (control, mixed):
            group.relay.weather = Weather(loss=options.loss)
        print(f"two clusters of {options.nodes} in {options.loss:.0%} loss for {options.minutes:g} minutes", flush=True)
        _wait(options.minutes * 60)
        hours = options.minutes / 60
        rows, rates = [], {}
        for group, kind in ((control, go), (mixed, go), (mixed, ours)):
            agents = group.agents(kind)
            declared = sum(group.count(agent, _DECLARED) for agent in agents)
            suspected = sum(group.count(agent, _SUSPECTED) for agent in agents)
            heard = sum(group.count(agent, _FAILED) for agent in agents)
            rate = rates[group.name, kind] = declared / len(agents) / hours
            rows.append([group.name, kind.label, len(agents), suspected, declared, heard, f"{rate:.2f}"])
        titles = [
            "cluster",
            "agents",
            "n",
            "suspicions",
            "failures declared",
            "failures heard",
            "declared per agent and hour",
        ]
        print(table(titles, rows))
        for group in (control, mixed):
            print(f"{group.name}: {dict(group.relay.counts)}")
        good = rates["mixed", ours] <= rates["control", go]
        verdict = "not above" if good else "ABOVE"
        print(f"loss: our rate of false failures is {verdict} the Go-only cluster's")
    return 0 if good else 1


def _wait(seconds: float) -> None:
    """Wait, with a sign of life each minute. Ctrl-C ends it."""
    end = time.monotonic() + seconds
    never = threading.Event()
    while (left := end - time.monotonic()) > 0:
        never.wait(min(60.0, left))
        print(f"  {max(0.0, end - time.monotonic()) / 60:.0f} minutes left", flush=True)


if __name__ == "__main__":
    sys.exit(main())
