"""Records of streams, monitors and queries against what a Go agent sent."""

import pytest

from serfcompat.errors import WireError
from serfcompat.rpc import codec, records
from serfcompat.rpc.records import LogRecord, QueryRecord, StreamedQuery, event_fields, event_of
from serfcompat.serf.events import EventType, MemberEvent, UserEvent
from tests.rpc.exchanges import EXCHANGES

MEMBER = EXCHANGES["members ok"].objects[1]["Members"][0]


@pytest.mark.statement("A-225")
@pytest.mark.parametrize(
    ("exchange", "position", "event"),
    [
        ("event with stream open (reply, then record; order free)", 1, UserEvent(3, "deploy", b"xyz", False)),
        ("query with stream open (reply, stream record, ack)", 2, StreamedQuery(1, 5, "load", b"15m")),
    ],
)
def test_events_have_the_bytes_go_sent(exchange, position, event):
    recorded = EXCHANGES[exchange]
    assert event_of(recorded.objects[position]) == event
    assert codec.pack(event_fields(event)) == recorded.replies[position]


def test_member_events_carry_member_maps():
    event = event_of({"Event": "member-failed", "Members": (MEMBER,)})
    assert isinstance(event, MemberEvent)
    assert event.type is EventType.MEMBER_FAILED
    assert event_fields(event) == {"Event": "member-failed", "Members": [dict(MEMBER)]}


@pytest.mark.parametrize(
    ("exchange", "position", "record"),
    [
        ("query with stream open (reply, stream record, ack)", 4, QueryRecord("ack", "n1")),
        ("respond ok (then response record)", 2, QueryRecord("response", "n1", b"1.02")),
        ("query end record (unsolicited)", 1, QueryRecord("done")),
    ],
)
def test_query_records_have_the_bytes_go_sent(exchange, position, record):
    recorded = EXCHANGES[exchange]
    assert QueryRecord.decode(recorded.objects[position]) == record
    assert record.encode() == recorded.replies[position]


def test_log_records_have_the_bytes_go_sent():
    recorded = EXCHANGES["monitor ok (then history)"]
    assert LogRecord.decode(recorded.objects[2]).encode() == recorded.replies[2]


@pytest.mark.parametrize("data", [{}, {"Event": "birthday"}, (), None, {"Event": "user", "LTime": "x"}])
def test_records_nobody_sends_are_wire_errors(data):
    with pytest.raises(WireError):
        event_of(data)


def test_the_kinds_of_query_records():
    assert (QueryRecord.ACK, QueryRecord.RESPONSE, QueryRecord.DONE) == ("ack", "response", "done")
    assert records.StreamedQuery(1, 2, "load", None).type is EventType.QUERY
