"""Caches that forget together: what is sent, and what is understood."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serfcompat.contrib.handlers import Gap
from serfcompat.contrib.invalidation import ROOM, Invalidation
from serfcompat.errors import UsageError
from serfcompat.serf.events import UserEvent


class Serf:
    """Hands what is sent to whoever listens, as the cluster does, and keeps it."""

    def __init__(self):
        self.sent = []
        self.handlers = []
        self.gap_handlers = []

    def on(self, events, handler):
        assert events == "user:cache"
        self.handlers.append(handler)

    def on_gap(self, handler):
        self.gap_handlers.append(handler)

    def user_event(self, name, payload=None):
        self.sent.append(payload)
        for handler in self.handlers:
            handler(UserEvent(1, name, payload, False))


@pytest.fixture
def serf():
    return Serf()


def cache(serf, **entries):
    invalidation = Invalidation(serf, lambda keys: [entries.pop(key, None) for key in keys], entries.clear)
    return invalidation, entries


def test_all_forget_the_keys(serf):
    one, here = cache(serf, a=1, b=2)
    _, there = cache(serf, a=1, b=2)
    one.invalidate("a")
    assert (here, there) == ({"b": 2}, {"b": 2})
    one.invalidate_all()
    assert (here, there) == ({}, {})


def test_a_gap_forgets_everything(serf):
    _, entries = cache(serf, a=1)
    serf.gap_handlers[0](Gap(1.0))
    assert entries == {}


@pytest.mark.parametrize("payload", [b"{", b"[1]", b'"a"', b"[" * 5000, b"\xff"])
def test_what_is_not_understood_forgets_everything(serf, payload):
    _, entries = cache(serf, a=1)
    serf.user_event("cache", payload)
    assert entries == {}


def test_a_key_that_fits_no_event_is_refused_before_anything_happens(serf):
    invalidation, entries = cache(serf, a=1)
    with pytest.raises(UsageError, match="does not fit into an event"):
        invalidation.invalidate("a", "x" * 500)
    assert (entries, serf.sent) == ({"a": 1}, [])


@pytest.mark.property
@given(st.lists(st.text(max_size=100)))
def test_any_keys_arrive_in_events_that_fit(keys):
    serf, told = Serf(), []
    Invalidation(serf, told.extend, told.clear).invalidate(*keys)
    del told[: len(keys)]  # by itself, before it tells
    assert told == keys
    assert all(len(payload) <= ROOM for payload in serf.sent)
    assert [key for payload in serf.sent for key in json.loads(payload)] == keys
