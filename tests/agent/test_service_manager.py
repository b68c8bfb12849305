"""A service manager hears of the agent's life, on a real notify socket."""

from __future__ import annotations

import itertools
import os
import re
import signal
import socket

import pytest

from serfcompat.agent.service_manager import ServiceManager
from tests.agents import OURS, AgentProcess

pytestmark = pytest.mark.socket


@pytest.fixture
def manager(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(10)
        yield sock


def until(manager, wanted):
    """All messages up to the wanted one."""
    seen = []
    while not seen or not re.fullmatch(wanted, seen[-1]):
        seen.append(manager.recv(1000).decode())
    return seen


def test_the_life_of_an_agent(manager, tmp_path):
    environment = os.environ | {"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "200000"}
    leak = f"-event-handler=user=echo [$NOTIFY_SOCKET$WATCHDOG_USEC] > {tmp_path}/leak"
    with AgentProcess(OURS, "n1", leak, env=environment, wait=False) as agent:
        assert until(manager, "READY=1") == ["READY=1"]
        agent.wait_for("Log data will now stream in as it occurs")
        assert until(manager, "WATCHDOG=1") == ["WATCHDOG=1"]
        assert until(manager, "WATCHDOG=1") == ["WATCHDOG=1"]
        agent.signal(signal.SIGHUP)
        until(manager, r"RELOADING=1\nMONOTONIC_USEC=\d+")
        until(manager, "READY=1")
        with agent.client() as client:
            client.user_event("leak")
            agent.wait_for("Received event: user-event: leak")
            client.user_event("drain")
            agent.wait_for("Received event: user-event: drain")
        assert (tmp_path / "leak").read_text() == "[]\n"
        agent.signal(signal.SIGINT)
        until(manager, "STOPPING=1")
        assert agent.wait_exit() == 0


def test_an_agent_that_hangs_gives_no_sign_of_life(manager):
    environment = os.environ | {"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "200000"}
    with AgentProcess(OURS, "n1", env=environment) as agent:
        until(manager, "WATCHDOG=1")
        agent.signal(signal.SIGSTOP)
        manager.settimeout(0.5)
        silence = iter(lambda: manager.recv(1000), b"")
        with pytest.raises(TimeoutError):
            list(itertools.islice(silence, 5))
        agent.signal(signal.SIGCONT)
        until(manager, "WATCHDOG=1")


def test_abstract_sockets_and_other_peoples_watchdogs():
    name = f"@serfcompat-test-{os.getpid()}"
    environment = {"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "5", "WATCHDOG_PID": "1", "OTHER": "x"}
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind("\0" + name[1:])
        manager = ServiceManager.from_environment(environment)
        manager.ready()
        assert sock.recv(100) == b"READY=1"
    assert environment == {"OTHER": "x"}
    assert manager.watchdog == 0
    manager.live()
    manager.stopping()  # nobody listens any more


def test_without_a_manager_nothing_happens():
    manager = ServiceManager.from_environment({})
    manager.ready()
    manager.live()
