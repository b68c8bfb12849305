"""The programs that measure a mixed cluster beside Go alone: each runs, small, and says what it should."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.peers import GO_VERSIONS, go_serf

ROOT = Path(__file__).parents[2]
PROGRAMS = ["demo", "detect", "latency", "loss", "queries", "soak", "throughput"]


def run(program, *arguments):
    return subprocess.run(
        [sys.executable, "-m", f"interop.{program}", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.mark.parametrize("program", PROGRAMS)
def test_each_has_help(program, capsys):
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(f"interop.{program}").main(["--help"])
    assert ended.value.code == 0
    assert "usage:" in capsys.readouterr().out


@pytest.mark.interop
@pytest.mark.socket
@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "arguments", "wanted"),
    [
        ("detect", ["--nodes", "4", "--kills", "1"], r"mixed +ours +1 +\d"),
        ("latency", ["--nodes", "4", "--rounds", "1", "--events", "8"], r"mixed +to ours +12 +\d"),
        ("queries", ["--nodes", "4", "--queries", "2"], r"mixed, asked by ours +2 +\d"),
        (
            "queries",
            ["--nodes", "4", "--queries", "4", "--at-once", "4", "--loss", "0.2", "--relay-factor", "2"],
            r"mixed, asked by ours +4 +\d",
        ),
    ],
)
def test_a_small_run(program, arguments, wanted):
    for version in GO_VERSIONS:
        go_serf(version)
    ran = run(program, *arguments)
    assert re.search(wanted, ran.stdout), ran.stdout + ran.stderr
