"""How many events a second get through three members without loss: Go's highest rate, and what ours accepts.

    python -m interop.throughput --seconds 10

A Go agent among Go agents is sent events over its RPC, at rising rates, until some are lost twice in a row. It
accepts them all. Then a node of this process, among a Go agent and one of ours, is offered 1,000 a second
by `Serf.user_event(…, block=False)`, and takes what it has room for. The exit status is 0 if all that it took
came to both others, and it took them at least at the highest rate at which Go lost nothing.
"""

from __future__ import annotations

import argparse
import itertools
import random
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

from interop.group import Group, go_only, half_ours
from interop.latency import Ear
from interop.queries import OurNode
from interop.table import table
from serfcompat.errors import EventQueueFull, SerfCompatError

PAYLOAD = b"payload"
FIRST_RATE, STEP = 25, 25
OFFERED = 1000
OFFERERS = 8
"Threads that offer to ours: each call may have to wait until the node has a moment."
QUIET = 8.0
"Seconds without any delivery after which no more are expected."

_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class Burst:
    """Events that were offered for a while, and what became of them."""

    asked: float
    "Events a second that were to be offered."
    offered: int
    accepted: int
    seconds: float
    everywhere: int
    "Of the accepted, those that both others got."

    @property
    def rate(self) -> float:
        """Accepted per second."""
        return self.accepted / self.seconds

    @property
    def lossless(self) -> bool:
        return self.everywhere == self.accepted

    def row(self, what: str) -> list[object]:
        share = 100 * self.everywhere / self.accepted if self.accepted else 0.0
        return [what, f"{self.offered / self.seconds:.0f}", f"{self.rate:.0f}", self.accepted, f"{share:.2f}"]


class Receivers:
    """The agents that listen, all of a group but who sends."""

    def __init__(self, group: Group, sender: str) -> None:
        self._news = threading.Condition()
        self._ears = [Ear(a, group.is_ours(a.name), self._news) for a in group.agents.values() if a.name != sender]

    def burst(self, send: Callable[[str], bool], rate: float, seconds: float, offerers: int = 1) -> Burst:
        """Offer events at an even rate, from so many threads. `send` returns whether one was accepted."""
        count = round(rate * seconds)
        numbers = iter(range(count))
        accepted: list[str] = []
        began = time.monotonic()

        def offer(_: int) -> None:
            for number in numbers:
                time.sleep(max(0.0, began + number / rate - time.monotonic()))
                event = f"e{next(_numbers)}"
                if send(event):
                    accepted.append(event)

        with ThreadPoolExecutor(offerers) as pool:
            list(pool.map(offer, range(offerers)))
        took = time.monotonic() - began
        everywhere = self._await(set(accepted))
        return Burst(rate, count, len(accepted), max(took, seconds), everywhere)

    def _await(self, wanted: set[str]) -> int:
        with self._news:
            while any(not wanted <= ear.heard.keys() for ear in self._ears):
                if not self._news.wait(QUIET):
                    break
            return len(wanted.intersection(*(ear.heard for ear in self._ears)))


def go_series(seconds: float, dice: random.Random) -> list[Burst]:
    """Rising rates, each in a new cluster, until two in a row lose events."""
    bursts: list[Burst] = []
    while len(bursts) < 2 or bursts[-1].lossless or bursts[-2].lossless:
        with ExitStack() as stack:
            group = Group("Go", go_only(3), stack, dice=dice)
            group.join()
            sender = next(iter(group.agents.values()))

            def send(event: str, client: object = sender.client) -> bool:
                client.user_event(event, PAYLOAD, coalesce=False)  # type: ignore[attr-defined]
                return True

            receivers = Receivers(group, sender.name)
            bursts.append(receivers.burst(send, FIRST_RATE + STEP * len(bursts), seconds))
        print(f"Go at {bursts[-1].asked:.0f}: {bursts[-1].everywhere} of {bursts[-1].accepted}", flush=True)
    return bursts


def our_burst(seconds: float, dice: random.Random) -> Burst:
    """1,000 a second offered to ours."""
    with ExitStack() as stack:
        group = Group("mixed", half_ours(2), stack, dice=dice)
        group.join()
        receivers = Receivers(group, "")
        node = OurNode(group, stack)

        def send(event: str) -> bool:
            try:
                node.serf.user_event(event, PAYLOAD, block=False)
            except EventQueueFull:
                return False
            return True

        return receivers.burst(send, OFFERED, seconds, OFFERERS)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each burst (10)")
    parser.add_argument("--repeat", type=int, default=3, help="bursts offered to ours (3)")
    parser.add_argument("--seed", type=int, default=7, help="of when agents start (7)")
    options = parser.parse_args(arguments)
    if options.seconds <= 0 or options.repeat < 1:
        parser.error("--seconds must be above 0, --repeat 1 at least")
    dice = random.Random(options.seed)
    try:
        ours = [our_burst(options.seconds, dice) for _ in range(options.repeat)]
        go = go_series(options.seconds, dice)
    except SerfCompatError as error:
        print(f"throughput: {error}")
        return 1
    except KeyboardInterrupt:
        print("throughput: interrupted; all agents are stopped")
        return 130
    print(f"three members, bursts of {options.seconds:g} s")
    titles = ["sender", "offered / s", "accepted / s", "accepted", "reached both others, %"]
    print(table(titles, [*(burst.row("Go") for burst in go), *(burst.row("ours") for burst in ours)]))
    highest = max((burst.rate for burst in go if burst.lossless), default=0.0)
    lossless, lowest = all(burst.lossless for burst in ours), min(burst.rate for burst in ours)
    print(f"{'ok' if lossless else 'FAIL':4}  all that ours accepted came to both others")
    print(
        f"{'ok' if lowest >= highest else 'FAIL':4}  ours accepted {lowest:.0f} / s at least, "
        f"Go's highest rate without loss is {highest:.0f} / s"
    )
    return 0 if lossless and lowest >= highest else 1


if __name__ == "__main__":
    sys.exit(main())
