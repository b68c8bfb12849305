"""Following an agent's events while doing other things."""

from __future__ import annotations

import pytest

from serfcompat.rpc.records import QueryRecord
from serfcompat.testing.listener import Listener
from serfcompat.testing.processes import Cluster, serfcompat_agent

pytestmark = pytest.mark.socket


@pytest.fixture(scope="module")
def agent():
    with Cluster() as cluster:
        yield cluster.start(serfcompat_agent(), "one")


def test_events_are_heard_in_order_and_can_be_waited_for_afterwards(agent):
    with Listener(agent.rpc) as listener:
        agent.client.user_event("first", b"1")
        agent.client.user_event("second", None)
        assert listener.wait_for_user_event("second").payload is None
        assert listener.wait_for_user_event("first").payload == b"1"
        names = [str(event) for event in listener.heard]
        assert names.index("user-event: first") < names.index("user-event: second")


def test_what_never_comes_is_a_timeout_that_tells_what_came(agent):
    with Listener(agent.rpc) as listener:
        agent.client.user_event("other")
        listener.wait_for_user_event("other")
        with pytest.raises(TimeoutError, match="user-event: other"):
            listener.wait_for_member_event("member-failed", "one", limit=0.05)


def test_only_queries_with_an_answer_are_answered(agent):
    with Listener(agent.rpc, answers={"who": b"me", "empty": None}):
        asked = {name: agent.client.query(name, timeout=2) for name in ("who", "empty", "unknown")}
        answers = {
            name: [record.payload for record in records if record.type == QueryRecord.RESPONSE]
            for name, records in asked.items()
        }
        assert answers == {"who": [b"me"], "empty": [None], "unknown": []}


def test_it_ends_with_the_agent():
    with Cluster() as cluster:
        agent = cluster.start(serfcompat_agent(), "one")
        listener = Listener(agent.rpc)
        agent.kill()
        listener.close()
        listener.close()
