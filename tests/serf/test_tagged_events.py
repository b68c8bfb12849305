"""Events for the members whose tags match: queries with a bit that Serf doesn't have."""

import pytest

from serfcompat.serf.events import QueryEvent, UserEvent
from serfcompat.serf.queries import QueryParams
from serfcompat.wire.serf_messages import QueryMessage
from serfcompat.wire.types import QueryFlag

from .nodes import Node


def heard(node):
    return [event for event in node.events() if isinstance(event, (UserEvent, QueryEvent))]


def test_the_bit_is_the_highest_of_the_flags():
    assert QueryFlag.EVENT == 2**31
    node = Node().start()
    node.engine.query("deploy", b"v1", QueryParams(as_event=True, filter_tags={"role": "web"}), node.now_ns)
    [message] = node.gossip()
    assert QueryMessage.decode(message[1:]).flags == 2**31


@pytest.mark.parametrize(("role", "hears"), [("web-1", 1), ("db", 0)])
def test_members_that_match_hear_a_user_event(role, hears):
    node = Node(tags={"role": role}).start()
    params = QueryParams(as_event=True, filter_tags={"role": "web"})
    node.did(node.engine.query("deploy", b"v1", params, node.now_ns).effects)
    assert heard(node) == [UserEvent(1, "deploy", b"v1", False)] * hears


def test_the_bit_makes_no_event_of_an_internal_query():
    node = Node().start()
    node.did(node.engine.query("_serf_ping", None, QueryParams(as_event=True), node.now_ns).effects)
    assert heard(node) == []
