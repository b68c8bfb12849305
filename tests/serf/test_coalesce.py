"""Coalescing of member and user events."""

import pytest

from serfcompat.serf.coalesce import Coalescing, MemberCoalescer, UserCoalescer
from serfcompat.serf.config import Config
from serfcompat.serf.effects import Deliver
from serfcompat.serf.events import EventType, MemberEvent, QueryEvent, UserEvent
from serfcompat.serf.member import Member, MemberStatus
from serfcompat.swim.effects import CancelTimer, SetTimer
from serfcompat.wire.address import Address

JOIN, LEAVE, FAILED, UPDATE = (
    EventType.MEMBER_JOIN,
    EventType.MEMBER_LEAVE,
    EventType.MEMBER_FAILED,
    EventType.MEMBER_UPDATE,
)
SECOND = 1_000_000_000
QUERY = QueryEvent(1, 1, "q", None, Address(b"\0" * 4, 1), "n", 0)


def member(type, name):
    return MemberEvent(type, (Member(name, "10.0.0.1", 1, {}, MemberStatus.ALIVE, 1, 5, 2, 2, 5, 4),))


def user(ltime, name="deploy", payload=b"", coalesce=True):
    return UserEvent(ltime, name, payload, coalesce)


def flushed(coalescer, *events):
    for event in events:
        assert coalescer.absorb(event)
    return sorted((str(event), *(m.name for m in event.members)) for event in coalescer.flush())


@pytest.mark.statement("S-164", "S-166")
def test_an_unchanged_member_is_told_once_but_an_update_again_and_again():
    coalescer = MemberCoalescer()
    assert flushed(coalescer, member(UPDATE, "zip")) == [("member-update", "zip")]
    assert flushed(coalescer, member(JOIN, "foo")) == [("member-join", "foo"), ("member-update", "zip")]
    assert flushed(coalescer, member(JOIN, "foo")) == [("member-update", "zip")]
    assert flushed(coalescer, member(FAILED, "zip")) == [("member-failed", "zip")]
    assert flushed(coalescer) == []


@pytest.mark.statement("S-165")
def test_join_then_leave_in_one_window_is_a_leave():
    assert flushed(MemberCoalescer(), member(JOIN, "foo"), member(LEAVE, "foo")) == [("member-leave", "foo")]


def test_members_of_one_kind_share_an_event():
    coalescer = MemberCoalescer()
    assert flushed(coalescer, member(JOIN, "a"), member(JOIN, "b"), member(LEAVE, "c")) == [
        ("member-join", "a", "b"),
        ("member-leave", "c"),
    ]


@pytest.mark.statement("S-167")
def test_the_newest_time_of_each_name_keeps_all_its_payloads():
    coalescer = UserCoalescer()
    events = [user(1, payload=b"old"), user(2, payload=b"x"), user(2, payload=b"y"), user(1, payload=b"late")]
    for event in [*events, user(1, "other")]:
        assert coalescer.absorb(event)
    assert coalescer.flush() == [user(2, payload=b"x"), user(2, payload=b"y"), user(1, "other")]
    assert coalescer.flush() == []


class Line:
    """The stages of a configuration, and what came out of them."""

    def __init__(self, **config):
        self.stages = Coalescing(Config(**config))
        self.out = []

    def push(self, event, now_ns=0):
        self.out.clear()
        self.stages.push(event, now_ns, self.out)
        return [effect.event for effect in self.out if isinstance(effect, Deliver)]

    def timers(self):
        return [(effect.key[1:], effect.at_ns / SECOND) for effect in self.out if isinstance(effect, SetTimer)]

    def fire(self, stage, now_ns=0):
        self.out.clear()
        self.stages.on_timer(stage, now_ns, self.out)
        return [effect.event for effect in self.out if isinstance(effect, Deliver)]


BOTH = {"coalesce_period": 3.0, "quiescent_period": 1.0, "user_coalesce_period": 3.0, "user_quiescent_period": 1.0}


@pytest.mark.statement("S-168")
def test_what_is_not_handled_passes_at_once_and_overtakes():
    line = Line(**BOTH)
    assert line.push(member(JOIN, "a")) == []
    assert line.push(user(1)) == []
    assert line.push(user(2, coalesce=False)) == [user(2, coalesce=False)]
    assert line.push(QUERY) == [QUERY]


@pytest.mark.statement("S-169")
def test_the_period_begins_once_and_quiet_begins_anew_with_each_event():
    line = Line(**BOTH)
    line.push(member(JOIN, "a"), now_ns=10 * SECOND)
    assert line.timers() == [(("member", "period"), 13.0), (("member", "quiet"), 11.0)]
    line.push(member(JOIN, "b"), now_ns=int(10.5 * SECOND))
    assert line.timers() == [(("member", "quiet"), 11.5)]
    [event] = line.fire("member")
    assert [m.name for m in event.members] == ["a", "b"]
    assert [effect.key[2] for effect in line.out if isinstance(effect, CancelTimer)] == ["period", "quiet"]
    line.push(member(JOIN, "c"), now_ns=20 * SECOND)
    assert line.timers()[0] == (("member", "period"), 23.0)
    line.out.clear()
    line.stages.flush(21 * SECOND, line.out)  # at shutdown
    assert [m.name for m in line.out[-1].event.members] == ["c"]


def test_without_periods_everything_passes_at_once():
    line = Line(coalesce_period=3.0, user_quiescent_period=1.0)  # one of two is not enough
    assert line.push(member(JOIN, "a")) == [member(JOIN, "a")]
    assert line.push(user(1)) == [user(1)]
    assert line.timers() == []
