"""The benchmark of RPC runs, in all its parts that need nothing from elsewhere. How fast is not asked here."""

from __future__ import annotations

import pytest

from benchmarks import rpc
from tests.peers import GO_VERSIONS, go_serf


@pytest.mark.interop
def test_agents_are_measured_side_by_side(capsys):
    for version in GO_VERSIONS:
        go_serf(version)
    assert rpc.main(["--only", "agents", "--rounds", "1", "--seconds", "0.02"]) == 0
    out = capsys.readouterr().out
    assert out.count("ours: ") == 6
    for title in ("stats, alone, 1 under way", "event, alone, 64 under way", "members, of 30, 64 under way"):
        assert title in out


@pytest.mark.interop
def test_starts_commands_and_idle_agents_are_measured(capsys):
    for version in GO_VERSIONS:
        go_serf(version)
    assert rpc.main(["--only", "costs", "--rounds", "1", "--idle", "0.2"]) == 0
    out = capsys.readouterr().out
    for title in ("serfcompat members", "start of an agent until its RPC answers", "idle for 0.2 s, 30 members"):
        assert title in out
    assert out.count(" MB of memory, ") == 3
