"""How long an event takes to each agent, and how soon all know all: a mixed cluster beside a Go-only one.

    python -m interop.latency --nodes 10 --rounds 6 --events 150

Each round starts both clusters anew, since their agents' gossip ticks from their start on and the phases make
a difference. All join the first one at once; then every agent in turn sends an event over its RPC, in either
cluster alternately, at random moments. Times are from before the RPC call to the receipt at another agent's
event stream. The exit status is 0 if the mixed cluster's p50 and p99 are at most 10 % above Go's, and its
joins take at most 1.5 times as long.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from interop.group import Group, go_only, half_ours, ours_only
from interop.table import table
from serfcompat.errors import AgentUnreachable, SerfCompatError
from serfcompat.rpc.client import Client
from serfcompat.serf.events import UserEvent
from serfcompat.testing.processes import Agent

PAYLOAD = b"payload"
MOST_MORE, MOST_JOIN = 1.10, 1.5
"What the mixed cluster may take, as a multiple of the Go-only one's."
PATIENCE = 3.0
"Seconds after the last event of a round; what hasn't arrived then is missing."


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event that came to one agent."""

    event: str
    seconds: float
    to_ours: bool


@dataclass
class Result:
    """What all rounds of one cluster gave."""

    name: str
    joins: list[float] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    missing: int = 0

    def seconds(self, wanted: Callable[[Delivery], bool] = lambda _: True) -> list[float]:
        return [delivery.seconds for delivery in self.deliveries if wanted(delivery)]

    def last(self) -> list[float]:
        """Of each event, the slowest delivery."""
        slowest: dict[str, float] = {}
        for delivery in self.deliveries:
            slowest[delivery.event] = max(slowest.get(delivery.event, 0.0), delivery.seconds)
        return list(slowest.values())


class Ear:
    """Hears one agent's user events, and when each came."""

    def __init__(self, agent: Agent, ours: bool, news: threading.Condition) -> None:
        self.ours = ours
        self.heard: dict[str, float] = {}
        self._news = news
        self._client = Client(agent.rpc)
        self._records = self._client.stream("user")
        self._client.stats()  # an agent begins to stream just after it has said so
        threading.Thread(target=self._listen, name=f"events of {agent.name}", daemon=True).start()

    def _listen(self) -> None:
        try:
            for event in self._records:
                now = time.monotonic()
                if isinstance(event, UserEvent):
                    with self._news:
                        self.heard.setdefault(event.name, now)
                        self._news.notify_all()
        except AgentUnreachable:
            pass  # the agent was stopped


class Round:
    """One life of a cluster."""

    def __init__(self, number: int, group: Group, result: Result) -> None:
        self._number, self._group, self._result = number, group, result
        agents = list(group.agents.values())
        result.joins.append(group.join(agents[number % len(agents)].name))
        self._news = threading.Condition()
        self._ears = {agent.name: Ear(agent, group.is_ours(agent.name), self._news) for agent in agents}
        self._sent: dict[str, tuple[str, float]] = {}

    def send(self, number: int) -> None:
        """Send event `number` from the agent whose turn it is."""
        name = list(self._ears)[number % len(self._ears)]
        event = f"event-{self._number}-{number}"
        client = self._group.agents[name].client
        self._sent[event] = name, time.monotonic()
        client.user_event(event, PAYLOAD, coalesce=False)

    def end(self) -> None:
        """Wait for what is still on its way, and put all deliveries down."""
        deadline = time.monotonic() + PATIENCE
        with self._news:
            while self._missing() and (left := deadline - time.monotonic()) > 0:
                self._news.wait(left)
            self._result.missing += self._missing()
            self._result.deliveries += [
                Delivery(event, ear.heard[event] - sent, ear.ours)
                for event, (sender, sent) in self._sent.items()
                for name, ear in self._ears.items()
                if name != sender and event in ear.heard
            ]

    def _missing(self) -> int:
        return len(self._sent) * len(self._ears) - sum(len(ear.heard) for ear in self._ears.values())


def quantile(values: Sequence[float], share: float) -> float:
    """The value that `share` of all are not above, as in a sorted list of them."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * len(ordered)))]


def milliseconds(values: Sequence[float]) -> list[str]:
    """Number, median, 99th percentile and maximum."""
    if not values:
        return ["0", "", "", ""]
    return [str(len(values)), *(f"{1000 * quantile(values, share):.0f}" for share in (0.5, 0.99, 1.0))]


def measure(results: Sequence[Result], options: argparse.Namespace) -> None:
    """Go through all rounds. The clusters of a round live at the same time."""
    dice = random.Random(options.seed)
    kinds = {"Go": go_only, "mixed": half_ours, "ours": ours_only}
    for number in range(options.rounds):
        with ExitStack() as stack:
            groups = [Group(result.name, kinds[result.name](options.nodes), stack, dice=dice) for result in results]
            rounds = [Round(number, group, result) for group, result in zip(groups, results, strict=True)]
            for event in range(options.events):
                for one in rounds:
                    time.sleep(dice.uniform(0, 2 / options.rate / len(rounds)))
                    one.send(event)
            for one in rounds:
                one.end()
        print(f"round {number + 1} of {options.rounds}: " + ", ".join(map(_summary, results)), flush=True)


def _summary(result: Result) -> str:
    _, p50, p99, _ = milliseconds(result.seconds())
    return f"{result.name} joined in {result.joins[-1]:.2f} s, p50 {p50} ms, p99 {p99} ms so far"


def report(results: Sequence[Result]) -> str:
    """The tables of deliveries and joins."""
    rows: list[list[object]] = []
    for result in results:
        views: list[tuple[str, Iterable[float]]] = [("all deliveries", result.seconds())]
        if result.name == "mixed":
            views.append(("to Go agents", result.seconds(lambda delivery: not delivery.to_ours)))
            views.append(("to ours", result.seconds(lambda delivery: delivery.to_ours)))
        views.append(("the last of each event", result.last()))
        rows += [[result.name, what, *milliseconds(list(values))] for what, values in views]
    deliveries = table(["cluster", "event, ms", "n", "p50", "p99", "max"], rows)
    joins = table(
        ["cluster", "join, s", "n", "median", "max", "deliveries missing"],
        [
            [r.name, "", len(r.joins), f"{statistics.median(r.joins):.2f}", f"{max(r.joins):.2f}", r.missing]
            for r in results
        ],
    )
    return f"{deliveries}\n{joins}"


def judge(go: Result, mixed: Result) -> bool:
    """Print each limit and whether it is kept; whether all are."""
    verdicts = []
    for what, theirs, value, most in (
        ("p50", quantile(go.seconds(), 0.5), quantile(mixed.seconds(), 0.5), MOST_MORE),
        ("p99", quantile(go.seconds(), 0.99), quantile(mixed.seconds(), 0.99), MOST_MORE),
        ("join", statistics.median(go.joins), statistics.median(mixed.joins), MOST_JOIN),
    ):
        kept = value <= most * theirs
        verdicts.append(kept)
        print(f"{'ok' if kept else 'FAIL':4}  {what}: {value / theirs:.2f} of Go's in {mixed.name} (at most {most:g})")
    return all(verdicts)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=10, help="agents in each cluster (10)")
    parser.add_argument("--rounds", type=int, default=6, help="how often the clusters are started anew (6)")
    parser.add_argument("--events", type=int, default=150, help="in each round and cluster (150)")
    parser.add_argument("--rate", type=float, default=5.0, help="events per second and cluster (5)")
    parser.add_argument("--ours", action="store_true", help="a third cluster, of ours alone; it isn't judged")
    parser.add_argument("--seed", type=int, default=7, help="of when agents start and events are sent (7)")
    options = parser.parse_args(arguments)
    if options.nodes < 2 or options.rounds < 1 or options.events < 1 or options.rate <= 0:
        parser.error("--nodes must be 2 at least, --rounds and --events 1, and --rate above 0")
    results = [Result("Go"), Result("mixed"), *([Result("ours")] if options.ours else [])]
    try:
        measure(results, options)
    except SerfCompatError as error:
        print(f"latency: {error}")
        return 1
    except KeyboardInterrupt:
        print("latency: interrupted; all agents are stopped")
        return 130
    print(f"{options.nodes} agents in each cluster, {options.rate:g} events per second, profile lan")
    print(report(results))
    return 0 if judge(results[0], results[1]) else 1


if __name__ == "__main__":
    sys.exit(main())
