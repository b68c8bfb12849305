"""The handling of agents' processes, with a stand-in for an agent that does as it is told."""

from __future__ import annotations

import socket
import sys

import pytest

from serfcompat.testing.processes import READY, Agent, AgentError, Cluster, Kind, go_agent, loopback_addresses

pytestmark = pytest.mark.socket
SERVES = f"import signal; print({READY!r}, flush=True); "
"A program that says what an agent says when it is ready, and then waits for its end."


def kind(source: str) -> Kind:
    return Kind("stand-in", (sys.executable, "-c", source))


WAITS = kind(SERVES + "signal.pause()")


def test_an_agent_is_told_where_it_lives_and_stopped_at_the_end():
    with Cluster(flags=["-first"]) as cluster:
        agent = cluster.start(
            kind(SERVES + "import sys; print(*sys.argv[1:], flush=True); signal.pause()"), "a", "-last"
        )
        agent.wait_for_log(f"^agent -node=a -bind={agent.host}:7946 -rpc-addr={agent.host}:7373 -first -last$")
        assert agent.running
    assert not agent.running


def test_each_agent_has_an_address_of_its_own():
    with Cluster() as cluster:
        hosts = {cluster.start(WAITS, name).host for name in "abc"}
    assert len(hosts) == 3


def test_one_that_ends_instead_of_serving_is_an_error_that_shows_its_words(capsys):
    with pytest.raises(AgentError, match=r"should log .* but ended"), Cluster() as cluster:
        cluster.start(kind("print('==> no such interface')"), "a")
    assert "==> no such interface" in capsys.readouterr().err


def test_what_never_comes_is_an_error():
    with Cluster() as cluster, pytest.raises(AgentError, match=r"has not in 0\.05 s"):
        cluster.start(WAITS, "a").wait_for_log("something else", limit=0.05)


def test_lines_before_since_do_not_count():
    with Cluster() as cluster:
        agent = cluster.start(WAITS, "a")
        with pytest.raises(AgentError, match="has not"):
            agent.wait_for_log(READY, since=len(agent.log), limit=0.05)


def test_one_that_ignores_the_signal_or_is_paused_is_killed(monkeypatch):
    monkeypatch.setattr("serfcompat.testing.processes.STOP_LIMIT", 0.1)
    deaf = kind("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SERVES + "signal.pause()")
    with Cluster() as cluster:
        agents = [cluster.start(deaf, "a"), cluster.start(WAITS, "b")]
        agents[1].pause()
    assert not any(agent.running for agent in agents)


def interrupt(_agent: Agent) -> None:
    raise KeyboardInterrupt


def test_an_interrupt_stops_the_agents_and_prints_no_logs(capsys):
    with pytest.raises(KeyboardInterrupt), Cluster() as cluster:
        interrupt(cluster.start(WAITS, "a"))
    assert not cluster.agents[0].running
    assert capsys.readouterr().err == ""


def test_addresses_that_somebody_listens_on_are_passed_over():
    first = next(loopback_addresses())
    with Cluster(addresses=iter([first, first, "127.1.2.3"])) as cluster, socket.create_server((first, 7946)):
        assert cluster.start(WAITS, "a").host == "127.1.2.3"


def test_two_clusters_never_choose_the_same_address():
    addresses = ["127.1.2.3", "127.1.2.4"]
    with Cluster(addresses=iter(addresses)) as one, Cluster(addresses=iter(addresses)) as two:
        hosts = [cluster.launch(kind("print()"), "a").host for cluster in (one, two)]
    assert hosts == addresses
    with Cluster(addresses=iter(addresses)) as three:
        assert three.launch(kind("print()"), "a").host == addresses[0]


def test_a_missing_go_agent_is_an_error(tmp_path):
    with pytest.raises(AgentError, match=r"no Go agent at .*serf-0\.0\.1/serf"):
        go_agent("0.0.1", tmp_path)
