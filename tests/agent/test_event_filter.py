"""Filters of event handlers and streams (spec agent §3.1)."""

from __future__ import annotations

import pytest

from serfcompat.agent.event_filter import EventFilter, parse_filter
from serfcompat.agent.event_scripts import parse_script
from serfcompat.serf.events import EventType, MemberEvent, UserEvent

JOIN = MemberEvent(EventType.MEMBER_JOIN, ())
DEPLOY, OTHER = (UserEvent(1, name, None, False) for name in ("deploy", "other"))


def matches(spec, event):
    return [script.script for script in parse_script(spec) if script.filter.matches(event)]


@pytest.mark.statement("A-170")
def test_each_element_of_a_filter_is_a_handler_of_its_own():
    assert matches("member-join,user:deploy=x", JOIN) == ["x"]
    assert matches("member-join,user:deploy=x", DEPLOY) == ["x"]
    assert matches("member-join,user:deploy=x", OTHER) == []
    assert matches("user,user:deploy=x", DEPLOY) == ["x", "x"]
    for spec in ("user:=x", "user=x"):
        assert [matches(spec, event) for event in (JOIN, DEPLOY, OTHER)] == [[], ["x"], ["x"]]


@pytest.mark.statement("A-171")
@pytest.mark.parametrize("spec", ["x", "=x", "*=x"])
def test_no_filter_is_every_event(spec):
    assert [matches(spec, event) for event in (JOIN, DEPLOY)] == [["x"], ["x"]]


@pytest.mark.statement("A-172")
@pytest.mark.parametrize("text", ["foo", "User", "user, query", "member-join,", "member-join:x", "USER:x", "query "])
def test_what_is_no_filter(text):
    assert not all(element.valid for element in parse_filter(text))


@pytest.mark.statement("A-173")
def test_only_the_first_equals_sign_separates():
    (script,) = parse_script("user:a:b=FOO=1 ./x")
    assert (script.filter, script.script) == (EventFilter("user", "a:b"), "FOO=1 ./x")
    (script,) = parse_script("FOO=1 ./x")
    assert str(script) == "Event 'FOO' invoking '1 ./x'"
    assert not script.filter.valid
