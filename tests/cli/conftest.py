"""The same tests for the Go command line (as a control) and ours."""

from __future__ import annotations

import pytest

from tests.agents import GO_AGENTS, OURS, run_serf

CLIS = [
    *(pytest.param(kind, marks=pytest.mark.interop) for kind in GO_AGENTS),
    pytest.param(OURS, marks=pytest.mark.socket),
]


@pytest.fixture(params=CLIS)
def serf(request):
    """Runs a command of one kind of command line to its end."""

    def run(*args, **options):
        return run_serf(request.param, *args, **options)

    run.kind = request.param
    return run
