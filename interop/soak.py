"""`make soak`: three Go agents and three of ours, for five minutes. How much do ours cost, and is anybody ever wronged?

Prints a line of figures every ten seconds, and then one per limit. The exit status is 0 if all are kept:
no member ever reported failed, at most 45 MB of memory and 1 % of a core for each of our agents, and less
than 1 MB of growth from the second minute to the end.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from interop.demo import PEERS
from serfcompat.errors import SerfCompatError
from serfcompat.testing.processes import Agent, Cluster, go_agent, serfcompat_agent

KEY = "HvY8ubRZMgafUOWvrOadwOckVa1wN3QWAo46FVKbVN8="
PAGE = os.sysconf("SC_PAGE_SIZE")
TICKS = os.sysconf("SC_CLK_TCK")
PERIOD = 10.0
"Seconds between samples."
SETTLED = 0.4
"Share of the time after which nothing should grow any more: minute two of five."
MAX_RSS, MAX_GROWTH = 45.0, 1.0
"MB, of 1 000 000 bytes."
MAX_CPU = 1.0
"Percent of one core, without the start and the join."


@dataclass(frozen=True, slots=True)
class Sample:
    """What the kernel says of a process at one moment."""

    time: float
    rss: float
    "MB of memory."
    cpu: float
    "Seconds of processor time so far."

    @classmethod
    def of(cls, agent: Agent) -> Sample:
        folder = Path("/proc", str(agent.process.pid))
        resident = int((folder / "statm").read_text().split()[1])
        # The name, in brackets, may have spaces in it; what follows are fields 3 and up.
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        return cls(time.monotonic(), resident * PAGE / 1e6, (int(fields[11]) + int(fields[12])) / TICKS)


def cpu_percent(first: Sample, last: Sample) -> float:
    return 100 * (last.cpu - first.cpu) / (last.time - first.time)


class Soak:
    """The cluster and its samples."""

    def __init__(self, cluster: Cluster, seconds: float) -> None:
        self.seconds = seconds
        go = [go_agent(version, PEERS) for version in ("0.9.4", "0.10.1", "0.10.1")]
        kinds = {f"go-{letter}": kind for letter, kind in zip("abc", go, strict=True)}
        kinds |= {f"py-{letter}": serfcompat_agent() for letter in "abc"}
        self.agents = {name: cluster.start(kind, name) for name, kind in kinds.items()}
        self.samples: dict[str, list[Sample]] = {name: [] for name in self.agents}

    def run(self) -> None:
        """Let them join, and look at them until the time is over."""
        first, *others = self.agents.values()
        for agent in others:
            agent.client.join([first.gossip])
        for agent in self.agents.values():
            agent.wait_for_members(dict.fromkeys(self.agents, "alive"), limit=75.0)
        pause, began = threading.Event(), time.monotonic()
        due = 0.0
        while due <= self.seconds:
            pause.wait(max(0.0, began + due - time.monotonic()))
            for name, agent in self.agents.items():
                self.samples[name].append(Sample.of(agent))
            self._print(due)
            due += PERIOD

    def failures(self) -> list[str]:
        """Who reported whom."""
        return [
            f"{agent.name}: {line.strip()}"
            for agent in self.agents.values()
            for line in agent.log
            if "EventMemberFailed" in line
        ]

    def judge(self) -> bool:
        """Print a line per limit; whether all are kept."""
        for failure in self.failures():
            print(f"soak: {failure}")
        verdicts = [self._verdict("false failures", float(len(self.failures())), 0.0, "")]
        for name, samples in self.samples.items():
            settled = samples[int(SETTLED * (len(samples) - 1)) :]
            rss = max(sample.rss for sample in samples)
            growth = max(sample.rss for sample in settled) - settled[0].rss
            cpu = cpu_percent(samples[1], samples[-1])
            if name.startswith("py"):
                verdicts.append(self._verdict(f"{name} memory", rss, MAX_RSS, " MB"))
                verdicts.append(self._verdict(f"{name} growth", growth, MAX_GROWTH, " MB"))
                verdicts.append(self._verdict(f"{name} CPU", cpu, MAX_CPU, " % of a core"))
            else:
                print(f"soak: --    {name} ({self.agents[name].kind.label}): {rss:.1f} MB, {cpu:.2f} % of a core")
        return all(verdicts)

    def _verdict(self, what: str, value: float, limit: float, unit: str) -> bool:
        kept = value <= limit
        print(f"soak: {'ok' if kept else 'FAIL':4}  {what}: {value:.2f}{unit} (at most {limit:g}{unit})")
        return kept

    def _print(self, seconds: float) -> None:
        parts = []
        for name, samples in self.samples.items():
            cpu = f"{cpu_percent(samples[-2], samples[-1]):5.2f} %" if len(samples) > 1 else "   -   "
            parts.append(f"{name} {samples[-1].rss:5.1f} MB {cpu}")
        print(f"{seconds:5.0f} s  {'  '.join(parts)}", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300.0, help="how long (300)")
    options = parser.parse_args(arguments)
    if options.seconds < 3 * PERIOD:
        parser.error(f"--seconds must be {3 * PERIOD:g} at least")
    try:
        with Cluster(flags=[f"-encrypt={KEY}"]) as cluster:
            soak = Soak(cluster, options.seconds)
            soak.run()
            good = soak.judge()
    except SerfCompatError as error:
        print(f"soak: {error}")
        return 1
    except KeyboardInterrupt:
        print("soak: interrupted; all agents are stopped")
        return 130
    print(f"soak: {'all limits kept' if good else 'a limit was broken'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
