"""Marks of runs: who is still there, and who left something behind."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from serfcompat.testing.faults import rules
from serfcompat.testing.runs import VARIABLE, Run, Subnet, kill_leftovers, marked_processes, this_run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def test_a_mark_can_be_read_back():
    assert Run.parse(str(this_run())) == this_run()


@pytest.mark.parametrize("mark", ["", "x", "a-b-c-d", "a-b-1", "a-b-1-2-3"])
def test_what_is_no_mark_is_nobodys(mark):
    assert Run.parse(mark) is None


def test_a_run_has_ended_when_its_process_is_gone_or_another_one_has_its_pid():
    assert not this_run().ended
    assert replace(this_run(), started=this_run().started + 1).ended
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert replace(this_run(), pid=child.pid).ended


def test_of_another_machine_nothing_is_known():
    assert not replace(this_run(), machine="00000000", pid=0).ended


def test_a_forked_child_is_another_run():
    mine = str(this_run())
    reading, writing = os.pipe()
    if (pid := os.fork()) == 0:
        os.write(writing, str(this_run()).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    theirs = os.read(reading, 100).decode()
    os.close(reading)
    os.close(writing)
    assert Run.parse(theirs).pid == pid
    assert str(this_run()) == mine != theirs


def test_leftovers_are_killed_and_nobody_elses():
    ended = replace(this_run(), id="ffffff", started=this_run().started + 1)
    sleeps = [sys.executable, "-c", "import signal; print(flush=True); signal.pause()"]
    children = [
        subprocess.Popen(sleeps, env=os.environ | {VARIABLE: str(run)}, stdout=subprocess.PIPE)
        for run in (ended, this_run())
    ]
    left, mine = children
    try:
        for child in children:
            child.stdout.readline()
        assert {left.pid: ended, mine.pid: this_run()}.items() <= dict(marked_processes()).items()
        removed = kill_leftovers()
        assert left.wait(10) == -9
        assert [f"process {left.pid} " in line for line in removed if " run ffffff" in line] == [True]
        assert mine.poll() is None
    finally:
        for child in children:
            child.kill()
            child.wait()
            child.stdout.close()


def test_no_two_clusters_choose_the_same_network():
    subnets = [Subnet() for _ in range(20)]
    try:
        assert len({str(subnet) for subnet in subnets}) == 20
        first = subnets[0]
        assert first.gateway == f"{first.prefix}.1"
        assert first.gateway not in set(first.hosts())
    finally:
        for subnet in subnets:
            subnet.close()


def test_the_filter_is_told_what_to_drop():
    assert rules(["10.0.0.2", "10.0.0.1"], 0.25).splitlines() == [
        "*filter",
        ":INPUT ACCEPT [0:0]",
        "-A INPUT -s 10.0.0.1 -j DROP",
        "-A INPUT -s 10.0.0.2 -j DROP",
        "-A INPUT -p udp -m statistic --mode random --probability 0.250000 -j DROP",
        "COMMIT",
    ]
    assert "-A" not in rules([], 0.0)
