"""Calls per second of the blocking API: `python -m benchmarks.api`.

    greenlet    the node lives on the hub of a gevent program, and a greenlet of that calls
    thread      the node lives in a thread of its own, and another thread calls

Wall-clock time, because a call from another thread waits for that one. The node knows a thousand
members, and neither probes nor gossips, so nothing else is measured. Nothing here fails by speed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import gevent

from benchmarks.case import require
from benchmarks.inputs import Inputs
from benchmarks.node import thousand_nodes
from serfcompat import Config, EventType, Serf
from serfcompat.runtime.home import HomeName

CALLERS: tuple[tuple[str, HomeName], ...] = (("greenlet", "inline"), ("thread", "thread"))
THREADS = 4


class Rate(NamedTuple):
    """One row of the result."""

    what: str
    caller: str
    median: float
    "Calls per second."
    low: float
    high: float


def _quiet(**config: object) -> Config:
    """A node that says nothing by itself."""
    return Config.lan(
        node_name="bench", bind_addr="127.0.0.1", bind_port=0, probe_interval=0.0, gossip_interval=0.0,
        push_pull_interval=0.0, reconnect_interval=0.0, rejoin_interval=0.0, disable_coordinates=True, **config,
    )  # fmt: skip


def _members(serf: Serf) -> Callable[[], object]:
    require(len(serf.members()) == 1001, "1000 members and ourselves")
    return serf.members


def _members_chosen(serf: Serf) -> Callable[[], object]:
    require(len(serf.members(status="alive", name="node-0000.*|bench")) > 1, "some match")
    return lambda: serf.members(status="alive")


def _user_event(serf: Serf) -> Callable[[], object]:
    return lambda: serf.user_event("deploy", b"v2.1")


def _delivery(serf: Serf) -> Callable[[], object]:
    events = serf.events(["user"])

    def fire_and_take() -> None:
        serf.user_event("deploy", b"v2.1")
        require(events.get(10).type is EventType.USER, "the event is there")

    return fire_and_take


CASES: tuple[tuple[str, Callable[[Serf], Callable[[], object]], bool], ...] = (
    ("members() of 1,000", _members, True),
    ("members(status='alive') of 1,000", _members_chosen, True),
    ("user_event()", _user_event, False),
    ("user_event() until a subscriber has it", _delivery, False),
)
"(what, prepares it, whether the thousand members are needed)"


def measure(call: Callable[[], object], *, repeats: int, seconds: float) -> list[float]:
    """Calls per second, one figure for each repeat."""
    rates = []
    for _ in range(repeats):
        calls, start = 0, perf_counter()
        while True:
            call()
            calls += 1
            if (spent := perf_counter() - start) >= seconds:
                break
        rates.append(calls / spent)
    return rates


def rates(*, repeats: int, seconds: float) -> list[Rate]:
    remote = thousand_nodes(Inputs())
    found: list[Rate] = []

    def run(caller: str, home: HomeName) -> None:
        for what, prepare, crowded in CASES:
            with Serf(_quiet(), home=home) as serf:
                if crowded:
                    serf._node.step(lambda engine, now_ns: engine.merge_remote_state(remote, False, now_ns))
                got = measure(prepare(serf), repeats=repeats, seconds=seconds)
            found.append(Rate(what, caller, statistics.median(got), min(got), max(got)))

    for caller, home in CALLERS:
        if home == "inline":
            gevent.spawn(run, caller, home).get()
        else:
            run(caller, home)
    found.append(_from_many_threads(repeats=repeats, seconds=seconds))
    return found


def _from_many_threads(*, repeats: int, seconds: float) -> Rate:
    with Serf(_quiet(), home="thread") as serf:
        totals = [_together(_user_event(serf), seconds) for _ in range(repeats)]
    return Rate("user_event()", f"{THREADS} threads together", statistics.median(totals), min(totals), max(totals))


def _together(call: Callable[[], object], seconds: float) -> float:
    """Calls per second of some threads at once."""
    each: list[float] = []
    threads = [
        threading.Thread(target=lambda: each.extend(measure(call, repeats=1, seconds=seconds))) for _ in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(each)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.api", description="Calls per second of the API.")
    parser.add_argument("--seconds", type=float, default=1.0, help="for each repeat (1)")
    parser.add_argument("--repeat", type=int, default=5, help="repeats; the median counts (5)")
    parser.add_argument("--json", type=Path, default=Path("build/bench_api.json"), help="where the figures go")
    options = parser.parse_args(arguments)
    found = rates(repeats=options.repeat, seconds=options.seconds)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(
        json.dumps({"rates": [rate._asdict() for rate in found]}, indent=1) + "\n", encoding="utf-8"
    )
    print("| Call | From | Calls/s | min … max |\n|---|---|--:|--:|")
    for rate in found:
        print(f"| {rate.what} | {rate.caller} | {rate.median:,.0f} | {rate.low:,.0f} … {rate.high:,.0f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
