"""A partition that heals and an upgrade under traffic, on every back end that works here."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from interop import scenarios
from serfcompat.testing.backends import NAMES, reasons
from tests.testing.test_mixed import leftovers, run_of

pytestmark = [pytest.mark.interop, pytest.mark.socket, pytest.mark.slow]


@pytest.fixture(params=NAMES)
def on(request):
    """Each back end. Skipped where it doesn't work, with its own reason."""
    if why := reasons()[request.param]:
        pytest.skip(why)
    return request.param


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_of_a_matrix_that_was_interrupted(on, number, tmp_path):
    command = [sys.executable, "-m", "interop.matrix", "--only", "compressed, 3", "--on", on, "--into", tmp_path]
    log = tmp_path / "log"
    with log.open("w") as file:
        runner = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 120
        while not (run := started_by(runner.pid)):
            assert runner.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        runner.send_signal(number)
        assert runner.wait(120) in (130, 143), log.read_text()
    finally:
        runner.kill()
        runner.wait()
    assert leftovers(run) == []


def started_by(pid):
    """The run of a process that has started something; None: it has not yet."""
    try:
        return run_of(pid)
    except StopIteration:
        return None


@pytest.mark.parametrize("go", ["0.9.4:3", "0.10.1:3"])
def test_all_views_agree_after_a_partition_of_a_minute(on, go):
    assert "all views agree" in scenarios.partition(on, go=go)


@pytest.mark.parametrize("version", ["0.9.4", "0.10.1"])
def test_an_upgrade_node_by_node_loses_no_event_and_fails_nobody(on, version):
    assert "0 lost, 0 failed events" in scenarios.upgrade(on, go=f"{version}:4")
