"""The worker's copy of the list of members."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serfcompat.contrib.view import MOST_IDLE, MOST_LOOKUPS, View
from serfcompat.errors import UsageError
from serfcompat.serf.events import EventType, MemberEvent, UserEvent
from serfcompat.serf.selection import matching
from serfcompat.testing.fake import member

WEB, DB = member("web1", tags={"role": "web"}), member("db1", tags={"role": "db"})


@pytest.fixture
def view():
    view = View()
    view.replace([WEB, DB])
    return view


def names(view, **filters):
    return [each.name for each in view.select(*({"status": None, "tags": None, "name": None} | filters).values())]


def test_members_come_in_the_order_of_their_names(view):
    assert names(view) == ["db1", "web1"]
    assert names(view, tags={"role": "web|cache"}) == ["web1"]
    assert names(view, name="db.*") == ["db1"]
    assert names(view, status="failed") == []


def test_events_change_what_was_looked_up_before(view):
    assert names(view, status="alive") == ["db1", "web1"]
    failed = member("db1", status="failed")
    view.apply(MemberEvent(EventType.MEMBER_FAILED, (failed,)))
    assert names(view, status="alive") == ["web1"]
    assert names(view, status="failed") == ["db1"]
    view.apply(MemberEvent(EventType.MEMBER_REAP, (failed,)))
    assert names(view) == ["web1"]
    view.apply(UserEvent(1, "deploy", None, False))
    assert names(view) == ["web1"]


def test_what_a_caller_does_with_a_result_is_its_own_business(view):
    view.select(None, None, None).clear()
    assert names(view) == ["db1", "web1"]


def test_kept_lookups_are_bounded(view):
    for number in range(MOST_LOOKUPS + 10):
        names(view, name=f"x{number}")
    assert len(view._now[1]) == MOST_LOOKUPS
    assert names(view, name="web1") == ["web1"]


def test_wrong_expressions_are_refused(view):
    with pytest.raises(UsageError, match="the expression for tag role"):
        names(view, tags={"role": "("})


def test_a_lookup_that_nobody_makes_any_more_is_forgotten(view):
    names(view, name="web.*")
    for _ in range(MOST_IDLE + 1):
        names(view, name="db.*")
        view.apply(MemberEvent(EventType.MEMBER_UPDATE, (WEB,)))
    assert [key[2] for key in view._now[1]] == ["db.*"]


CHANGES = st.one_of(
    st.builds(
        MemberEvent,
        st.sampled_from([EventType.MEMBER_JOIN, EventType.MEMBER_REAP]),
        st.lists(
            st.builds(
                member,
                st.sampled_from("abcd"),
                status=st.sampled_from(["alive", "failed"]),
                tags=st.sampled_from([{}, {"role": "web"}, {"role": "db"}]),
            ),
            min_size=1,
            max_size=3,
            unique_by=lambda each: each.name,
        ).map(tuple),
    ),
    st.lists(st.builds(member, st.sampled_from("abcd")), max_size=4, unique_by=lambda each: each.name),
)


@pytest.mark.property
@given(st.lists(CHANGES, max_size=12))
def test_lookups_that_are_kept_are_those_that_would_be_made_anew(changes):
    view = View()
    lookups = [("alive", None, None), (None, {"role": "web|db"}, None), ("failed", {"role": ".*b"}, "[a-c]")]
    for change in changes:
        for lookup in lookups:
            view.select(*lookup)
        if isinstance(change, MemberEvent):
            view.apply(change)
        else:
            view.replace(change)
        members = [view.get(name) for name in "abcd" if view.get(name)]
        assert view.select(None, None, None) == members
        for status, tags, name in lookups:
            matches = matching(status=status, tags=tags, name=name)
            assert view._now[1][status, tuple((tags or {}).items()), name].found == view.select(status, tags, name)
            assert view.select(status, tags, name) == [each for each in members if matches(each)]
