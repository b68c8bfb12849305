"""The same tests for the Go agent (as a control) and ours."""

from __future__ import annotations

import pytest

from tests.agents import GO_AGENTS, OURS, AgentProcess, free_host

KINDS = [pytest.param(GO_AGENTS[-1], marks=pytest.mark.interop), pytest.param(OURS, marks=pytest.mark.socket)]


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


class Starter:
    """Starts agents of one kind that end with the test."""

    def __init__(self, kind):
        self.kind = kind
        self._running = []

    def __call__(self, name, *flags, **options):
        agent = AgentProcess(self.kind, name, *flags, **options)
        self._running.append(agent)
        return agent

    def refused(self, *flags, code=1):
        """Start one that must end by itself with `code`; its stdout. Only its addresses are given beside `flags`."""
        host = free_host()
        own = [f"-bind={host}:27946", f"-rpc-addr={host}:27373"]
        agent = self("refused", *own, *flags, host=host, bare=True, wait=False)
        assert agent.wait_exit() == code, agent.stderr.decode()
        assert agent.stderr == b""
        return agent.output

    def stop(self):
        for agent in self._running:
            agent.__exit__()


@pytest.fixture
def start(kind):
    starter = Starter(kind)
    yield starter
    starter.stop()
