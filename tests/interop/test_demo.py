"""The demo must pass as it is, fail with each fault, say so where there is no Go, and leave nothing behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from interop.demo import CHECKS, FAULTS
from tests.peers import GO_VERSIONS, go_serf

ROOT = Path(__file__).resolve().parents[2]
DEMO = [sys.executable, "-m", "interop.demo"]
ALL = f"{len(CHECKS)} of {len(CHECKS)}"


class Run:
    """A demo that ended."""

    def __init__(self, *arguments: str, peers: Path | None = None) -> None:
        environment = os.environ | ({"SERFCOMPAT_PEERS": str(peers)} if peers else {})
        done = subprocess.run(
            [*DEMO, *arguments],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            timeout=120,
            check=False,
        )
        self.status = done.returncode
        self.output = done.stdout
        self.last = done.stdout.splitlines()[-1]

    @property
    def passed(self) -> int:
        found = re.match(r"demo: (\d+) of ", self.last)
        assert found, self.output
        return int(found[1])

    @property
    def failed_checks(self) -> list[str]:
        return [line for line in self.output.splitlines() if re.match(r" *[\d.]+ s  FAIL ", line)]


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Iterator[dict[str, Future[Run]]]:
    """All demos, two at a time."""
    with ThreadPoolExecutor(2) as pool:
        started = {fault: pool.submit(Run, "--break", fault) for fault in FAULTS}
        started["none"] = pool.submit(Run)
        started["no Go"] = pool.submit(Run, peers=tmp_path_factory.mktemp("no-peers"))
        yield started


@pytest.fixture
def go() -> None:
    for version in GO_VERSIONS:
        go_serf(version)


@pytest.mark.interop
@pytest.mark.usefixtures("go")
def test_all_checks_pass(runs):
    run = runs["none"].result()
    assert (run.status, run.last) == (0, f"demo: {ALL} checks passed"), run.output
    assert run.output.count("  ok  ") == len(CHECKS)
    for label in ("Go serf 0.9.4", "Go serf 0.10.1", "serfcompat "):
        assert label in run.output


@pytest.mark.interop
@pytest.mark.usefixtures("go")
def test_an_agent_with_another_key_is_noticed(runs):
    run = runs["wrong-key"].result()
    assert run.status == 1, run.output
    assert run.passed == 1
    assert "all four see four alive" in run.failed_checks[0]
    assert len(run.failed_checks) == len(CHECKS) - 1


@pytest.mark.interop
@pytest.mark.usefixtures("go")
def test_an_agent_that_never_refutes_is_noticed(runs):
    run = runs["no-refute"].result()
    assert run.status == 1, run.output
    assert "suspect in incarnation" in run.failed_checks[0]
    assert run.passed < len(CHECKS)


@pytest.mark.socket
def test_without_go_agents_it_says_so_loudly(runs):
    run = runs["no Go"].result()
    assert run.status == 0, run.output
    assert run.last == f"demo: {ALL} checks passed (Python agents only: no Go agent was to be had)"
    assert "!!! WITHOUT GO AGENTS THIS RUN PROVES NOTHING ABOUT GO" in run.output


@pytest.mark.socket
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_stops_all_agents(tmp_path, number):
    process = subprocess.Popen(
        DEMO, cwd=ROOT, env=os.environ | {"SERFCOMPAT_PEERS": str(tmp_path)}, stdout=subprocess.PIPE, text=True
    )
    agents = []
    with process:
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.search(r"as process (\d+)$", line):
                agents.append(int(found[1]))
            if len(agents) == 2:
                process.send_signal(number)
                break
        rest = process.stdout.read()
    assert process.returncode == 130
    assert rest.splitlines()[-1] == "demo: interrupted; all agents are stopped"
    assert [pid for pid in agents if Path(f"/proc/{pid}").exists()] == []
