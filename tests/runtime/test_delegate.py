"""From a delegate to the engine's hooks."""

from __future__ import annotations

import logging

import pytest

from serfcompat.runtime.delegate import Delegate, hooks_of
from serfcompat.swim.hooks import Hooks

LOG = logging.getLogger("test")


class Failing(Delegate):
    def _fail(self, *_args):
        raise RuntimeError("a fault of the application")

    node_meta = get_broadcasts = local_state = ack_payload = notify_alive = notify_merge = _fail


def test_what_was_not_overridden_is_no_hook():
    assert hooks_of(Delegate(), LOG) == Hooks()


@pytest.mark.statement("M-119")
def test_only_an_overridden_method_is_a_hook():
    class Judge(Delegate):
        def notify_alive(self, node):
            return f"no {node}"

    hooks = hooks_of(Judge(), LOG)
    assert hooks.alive("x") == "no x"
    assert hooks.merge is None


def test_a_tuple_of_broadcasts_will_do():
    class Chatty(Delegate):
        def get_broadcasts(self, overhead, limit):
            return (b"a", b"b")

    assert hooks_of(Chatty(), LOG).broadcasts(3, 100) == [b"a", b"b"]


def test_a_delegate_that_fails_has_nothing_to_say_and_the_node_goes_on(caplog):
    hooks = hooks_of(Failing(), LOG)
    assert [hooks.node_meta(512), hooks.local_state(True), hooks.ack_payload()] == [None] * 3
    assert [hooks.alive("x"), hooks.merge([])] == ["the delegate failed"] * 2  # whom it would keep out stays out
    assert hooks.broadcasts(3, 100) == []
    assert [record.message for record in caplog.records] == [
        f"memberlist: the delegate's {name} failed"
        for name in ("node_meta", "local_state", "ack_payload", "notify_alive", "notify_merge", "get_broadcasts")
    ]
    assert caplog.records[0].exc_info
