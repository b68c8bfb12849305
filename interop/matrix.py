"""Clusters of Go agents and ours in many combinations, each beside control groups of either alone.

    python -m interop.matrix               the short matrix, about five minutes
    python -m interop.matrix --full        all of it, about an hour
    python -m interop.matrix --only encrypted --on namespaces

Runs in containers where a container engine answers, and in processes elsewhere, and says which. Writes junit.xml,
matrix.md, matrix.html and badge.svg; logs and packets of what failed are beside them.

exit status: 0 nothing failed; 1 something did, or nothing could be tried; 2 wrong usage; 130 interrupted
"""

from __future__ import annotations

import argparse
import http.client
import os
import platform
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from importlib import metadata
from pathlib import Path

from interop import labels, report, steps
from interop.cells import Group, Matrix, read
from interop.labels import ALERTMANAGER
from interop.steps import Outcome
from serfcompat.testing import backends, peers
from serfcompat.testing.clean import clean
from serfcompat.testing.containers import TOOLS
from serfcompat.testing.debian import DebianError
from serfcompat.testing.images import Builder, recipes
from serfcompat.testing.mixed import stop_all
from serfcompat.testing.programs import HERE, NotHere, Program, parse
from serfcompat.testing.rootfs import ImageError
from serfcompat.testing.runs import this_run

ROOT = Path(__file__).resolve().parents[1]
INTO = ROOT / "build" / "interop"
ATTEMPTS = 2
"⚠ Clusters of Go alone, too, end now and then with a member that somebody holds to be failed although it left."


class Runner:
    """Runs all clusters of a matrix, some at a time."""

    def __init__(self, matrix: Matrix, on: str, keep: Path) -> None:
        self._matrix, self._on, self._keep = matrix, on, keep
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._done = 0

    def run(self) -> tuple[dict[Group, Outcome], dict[str, Outcome]]:
        """What came of each group, and of each cell with a label. An interrupt stops every cluster first."""
        pool = ThreadPoolExecutor(self._matrix.at_once, "cluster")
        with_label = {each["what"]: pool.submit(self._label, each["what"], each["run"]) for each in self._matrix.labels}
        groups = {group: pool.submit(self._run, group) for group in self._matrix.groups}
        futures: list[Future[Outcome]] = [*with_label.values(), *groups.values()]
        try:
            wait(futures)
            return (
                {group: future.result() for group, future in groups.items()},
                {what: future.result() for what, future in with_label.items()},
            )
        except BaseException:
            self._stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)
            # ⚠ To `wait`, one that was cancelled before it began is never done.
            begun = [future for future in futures if not future.cancelled()]
            # One that starts just now may start more after it was stopped.
            while wait(begun, timeout=0.5).not_done:
                stop_all()
            clean(lambda run: run == this_run())
            raise

    def _run(self, group: Group) -> Outcome:
        options = self._matrix.configurations[group.configuration]
        return self._tell(str(group), lambda: steps.run(group, options, self._on, self._keep))

    def _label(self, what: str, name: str) -> Outcome:
        return self._tell(what, lambda: labels.run(name, self._on))

    def _tell(self, what: str, attempt: Callable[[], Outcome]) -> Outcome:
        for number in range(1, ATTEMPTS + 1):
            outcome = replace(attempt(), attempts=number)
            if not outcome.wrong or self._stopped.is_set():
                break
        if self._stopped.is_set():
            return outcome
        with self._lock:
            self._done += 1
            state = outcome.missing or "good"
            if outcome.wrong:
                state = f"FAILED in {outcome.step}: {outcome.wrong.splitlines()[0]}"
            if outcome.attempts > 1:
                state += ", 2nd try"
            of = f"{self._done:3}/{len(self._matrix.groups) + len(self._matrix.labels)}"
            print(f"{of}  {what:58} {outcome.seconds:5.0f} s  {state}", flush=True)
        return outcome


def engine_answers() -> bool:
    """Whether a container engine answers, found out without the library that everything else here uses."""
    where = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    kind, _, path = where.partition("://")
    connection = http.client.HTTPConnection("localhost" if kind == "unix" else path.partition("/")[0], timeout=5)
    try:
        if kind == "unix":
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.settimeout(5)
            connection.sock.connect(path)
        connection.request("GET", "/_ping")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def prepare(matrix: Matrix, on: str) -> None:
    """Have everything there that clusters are made of, before any of them waits for it."""
    if on == "containers":
        import docker

        engine = docker.from_env()
        builder = Builder(engine)
        known = recipes()
        names = {program.image for group in matrix.groups for program in _programs(group)}
        names |= {TOOLS} | ({ALERTMANAGER} if matrix.labels else set())
        for name in sorted(names):
            builder.image(known[name])
        engine.close()
    else:
        versions = sorted({p.version for group in matrix.groups for p in _programs(group) if p.name == "go"})
        peers.main(["--quiet", "--into", str(peers.peers_folder()), *(f"serf-{version}" for version in versions)])


def _programs(group: Group) -> list[Program]:
    return [program for name, told in (("go", group.go), ("py", group.py)) if told for program in parse(name, told)]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="all cells, not only those of [short]")
    parser.add_argument(
        "--only", action="append", default=[], metavar="TEXT", help="only cells with this in their name"
    )
    parser.add_argument("--on", choices=[*backends.NAMES, "auto"], default="auto", help="the back end (auto)")
    parser.add_argument("--into", type=Path, default=INTO, metavar="DIR", help="default: build/interop")
    parser.add_argument(
        "--document", type=Path, metavar="FILE", help="put the table between its `result` marks as well"
    )
    parser.add_argument("--list", action="store_true", help="name the cells and end")
    given = parser.parse_args(arguments)
    matrix = read(full=given.full)
    matrix = replace(
        matrix,
        cells=[cell for cell in matrix.cells if all(text in str(cell) for text in given.only)],
        labels=[each for each in matrix.labels if all(text in each["what"] for text in given.only)],
    )
    if given.list:
        print(*matrix.cells, *(each["what"] for each in matrix.labels), sep="\n")
        return 0
    if not matrix.cells and not matrix.labels:
        parser.error("no cell has all of that in its name; --list names them")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background of a shell would ignore it
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    why = backends.reasons()
    on = given.on if given.on != "auto" else os.environ.get(backends.VARIABLE, "auto")
    on = backends.available()[0] if on == "auto" else on
    print(
        f"interop: back end: {on}" + "".join(f"; no {name}: {text}" for name, text in why.items() if text), flush=True
    )
    if on != "containers" and given.on == "auto" and engine_answers():
        print(
            f"interop: a container engine answers, but containers are not used: {why['containers'] or on}",
            file=sys.stderr,
        )
        return 1
    if on != "containers":
        matrix = matrix.in_processes(HERE)
    if removed := clean():
        print("interop: left behind by an earlier run, and removed:", *removed, sep="\n  ", flush=True)
    given.into.mkdir(parents=True, exist_ok=True)
    keep = given.into / "failures"
    shutil.rmtree(keep, ignore_errors=True)
    began = time.monotonic()
    try:
        prepare(matrix, on)
        outcomes, with_label = Runner(matrix, on, keep).run()
    except KeyboardInterrupt:
        print("interop: interrupted; everything was stopped", file=sys.stderr)
        return 130
    except (NotHere, ImageError, DebianError) as error:
        print(f"interop: {error}", file=sys.stderr)
        return 1
    system = f"{platform.system()} {platform.release()}"
    about = f"serfcompat {metadata.version('serfcompat')}, {system}, {time.strftime('%Y-%m-%d')}."
    result = report.Result(matrix, outcomes, on, time.monotonic() - began, about, with_label)
    report.write(result, given.into)
    if given.document is not None:
        report.document(result, given.document)
    print(f"interop: {result.verdict}; written to {given.into}")
    if not result.good:
        print("interop: nothing of it could be tried here", file=sys.stderr)
    return 1 if result.failed or not result.good else 0


if __name__ == "__main__":
    sys.exit(main())
