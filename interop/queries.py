"""How soon a query is over, and who answers it in bad weather: a mixed cluster beside a Go-only one.

    python -m interop.queries --nodes 10 --queries 20
    python -m interop.queries --nodes 10 --queries 100 --at-once 10 --loss 0.2 --relay-factor 4

In the mixed cluster, half of which are Go agents, a node of this process asks by `Serf.query`; in the other one
a Go agent asks over its RPC. Everybody answers, agents by RPC. Times are from before the call: to the last answer, and
to the end of the query. With --loss every datagram goes through a relay that loses this share of them. The exit
status is 0 if every query that all have answered ended within twice the time to its last answer (10 ms at least),
and at least 99 % of the answers came.
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

from interop.group import Group, go_only, half_ours
from interop.table import table
from serfcompat.errors import SerfCompatError
from serfcompat.rpc.client import Client
from serfcompat.rpc.records import QueryRecord
from serfcompat.runtime.serf import Serf
from serfcompat.serf.config import Config
from serfcompat.serf.events import QueryEvent
from serfcompat.testing.listener import Listener
from serfcompat.testing.processes import GOSSIP_PORT
from serfcompat.testing.relay import Relay, Weather

QUERY, ANSWER = "who", b"here"
TWICE, LEAST_LIMIT = 2.0, 0.010
ENOUGH = 0.99
"Share of the answers that must come."


@dataclass(frozen=True, slots=True)
class Asked:
    """One query: who answered, and when."""

    answered: frozenset[str]
    last: float
    "Seconds to the last answer."
    end: float
    "Seconds to the end of the query."

    @property
    def prompt(self) -> bool:
        return self.end <= max(LEAST_LIMIT, TWICE * self.last)


class OurNode:
    """A node of this process that takes part, answers, and asks."""

    def __init__(self, group: Group, stack: ExitStack) -> None:
        host, address = group.reserve("api")
        advertise = {} if address.startswith(f"{host}:") else {"advertise_addr": address.rpartition(":")[0]}
        config = Config.lan(bind_addr=host, bind_port=GOSSIP_PORT, **advertise).replace(node_name="api")
        self.serf = stack.enter_context(Serf(config, home="thread"))
        self.serf.on(f"query:{QUERY}", self._answer, maxsize=0)
        self.serf.join([group.address(next(iter(group.agents)))])
        self.serf.wait_for(members=len(group) + 1, timeout=75.0)

    def ask(self, relay_factor: int) -> Asked:
        """One query, to its end."""
        last, answered = 0.0, set()
        began = time.monotonic()
        for answer in self.serf.query(QUERY, relay_factor=relay_factor):
            last = time.monotonic() - began
            answered.add(answer.from_)
        return Asked(frozenset(answered), last, time.monotonic() - began)

    def _answer(self, event: object) -> None:
        assert isinstance(event, QueryEvent)
        self.serf.respond(event, ANSWER)


def ask_agent(address: str, relay_factor: int) -> Asked:
    """One query over an agent's RPC, to its end."""
    last, answered = 0.0, set()
    with Client(address) as client:
        began = time.monotonic()
        with client.query(QUERY, relay_factor=relay_factor) as records:
            for record in records:
                # Go agents make up answers of nobody when the time is over.
                if record.type == QueryRecord.RESPONSE and record.from_:
                    last = time.monotonic() - began
                    answered.add(record.from_)
        return Asked(frozenset(answered), last, time.monotonic() - began)


def series(ask: Callable[[int], Asked], options: argparse.Namespace) -> list[Asked]:
    """All queries of one cluster, so many at once."""
    with ThreadPoolExecutor(options.at_once) as pool:
        return list(pool.map(ask, [options.relay_factor] * options.queries))


def row(name: str, asked: Sequence[Asked], nodes: int) -> list[object]:
    """What the table says of a series."""
    full = [each for each in asked if len(each.answered) == nodes]
    answers = sum(len(each.answered) for each in asked)
    cells = [f"{len(asked)}", f"{len(full)}", f"{100 * answers / nodes / len(asked):.2f}"]
    if not full:
        return [name, *cells, "", "", ""]
    factor = max(each.end / each.last for each in full)
    times = [f"{1000 * statistics.median(values):.0f}" for values in ([e.last for e in full], [e.end for e in full])]
    return [name, *cells, *times, f"{factor:.2f}"]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=10, help="members of each cluster (10)")
    parser.add_argument("--queries", type=int, default=20, help="in each cluster (20)")
    parser.add_argument("--at-once", type=int, default=1, help="queries under way at the same time (1)")
    parser.add_argument("--loss", type=float, default=0.0, help="share of datagrams that are lost on each link (0)")
    parser.add_argument("--relay-factor", type=int, default=0, help="redundant copies of each answer (0)")
    parser.add_argument("--seed", type=int, default=7, help="of the dice (7)")
    options = parser.parse_args(arguments)
    if options.nodes < 3 or options.queries < 1 or options.at_once < 1:
        parser.error("--nodes must be 3 at least, --queries and --at-once 1")
    dice = random.Random(options.seed)
    try:
        with ExitStack() as stack:
            relays = [stack.enter_context(Relay(random.Random(dice.random()))) for _ in "gm"] if options.loss else []
            groups = [
                Group(name, kinds, stack, dice=dice, relay=relays[number] if relays else None)
                for number, (name, kinds) in enumerate(
                    {"Go": go_only(options.nodes), "mixed": half_ours(options.nodes - 1)}.items()
                )
            ]
            for group in groups:
                group.join()
                for agent in group.agents.values():
                    stack.enter_context(Listener(agent.rpc, answers={QUERY: ANSWER}))
            node = OurNode(groups[1], stack)
            for relay in relays:
                relay.weather = Weather(loss=options.loss)
            first = next(iter(groups[0].agents.values()))
            with ThreadPoolExecutor(2) as pool:
                asking = pool.submit(series, lambda factor: ask_agent(first.rpc, factor), options)
                ours = series(node.ask, options)
                go = asking.result()
    except (SerfCompatError, TimeoutError) as error:
        print(f"queries: {error}")
        return 1
    except KeyboardInterrupt:
        print("queries: interrupted; all agents are stopped")
        return 130
    print(
        f"{options.nodes} members, {options.loss:.0%} of the datagrams lost, relay factor {options.relay_factor}, "
        f"{options.at_once} queries at once"
    )
    titles = ["cluster", "queries", "answered by all", "answers, %", "last answer, ms", "end, ms", "end / last, worst"]
    rows = [row("Go only, asked over RPC", go, options.nodes), row("mixed, asked by ours", ours, options.nodes)]
    print(table(titles, rows))
    late = [each for each in ours if len(each.answered) == options.nodes and not each.prompt]
    share = sum(len(each.answered) for each in ours) / options.nodes / len(ours)
    print(f"{'FAIL' if late else 'ok':4}  ended within twice the time to the last answer: all but {len(late)}")
    print(f"{'ok' if share >= ENOUGH else 'FAIL':4}  answers: {share:.2%} (at least {ENOUGH:.0%})")
    return 0 if not late and share >= ENOUGH else 1


if __name__ == "__main__":
    sys.exit(main())
