"""The RPC of agents and clients, and what an agent costs, side by side with Go's and `serfclient`.

    python -m benchmarks.rpc                    all, about four minutes
    python -m benchmarks.rpc --only agents      a part: clients, agents, costs

Requests per second on one connection; the median of rounds in which all take turns, so that what else
the machine does hits all alike. Load and agent share the machine. Needs the Go peers (`make peers`).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from statistics import median

from benchmarks.rpc_load import Load
from interop.clients import ClientError, installed
from interop.demo import PEERS
from interop.soak import Sample, cpu_percent
from serfcompat.errors import SerfCompatError
from serfcompat.rpc import protocol
from serfcompat.rpc.client import Client
from serfcompat.rpc.protocol import Request
from serfcompat.testing.processes import Agent, Cluster, go_agent, serfcompat_agent

GO = ("0.9.4", "0.10.1")
DEPTH = 64
MEMBERS = 30
REQUESTS: dict[str, Request] = {
    "stats": protocol.StatsRequest(),
    "event": protocol.EventRequest("deploy", b"v1.2"),
    "members": protocol.MembersRequest(),
}


class Bench:
    """What the parts share: how long to measure, and the printing."""

    def __init__(self, rounds: int, seconds: float, idle: float) -> None:
        self.rounds, self.seconds, self.idle = rounds, seconds, idle

    def compare(self, title: str, unit: str, measures: dict[str, Callable[[], float]]) -> dict[str, float]:
        """Let all take turns; prints and returns the medians."""
        taken: dict[str, list[float]] = {name: [] for name in measures}
        for _ in range(self.rounds):
            for name, measure in measures.items():
                taken[name].append(measure())
        print(title)
        for name, values in taken.items():
            low, high = min(values), max(values)
            print(f"    {name:<28} {_shown(median(values)):>9} {unit}   [{_shown(low)} … {_shown(high)}]")
        sys.stdout.flush()
        return {name: median(values) for name, values in taken.items()}


def clients(bench: Bench) -> None:
    """Our client and `serfclient` on a Go agent."""
    sys.path.append(str(installed("serfclient")))
    from serfclient.client import SerfClient  # type: ignore[import-not-found]

    with Cluster() as cluster:
        for version in GO:
            agent = cluster.start(go_agent(version, PEERS), f"go-{version}")
            host, _, port = agent.rpc.rpartition(":")
            theirs, ours = SerfClient(host, int(port)), Client(agent.rpc)
            cases: dict[str, tuple[Callable[[], object], Callable[[], object], Request]] = {
                "stats": (theirs.stats, ours.stats, REQUESTS["stats"]),
                "members": (theirs.members, ours.members, REQUESTS["members"]),
                "event": (
                    lambda theirs=theirs: theirs.event("x"),
                    lambda ours=ours: ours.user_event("x", coalesce=True),  # serfclient's default
                    protocol.EventRequest("x", coalesce=True),
                ),
            }
            for name, (their_call, our_call, request) in cases.items():
                found = bench.compare(
                    f"{name}, at a Go agent {version}",
                    "calls/s",
                    {
                        "serfclient": lambda call=their_call: repeated(call, bench.seconds),
                        "ours": lambda call=our_call: repeated(call, bench.seconds),
                        "ours, pipelined": lambda ours=ours, r=request: pipelined(ours, r, bench.seconds),
                    },
                )
                base, alone, deep = found.values()
                print(
                    f"    ours / serfclient            {alone / base:9.2f} one at a time, {deep / base:.2f} pipelined"
                )


def repeated(call: Callable[[], object], seconds: float) -> float:
    """Calls per second."""
    count, began = 0, time.perf_counter()
    while (now := time.perf_counter()) - began < seconds:
        for _ in range(20):
            call()
        count += 20
    return count / (now - began)


def pipelined(client: Client, request: Request, seconds: float) -> float:
    """Calls per second while one to two times DEPTH are under way."""
    batch = [request] * DEPTH
    earlier = client.submit_all(batch)
    count, began = 0, time.perf_counter()
    while (now := time.perf_counter()) - began < seconds:
        later = client.submit_all(batch)
        for call in earlier:
            call.result()
        count += len(earlier)
        earlier = later
    for call in earlier:
        call.result()
    return count / (now - began)


def agents(bench: Bench) -> None:
    """Our agent and Go's: `stats` and `event` of each alone, `members` in a cluster of thirty."""
    with Cluster() as cluster:
        running = _each_kind(cluster)
        for name in ("stats", "event"):
            _loaded(bench, f"{name}, alone", running, REQUESTS[name])
    with Cluster() as cluster:
        running = _each_kind(cluster)
        crowd = _grow(list(running.values()))
        try:
            _loaded(bench, f"members, of {MEMBERS}", running, REQUESTS["members"])
        finally:
            crowd.communicate()


def _each_kind(cluster: Cluster) -> dict[str, Agent]:
    kinds = {f"Go {version}": go_agent(version, PEERS) for version in GO} | {"ours": serfcompat_agent()}
    return {name: cluster.start(kind, name.replace(" ", "-")) for name, kind in kinds.items()}


def _grow(running: Sequence[Agent]) -> subprocess.Popen[bytes]:
    """Join the agents, and so many other nodes that the cluster has MEMBERS."""
    first, *others = running
    for agent in others:
        agent.client.join([first.gossip])
    network = first.host.rpartition(".")[0]
    crowd = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.crowd", str(MEMBERS - len(running)), f"{network}.100", first.gossip],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert crowd.stdout is not None
    crowd.stdout.readline()
    everybody = {agent.name: "alive" for agent in running}
    everybody |= {f"crowd-{index}": "alive" for index in range(MEMBERS - len(running))}
    for agent in running:
        agent.wait_for_members(everybody)
    return crowd


def _loaded(bench: Bench, title: str, running: dict[str, Agent], request: Request) -> None:
    loads = {name: Load(agent.rpc) for name, agent in running.items()}
    for depth in (1, DEPTH):
        found = bench.compare(
            f"{title}, {depth} under way",
            "requests/s",
            {name: lambda load=load, d=depth: load.rate(request, d, bench.seconds) for name, load in loads.items()},
        )
        ratios = ", ".join(f"{found['ours'] / found[name]:.2f} of {name}" for name in found if name != "ours")
        print(f"    ours: {ratios}")
    for load in loads.values():
        load.close()


def costs(bench: Bench) -> None:
    """How long an agent takes to start and a command to run, and what an agent costs in a calm cluster of thirty."""
    serf = [sys.executable, "-m", "serfcompat"]
    with Cluster() as cluster:
        agent = cluster.start(serfcompat_agent(), "asked")
        bench.compare(
            "wall time",
            "s",
            {
                "python -c pass": lambda: _wall([sys.executable, "-c", "pass"]),
                "serfcompat -h": lambda: _wall([*serf, "-h"]),
                "serfcompat members": lambda: _wall([*serf, "members", f"-rpc-addr={agent.rpc}"]),
                "start of an agent until its RPC answers": lambda: _until_ready(cluster),
            },
        )
    with Cluster() as cluster:
        running = _each_kind(cluster)
        crowd = _grow(list(running.values()))
        try:
            time.sleep(min(10.0, bench.idle))  # the joins' own gossip dies down
            before = {name: Sample.of(agent) for name, agent in running.items()}
            time.sleep(bench.idle)
            print(f"idle for {bench.idle:g} s, {MEMBERS} members")
            for name, agent in running.items():
                after = Sample.of(agent)
                cpu = cpu_percent(before[name], after)
                print(f"    {name:<28} {after.rss:9.1f} MB of memory, {cpu:.2f} % of a core")
        finally:
            crowd.communicate()


def _wall(command: Sequence[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return time.perf_counter() - began


def _until_ready(cluster: Cluster) -> float:
    """Seconds from the start of the process to the first answer."""
    began = time.perf_counter()
    agent = cluster.launch(serfcompat_agent(), f"started-{began}")
    while True:
        try:
            with Client(agent.rpc) as client:
                client.stats()
            break
        except SerfCompatError:
            time.sleep(0.002)
    taken = time.perf_counter() - began
    agent.stop()
    return taken


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3f}"


PARTS = {"clients": clients, "agents": agents, "costs": costs}


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.rpc", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=PARTS, help="one part")
    parser.add_argument("--rounds", type=int, default=25, metavar="N", help="turns that each takes (25)")
    parser.add_argument("--seconds", type=float, default=0.1, metavar="S", help="length of a turn (0.1)")
    parser.add_argument("--idle", type=float, default=60.0, metavar="S", help="length of the look at idle agents (60)")
    options = parser.parse_args(arguments)
    bench = Bench(options.rounds, options.seconds, options.idle)
    try:
        for name, part in PARTS.items():
            if options.only in (None, name):
                part(bench)
    except (ClientError, SerfCompatError) as error:
        print(f"benchmarks.rpc: {error}", file=sys.stderr)
        return 1
    print(f"load of the machine: {os.getloadavg()[0]:.1f}, {os.cpu_count()} CPUs, Python {sys.version.split()[0]}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
