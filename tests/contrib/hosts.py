"""Hosts with workers, for tests: each host an address and a run directory, each worker a process."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import site
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from serfcompat import Serf
from serfcompat.contrib.rundir import RunDir
from tests.agents import free_host

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0
"Seconds after which what was waited for will not come any more."
PORT = 27956
SYSTEM_PYTHON = f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"
"That of the tests may lie where no other user can read it."


class Refused(Exception):
    """The worker's action raised this."""


class Worker:
    """A process that uses its host's member."""

    def __init__(self, settings: dict[str, Any], *flags: str, user: int | None = None, log: Path | None = None) -> None:
        with (log or Path(os.devnull)).open("ab") as stderr:
            self.process = subprocess.Popen(
                [
                    sys.executable if user is None else SYSTEM_PYTHON,
                    "-m",
                    "tests.contrib.worker",
                    json.dumps(settings),
                    *flags,
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                cwd=ROOT,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(site.getsitepackages())},
                user=user,
                group=user,
                extra_groups=None if user is None else [],
            )

    def tell(self, action: str, *args: Any, **kwargs: Any) -> None:
        """Ask for an action, without waiting."""
        self.process.stdin.write(json.dumps([action, args, kwargs]).encode() + b"\n")
        self.process.stdin.flush()

    def answer(self) -> Any:
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"the worker ended: {self.process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise Refused(answer["error"])
        return answer["ok"]

    def do(self, action: str, *args: Any, **kwargs: Any) -> Any:
        self.tell(action, *args, **kwargs)
        return self.answer()

    @property
    def report(self) -> dict[str, Any]:
        return self.do("report")

    def until(self, condition: Callable[[dict[str, Any]], Any], patience: float = PATIENCE) -> dict[str, Any]:
        """Its report, once that is so."""

        def found() -> dict[str, Any] | None:
            report = self.report
            return report if condition(report) else None

        return until(found, patience)

    def until_replaced(self, member: int) -> dict[str, Any]:
        """Its report, once it is attached to another process than that member, which has ended or hangs."""
        # Nobody listens for a moment (0) in which the worker may not have noticed yet.
        return self.until(lambda report: report["attached"] and report["member"] not in (0, member))

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        self.process.send_signal(number)
        self.process.wait()

    def finish(self) -> None:
        """Let the program come to its end."""
        self.process.stdin.close()
        self.process.wait()

    def close(self) -> None:
        if self.process.poll() is None:
            self.kill()
        self.process.stdin.close()
        self.process.stdout.close()


def until(condition: Callable[[], Any], patience: float = PATIENCE) -> Any:
    """What the condition gives as soon as it is true; AssertionError if it never is."""
    deadline = time.monotonic() + patience
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {patience} s: {condition}"
        time.sleep(0.02)
    return found


def address(serf: Serf) -> str:
    """Where others find it."""
    return serf.local_member().address


def incarnation(serf: Serf, name: str) -> int:
    """The highest one of a member that this node knows."""
    return serf._node.engine.swim.table.nodes[name.encode()].incarnation


class Host:
    """One host: an address, a run directory, and workers."""

    def __init__(self, directory: Path, name: str, **settings: Any) -> None:
        self.address = f"{free_host()}:{PORT}"
        self.log = directory / f"{name}.log"
        self.run_dir = directory / name
        self.settings = {
            "run_dir": str(self.run_dir),
            "node_name": name,
            "bind": self.address,
            "profile": "local",
            "linger": 1.0,
            "log_level": "INFO",
            "log_file": "-",
        } | settings
        self.workers: list[Worker] = []

    def worker(self, *flags: str, start: bool = True, user: int | None = None, **settings: Any) -> Worker:
        """One more worker; it is attached when this returns."""
        worker = Worker(self.settings | settings, *flags, user=user, log=self.log)
        self.workers.append(worker)
        if start:
            worker.do("start")
            worker.until(lambda report: report["attached"])
        return worker

    @property
    def state(self) -> dict[str, Any]:
        try:
            return json.loads((self.run_dir / "state.json").read_text())
        except (OSError, ValueError):
            return {}

    def close(self) -> None:
        for worker in self.workers:
            worker.close()
        pid = self.state.get("pid")
        if pid and self.state.get("phase") in ("starting", "running"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if (self.run_dir / "lock").exists():  # held until the process is gone
            os.close(until(lambda: RunDir(str(self.run_dir)).lock("lock")))
