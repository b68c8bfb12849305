"""Three hosts with eight workers each and two Go agents: what `benchmarks.web` measures at length, in short."""

from __future__ import annotations

import pytest

from benchmarks import web

pytestmark = [pytest.mark.socket, pytest.mark.interop, pytest.mark.slow]


@pytest.mark.parametrize("kind", ["sync", "gthread", "gevent"])
def test_three_hosts_and_two_go_agents_are_five_members(kind):
    (result,) = web.members([kind]).values()
    assert result["names"] == ["go-1", "go-2", "web-1", "web-2", "web-3"]
    assert set(result["go agents know"].values()) == set(result["members on pages"]) == {5}
    assert result["workers"] == 24


def test_no_go_agent_sees_a_takeover_but_it_sees_the_death_of_a_host(monkeypatch):
    monkeypatch.setattr(web, "KILLS", 4)
    result = web.takeover([])
    assert result["member killed"]["failed at Go agents"] == 0
    assert result["supervising worker killed"]["failed at Go agents"] == 0
    assert result["supervising worker killed"]["restarts of the member"] == 0
    assert result["control: a host killed whole"]["failed at Go agents"] == 2


def test_events_reach_every_worker(monkeypatch):
    monkeypatch.setattr(web, "EVENTS", 200)
    result = web.invalidation([])
    assert (result["workers that heard all"], result["lost"], result["twice"]) == (24, 0, 0)
