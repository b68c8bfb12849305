"""Real web servers in a cluster with Go agents: `python -m benchmarks.web PART…`, one line of figures for each part.

    members [CLASS…]   3 hosts × gunicorn with 8 workers, and 2 Go agents: who sees how many (sync, gthread, gevent)
    takeover           kill -9 of the member's process, and of the worker that supervises it, 25 times each
    invalidation       1,000 events at 20 a second: how soon and in how many workers they are heard
    stuck              a worker that blocks for 30 s, and one that spins
    cost               a look-up among 100 members, and memory
    reload             gunicorn's reload under wrk, beside the same without serfcompat

Figures also go to build/web.json. Needs the Go agents (`interop/fetch-peers`); `reload` needs wrk (Debian's package).
Everything runs on 127.x addresses, with the timing of the `lan` profile.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import timeit
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from serfcompat.contrib.local import LocalSerf
from serfcompat.rpc.client import Client
from serfcompat.serf.events import EventType, MemberEvent
from serfcompat.serf.member import MemberStatus
from serfcompat.testing.fake import member
from tests.agents import AgentProcess
from tests.contrib.hosts import Host, until
from tests.contrib.servers import Gunicorn

HERE = Path(__file__).parent
OUTPUT = HERE.parent / "build" / "web.json"
GO = ("0.9.4", "0.10.1")
HOSTS, WORKERS = 3, 8
KILLS = 25
EVENTS, RATE = 1000, 20.0
LATEST = 90.0
"Seconds after the last event: what gossip did not bring comes with a push/pull, every 30 s."


WORKER = """
import json, sys, flask
def resident(): return int(open("/proc/self/statm").read().split()[1]) * 4096 / 2**20
before = resident()
import serfcompat.contrib.flask
from serfcompat.contrib import local
local().configure(json.loads(sys.argv[1]))
local().members()
print(round(resident() - before, 1))
"""


class Ear:
    """What a Go agent says of others: `failed` events, and suspicions in its log."""

    def __init__(self, agent: AgentProcess) -> None:
        self._client = Client(agent.rpc)
        self._failures = self._client.stream("member-failed")
        self._log = self._client.monitor("DEBUG")
        self.failed: list[str] = []
        self.suspected: list[str] = []

    def listen(self) -> Ear:
        """Take what has come."""
        with contextlib.suppress(TimeoutError):
            while True:
                self.failed += [member.name for member in self._failures.get(0.01).members]
        with contextlib.suppress(TimeoutError):
            while True:
                self.suspected += re.findall(r"Suspect (\S+) has failed|Marking (\S+) as failed", self._log.get(0.01))
        return self

    def close(self) -> None:
        self._client.close()


class Cluster:
    """Two Go agents and three hosts with a gunicorn each."""

    def __init__(self, directory: Path, stack: contextlib.ExitStack, kind: str, app: str = "web_app:app") -> None:
        self.notes = directory / "notes"
        self.notes.mkdir()
        self.go = [stack.enter_context(AgentProcess(f"go-{GO[0]}", "go-1", profile="lan"))]
        self.go.append(
            stack.enter_context(AgentProcess(f"go-{GO[1]}", "go-2", f"-join={self.go[0].gossip}", profile="lan"))
        )
        self.ears = [Ear(agent) for agent in self.go]
        for ear in self.ears:
            stack.callback(ear.close)
        self.hosts: list[Host] = []
        self.servers: list[Gunicorn] = []
        flags = {"sync": (), "gthread": ("--threads", "2"), "gevent": ()}[kind]
        for number in range(1, HOSTS + 1):
            host = Host(directory, f"web-{number}", profile="lan", linger=10.0, retry_join=[a.gossip for a in self.go])
            stack.callback(host.close)
            env = {"NOTES": str(self.notes)}
            server = Gunicorn(host, app, "-k", kind, "-w", str(WORKERS), "-t", "60", *flags, where=HERE, env=env)
            self.hosts.append(host)
            self.servers.append(stack.enter_context(server))
        for server in self.servers:
            server.wait()
        until(lambda: all(len(self.alive(agent)) == HOSTS + len(GO) for agent in self.go), 60)
        until(lambda: all(len(workers_of(server)) == WORKERS for server in self.servers), 60)

    def alive(self, agent: AgentProcess) -> list[str]:
        """Names that a Go agent knows as alive."""
        with agent.client() as client:
            return sorted(member.name for member in client.members() if member.status is MemberStatus.ALIVE)

    def known(self, agent: AgentProcess) -> list[str]:
        with agent.client() as client:
            return sorted(member.name for member in client.members())

    def local(self, number: int) -> LocalSerf:
        """This process as one more worker of a host."""
        serf = LocalSerf()
        serf.configure(self.hosts[number].settings)
        assert serf.wait(30), serf.problem
        return serf

    def noted(self, what: str) -> dict[int, list[tuple[int, str]]]:
        """What the workers wrote: process → (nanoseconds, rest of the line) for lines of this kind."""
        found: dict[int, list[tuple[int, str]]] = {}
        for file in self.notes.iterdir():
            for line in file.read_text().splitlines():
                stamp, kind, *rest = line.split(" ")
                if kind == what:
                    found.setdefault(int(file.name), []).append((int(stamp), " ".join(rest)))
        return found

    def heard(self) -> tuple[int, int]:
        """Failures and suspicions that the Go agents told so far."""
        return sum(len(ear.listen().failed) for ear in self.ears), sum(len(ear.suspected) for ear in self.ears)

    def until_all_hear(self) -> None:
        """Every worker of every host is attached: each notes a mark of ours."""
        for round_ in range(30):
            mark = f"ready-{round_}"
            self.local_mark(mark)
            with contextlib.suppress(AssertionError):
                until(
                    lambda m=mark: (
                        sum(any(r == m for _, r in n) for n in self.noted("mark").values()) == HOSTS * WORKERS
                    ),
                    2,
                )
                return
        raise AssertionError("not all workers hear")

    def local_mark(self, text: str) -> None:
        with self.go[0].client() as client:
            client.user_event("mark", text.encode())


def workers_of(server: Gunicorn) -> set[int]:
    pid = server.process.pid
    return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


def supervisor_of(host: Host) -> int:
    """The process that holds the lock; 0 if none does."""
    inode = (host.run_dir / "supervisor").stat().st_ino
    for line in Path("/proc/locks").read_text().splitlines():
        fields = line.split()
        if fields[1] == "FLOCK" and fields[5].endswith(f":{inode}"):
            return int(fields[4])
    return 0


@contextlib.contextmanager
def cluster(kind: str = "sync") -> Iterator[Cluster]:
    directory = Path(tempfile.mkdtemp(prefix="sc-"))
    try:
        with contextlib.ExitStack() as stack:
            yield Cluster(directory, stack, kind)
    finally:
        shutil.rmtree(directory)


def spread(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {
        "median": round(statistics.median(ordered), 3),
        "p99": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))], 3),
        "max": round(ordered[-1], 3),
    }


def members(kinds: list[str]) -> dict[str, Any]:
    """How many members each of the Go agents, and each worker's page, shows."""
    result = {}
    for kind in kinds or ["sync", "gthread", "gevent"]:
        with cluster(kind) as c:
            c.until_all_hear()
            names = {agent.name: c.known(agent) for agent in c.go}
            pages = [len(json.loads(server.get("/members")[1])) for server in c.servers for _ in range(8)]
            result[kind] = {
                "go agents know": {name: len(known) for name, known in names.items()},
                "names": names["go-1"],
                "workers": sum(len(workers_of(server)) for server in c.servers),
                "members on pages": sorted(set(pages)),
            }
    return result


def takeover(_: list[str]) -> dict[str, Any]:
    with cluster() as c:
        c.until_all_hear()
        return {
            "member killed": _kill_members(c),
            "supervising worker killed": _kill_supervisors(c),
            "control: a host killed whole": _kill_host(c),
        }


def _kill_members(c: Cluster) -> dict[str, Any]:
    first, last = [], []
    for number in range(KILLS):
        host, server = c.hosts[number % HOSTS], c.servers[number % HOSTS]
        pid = until(lambda h=host: h.state["phase"] == "running" and h.state["pid"])
        workers = workers_of(server)
        began = time.monotonic_ns()
        os.kill(pid, signal.SIGKILL)

        stamps: list[int] = []
        deadline = time.monotonic() + 60
        while len(stamps) < WORKERS:
            assert time.monotonic() < deadline, "not all workers are attached again"
            time.sleep(0.05)
            gaps = c.noted("gap")
            stamps = [stamp for worker in workers for stamp, _ in gaps.get(worker, []) if stamp > began]
        first.append((min(stamps) - began) / 1e9)
        last.append((max(stamps) - began) / 1e9)
        assert host.state["pid"] != pid
        time.sleep(2)
    failed, suspected = c.heard()
    return {
        "kills": KILLS,
        "first worker served again, s": spread(first),
        "all 8 workers served again, s": spread(last),
        "failed at Go agents": failed,
        "suspected at Go agents": suspected,
    }


def _kill_supervisors(c: Cluster) -> dict[str, Any]:
    took, restarts = [], 0
    before = c.heard()
    for number in range(KILLS):
        host, server = c.hosts[number % HOSTS], c.servers[number % HOSTS]
        member, worker = host.state["pid"], until(lambda h=host: supervisor_of(h))
        began = time.monotonic()
        os.kill(worker, signal.SIGKILL)
        until(lambda h=host, w=worker: supervisor_of(h) not in (0, w))
        took.append(time.monotonic() - began)
        restarts += host.state["pid"] != member
        until(lambda s=server: len(workers_of(s)) == WORKERS, 60)
        time.sleep(1)
    after = c.heard()
    return {
        "kills": KILLS,
        "another supervises, s": spread(took),
        "restarts of the member": restarts,
        "failed at Go agents": after[0] - before[0],
        "suspected at Go agents": after[1] - before[1],
    }


def _kill_host(c: Cluster) -> dict[str, Any]:
    """Nobody is left to take over: the Go agents must tell, or their silence above means nothing."""
    before = c.heard()
    server, host = c.servers[0], c.hosts[0]
    for pid in (server.process.pid, *workers_of(server), host.state["pid"]):
        os.kill(pid, signal.SIGKILL)
    until(lambda: c.heard()[0] - before[0] == len(GO), 90)
    after = c.heard()
    return {"failed at Go agents": after[0] - before[0], "suspected at Go agents": after[1] - before[1]}


def invalidation(_: list[str]) -> dict[str, Any]:
    with cluster() as c:
        c.until_all_hear()
        serf = c.local(0)
        sent: dict[str, int] = {}
        began = time.monotonic()
        for number in range(EVENTS):
            time.sleep(max(0.0, began + number / RATE - time.monotonic()))
            sent[f"n{number}"] = time.monotonic_ns()
            serf.user_event("mark", f"n{number}")

        def counts() -> list[int]:
            return [len({rest for _, rest in notes if rest in sent}) for notes in c.noted("mark").values()]

        with contextlib.suppress(AssertionError):
            until(lambda: counts() == [EVENTS] * HOSTS * WORKERS, LATEST)
        waits = [
            (stamp - sent[rest]) / 1e9 for notes in c.noted("mark").values() for stamp, rest in notes if rest in sent
        ]
        serf.close()
        return {
            "events": EVENTS,
            "per second": RATE,
            "workers that heard all": sum(count == EVENTS for count in counts()),
            "workers": HOSTS * WORKERS,
            "lost": EVENTS * HOSTS * WORKERS - sum(counts()),
            "twice": len(waits) - sum(counts()),
            "delay, s": spread(waits),
        }


def stuck(_: list[str]) -> dict[str, Any]:
    result = {}
    with cluster() as c:
        c.until_all_hear()
        # All workers of a host that wait, its supervising one among them; and as many that spin as there are CPUs.
        for what, at_once in (("block", WORKERS), ("spin", 1), ("spin", os.cpu_count() or 1)):
            before = c.heard()
            page = f"{c.servers[0].url}/{what}/30"
            asked = [subprocess.Popen(["curl", "-s", page], stdout=subprocess.PIPE) for _ in range(at_once)]
            began = time.monotonic()
            answers = [each.communicate()[0] for each in asked]
            after = c.heard()
            result[f"{what}, {at_once} at once"] = {
                "took, s": round(time.monotonic() - began, 1),
                "answered": sum(answer == b"done" for answer in answers),
                "suspected at Go agents": after[1] - before[1],
                "failed at Go agents": after[0] - before[0],
            }
    return result


def cost(_: list[str]) -> dict[str, Any]:
    """Of a look-up, of a worker's part and of the member's process."""
    from serfcompat.contrib.view import View

    def per_call(call: Callable[[], Any], number: int) -> float:
        return round(min(timeit.repeat(call, number=number, repeat=7)) / number * 1e6, 2)

    view = View()
    view.replace([member(f"n{n}", tags={"role": "web" if n % 3 else "db"}) for n in range(100)])

    def change(number: int) -> None:
        changed = member("n50", status="failed" if number % 2 else "alive", tags={"role": "db"})
        view.apply(MemberEvent(EventType.MEMBER_UPDATE, (changed,)))

    def after_changes() -> tuple[float, ...]:
        """Medians: a change while the look-up is in use, and the look-up right after it."""
        changing, looking = [], []
        for number in range(2_000):
            began = time.perf_counter()
            change(number)
            changed = time.perf_counter()
            view.select("alive", {"role": "db"}, None)
            looking.append(time.perf_counter() - changed)
            changing.append(changed - began)
        return tuple(round(statistics.median(each) * 1e6, 2) for each in (changing, looking))

    steady = per_call(lambda: view.select("alive", {"role": "db"}, None), 20_000)
    changing, looking = after_changes()

    with tempfile.TemporaryDirectory(prefix="sc-") as directory:
        host = Host(Path(directory), "web-1")
        try:
            worker = subprocess.run(
                [sys.executable, "-c", WORKER, json.dumps(host.settings | {"linger": 60, "log_file": ""})],
                capture_output=True,
                text=True,
                check=True,
            )
            return {
                "look-up among 100 members, µs": steady,
                "the same, first after a change, µs": looking,
                "a change, in the worker's thread, µs": changing,
                "a worker's part, MB": float(worker.stdout),
                "the member's process, MB": resident(host.state["pid"]),
            }
        finally:
            host.close()


def resident(pid: object) -> float:
    """Megabytes that a process has in memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    return round(int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024, 1)


def reload(_: list[str]) -> dict[str, Any]:
    from benchmarks.web_reload import reload as run

    return run()


PARTS: dict[str, Callable[[list[str]], dict[str, Any]]] = {
    "members": members,
    "takeover": takeover,
    "invalidation": invalidation,
    "stuck": stuck,
    "cost": cost,
    "reload": reload,
}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="benchmarks.web", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("more", nargs="*", help="for `members`: kinds of workers")
    given = parser.parse_args()
    result = PARTS[given.part](given.more)
    OUTPUT.parent.mkdir(exist_ok=True)
    known = json.loads(OUTPUT.read_text()) if OUTPUT.exists() else {}
    OUTPUT.write_text(json.dumps(known | {given.part: result}, indent=1) + "\n")
    print(json.dumps({given.part: result}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
