"""A program that is busy: many threads that call at once, and one that computes without end."""

from __future__ import annotations

import threading
import time

import pytest

from serfcompat import Config, Serf
from tests.agents import GO_AGENTS, AgentProcess, free_host

pytestmark = pytest.mark.socket

THREADS, CALLS = 8, 1250


def test_of_ten_thousand_mixed_calls_from_eight_threads_none_is_lost():
    quick = {"gossip_interval": 0.01, "event_buffer": 4096, "query_buffer": 4096}
    with (
        Serf(Config.local(node_name="a", bind_addr=free_host(), tags={"role": "web"}, **quick)) as a,
        Serf(Config.local(node_name="b", bind_addr=free_host(), **quick)) as b,
    ):
        b.join([a.local_member().address])
        a.wait_for(2, timeout=20)
        b.on("query:double", lambda query: b.respond(query, query.payload * 2), maxsize=0)
        heard = {node.config.node_name: node.events(["user"], maxsize=0) for node in (a, b)}
        fired: list[bytes] = []
        wrong: list[object] = []
        done: list[int] = []

        def work(number):
            for step in range(CALLS):
                payload = b"%d-%d" % (number, step)
                match step % 25:
                    case 0 | 12:
                        a.user_event("e", payload)
                        fired.append(payload)
                    case 6:
                        answers = list(a.query("double", payload, filter_nodes=["b"], timeout=30))
                        if [answer.payload for answer in answers] != [payload * 2]:
                            wrong.append((payload, answers))
                    case 1 | 7 | 13:
                        wrong.extend([] if a.stats()["members"] == "2" else [a.stats()])
                    case 2 | 8 | 14:
                        wrong.extend([] if a.local_member().name == "a" else ["local_member"])
                    case 3 | 9:
                        wrong.extend([] if a.leader(tags={"role": "web"}).name == "a" else ["leader"])
                    case _:
                        wrong.extend([] if len(a.members()) == 2 else ["members"])
                done.append(1)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        assert wrong == []
        assert len(done) == THREADS * CALLS
        assert len(fired) == len(set(fired)) == THREADS * CALLS // 25 * 2
        for name, events in heard.items():
            got = [events.get(timeout=20).payload for _ in fired]
            assert sorted(got) == sorted(fired), name


@pytest.mark.interop
@pytest.mark.slow
@pytest.mark.parametrize("kind", GO_AGENTS)
def test_a_thread_that_spins_for_ten_seconds_raises_no_suspicion_at_go(kind):
    def spin():
        until = time.monotonic() + 10
        while time.monotonic() < until:
            sum(range(1000))

    with (
        AgentProcess(kind, "go1", "-log-level=debug", profile="lan") as one,
        AgentProcess(kind, "go2", "-log-level=debug", profile="lan") as two,
        Serf(Config.lan(node_name="busy", bind_addr=free_host()), home="thread") as busy,
    ):
        with two.client() as client:
            client.join([one.gossip])
        busy.join([one.gossip])
        busy.wait_for(3, timeout=20)
        for agent in (one, two):
            agent.wait_for("EventMemberJoin: busy")
        before = busy.stats()
        spinning = threading.Thread(target=spin)
        spinning.start()
        spinning.join()
        assert int(before["members"]) == len(busy.members(status="alive")) == 3
        for agent in (one, two):
            assert "Suspect busy" not in agent.output, agent.output
            assert "EventMemberFailed" not in agent.output
