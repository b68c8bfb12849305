"""Names of events."""

import pytest

from serfcompat.serf.events import EventType, MemberEvent, QueryEvent, UserEvent
from serfcompat.wire.address import Address


@pytest.mark.statement("S-163")
def test_events_print_as_upstreams_do():
    assert [str(EventType(number)) for number in range(7)] == [
        "member-join",
        "member-leave",
        "member-failed",
        "member-update",
        "member-reap",
        "user",
        "query",
    ]
    assert str(MemberEvent(EventType.MEMBER_REAP, ())) == "member-reap"
    assert str(UserEvent(1, "deploy", None, False)) == "user-event: deploy"
    assert str(QueryEvent(1, 1, "uptime", None, Address(b"", 0), "", 0)) == "query: uptime"
