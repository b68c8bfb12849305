"""The queue against the rules of spec memberlist §7, and against a naive model of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from serfcompat.swim.queue import TransmitLimitedQueue, retransmit_limit

ROOM = 100_000


def queue_of(*messages: bytes, mult: int = 3) -> TransmitLimitedQueue:
    queue = TransmitLimitedQueue(mult)
    for message in messages:
        queue.put(message, name=message, token=message)
    return queue


@pytest.mark.statement("M-193")
def test_longer_messages_go_first_and_newer_ones_of_one_length():
    queue = queue_of(b"aa", b"bbbb", b"cc", b"ddd")
    assert queue.get(2, ROOM, 10) == [b"bbbb", b"ddd", b"cc", b"aa"]


@pytest.mark.statement("M-193")
def test_messages_sent_less_often_go_first():
    queue = queue_of(b"long and sent once")
    queue.get(2, ROOM, 10)
    queue.put(b"new")
    assert queue.get(2, ROOM, 10) == [b"new", b"long and sent once"]


@pytest.mark.statement("M-194")
@pytest.mark.parametrize(
    ("mult", "nodes", "limit"),
    [(3, 0, 0), (3, 1, 3), (3, 9, 3), (3, 10, 6), (3, 99, 6), (3, 100, 9), (4, 2, 4), (4, 10, 8), (4, 100, 12)],
)
def test_retransmit_limits_of_appendix_c(mult, nodes, limit):
    assert retransmit_limit(mult, nodes) == limit


@pytest.mark.statement("M-194")
@pytest.mark.parametrize(("nodes", "times"), [(0, 1), (9, 3), (10, 6), (100, 9)])
def test_a_message_is_sent_as_often_as_the_cluster_is_large(nodes, times):
    queue = queue_of(b"m")
    sent = 0
    while queue.get(2, ROOM, nodes):
        sent += 1
        assert queue.finished == ([b"m"] if sent == times else [])
    assert sent == times
    assert len(queue) == 0


@pytest.mark.statement("M-195")
def test_a_name_replaces_and_finishes_its_older_message():
    queue = TransmitLimitedQueue(3)
    queue.put(b"old", name=b"x", token="old")
    queue.put(b"other", name=b"y", token="other")
    queue.put(b"new", name=b"x", token="new")
    assert queue.finished == ["old"]
    assert sorted(queue.get(2, ROOM, 10)) == [b"new", b"other"]


@pytest.mark.statement("M-195")
def test_a_replaced_message_is_found_in_whatever_tier_it_is():
    queue = TransmitLimitedQueue(3)
    queue.put(b"old", name=b"x", token="old")
    queue.get(2, ROOM, 10)
    queue.put(b"new", name=b"x")
    assert queue.finished == ["old"]
    assert queue.get(2, ROOM, 10) == [b"new"]


@pytest.mark.statement("M-196")
def test_nameless_messages_invalidate_only_their_kind():
    queue = TransmitLimitedQueue(3)
    queue.put(b"named", name=b"n")
    queue.put(b"unique", unique=True)
    queue.put(b"plain", token="plain")
    asked: list[bytes] = []
    queue.put(b"new", invalidates=lambda old: bool(asked.append(old)) or True)
    assert asked == [b"plain"]
    assert queue.finished == ["plain"]
    assert sorted(queue.get(2, ROOM, 10)) == [b"named", b"new", b"unique"]


@pytest.mark.statement("M-196")
def test_unique_and_named_messages_never_look_for_what_they_invalidate():
    queue = TransmitLimitedQueue(3)
    queue.put(b"plain")
    queue.put(b"unique", unique=True, invalidates=lambda _old: True)
    queue.put(b"named", name=b"n", invalidates=lambda _old: True)
    assert len(queue) == 3


@pytest.mark.statement("M-196")
def test_an_invalidator_that_says_no_keeps_the_older_message():
    queue = TransmitLimitedQueue(3)
    queue.put(b"a1")
    queue.put(b"b1")
    queue.put(b"a2", invalidates=lambda old: old.startswith(b"a"))
    assert sorted(queue.get(2, ROOM, 10)) == [b"a2", b"b1"]


@pytest.mark.statement("M-197")
def test_a_message_is_given_once_a_call_though_there_is_room():
    queue = queue_of(b"a")
    assert queue.get(2, ROOM, 100) == [b"a"]
    assert queue.get(2, ROOM, 100) == [b"a"]


@pytest.mark.statement("M-198")
def test_the_example_of_the_spec():
    queue = queue_of(b"aaaa", b"bb", b"cccc", b"dddddddd")
    calls = [queue.get(2, 14, 10) for _ in range(4)]
    d, b, c, a = b"dddddddd", b"bb", b"cccc", b"aaaa"
    assert calls == [[d, b], [c, a], [d, b], [c, a]]


@pytest.mark.statement("M-198")
def test_overhead_counts_for_each_message():
    assert queue_of(b"aaaa", b"bbbb").get(2, 12, 10) == [b"bbbb", b"aaaa"]
    assert queue_of(b"aaaa", b"bbbb").get(2, 11, 10) == [b"bbbb"]
    assert queue_of(b"aaaa").get(2, 5, 10) == []
    assert queue_of(b"").get(2, 2, 10) == []  # no room at all: not even for an empty one


@pytest.mark.statement("M-199")
def test_prune_begins_with_the_most_sent_then_the_shortest_then_the_oldest():
    queue = queue_of(b"sent-often")
    queue.get(2, ROOM, 100)
    for message in (b"old", b"new", b"longer"):
        queue.put(message, token=message)
    order = []
    for keep in (3, 2, 1, 0):
        queue.prune(keep)
        order += queue.finished
        queue.finished.clear()
    assert order == [b"sent-often", b"old", b"new", b"longer"]


@pytest.mark.statement("M-199")
def test_pruning_an_empty_queue_does_nothing():
    queue = TransmitLimitedQueue(3)
    queue.prune(0)
    queue.prune(-1)
    assert queue.finished == []


@pytest.mark.statement("M-200")
def test_reset_finishes_everything():
    queue = queue_of(b"a", b"bb")
    queue.reset()
    assert sorted(queue.finished) == [b"a", b"bb"]
    assert len(queue) == 0


@pytest.mark.statement("M-200")
def test_messages_put_after_the_queue_was_all_in_flight_do_not_swallow_one_another():
    """Upstream's ids begin anew when its tree is empty for a moment (defect B-4)."""
    queue = TransmitLimitedQueue(3)
    queue.put(b"aa", name=b"a", token="a")
    queue.get(2, ROOM, 100)
    queue.put(b"bb", name=b"b", token="b")
    queue.get(2, 4, 100)
    assert queue.get(2, ROOM, 100) == [b"bb", b"aa"]
    assert queue.finished == []


class Model:
    """The rules of spec §7, as slowly as they are written."""

    def __init__(self, mult: int) -> None:
        self.mult = mult
        self.items: list[dict[str, Any]] = []
        self.finished: list[Any] = []
        self.next_id = 0

    def put(self, message: bytes, *, name: bytes | None, unique: bool, token: Any, invalidates: Any) -> None:
        for item in list(self.items):
            if name:
                hit = item["name"] == name
            else:
                hit = not unique and not item["name"] and not item["unique"] and invalidates(item["message"])
            if hit:
                self.finish(item)
        self.next_id += 1
        self.items.append(
            {"message": message, "name": name, "unique": unique, "token": token, "sent": 0, "id": self.next_id}
        )

    def finish(self, item: dict[str, Any]) -> None:
        self.items.remove(item)
        self.finished.append(item["token"])

    def ordered(self) -> list[dict[str, Any]]:
        return sorted(self.items, key=lambda i: (i["sent"], -len(i["message"]), -i["id"]))

    def get(self, overhead: int, limit: int, nodes: int) -> list[bytes]:
        used, taken = 0, []
        tiers = sorted({item["sent"] for item in self.items})
        for tier in tiers:
            for item in self.ordered():  # a longer one never fits later than a shorter one of its tier
                size = len(item["message"])
                free = limit - used - overhead
                if item["sent"] == tier and item not in taken and free > 0 and size <= free:
                    taken.append(item)
                    used += overhead + size
        for item in taken:
            item["sent"] += 1
            if item["sent"] >= retransmit_limit(self.mult, nodes):
                self.finish(item)
        return [item["message"] for item in taken]

    def prune(self, keep: int) -> None:
        while len(self.items) > max(keep, 0):
            self.finish(self.ordered()[-1])


def starts_alike(new: bytes) -> Any:
    return lambda old: old[:1] == new[:1]


class QueueAgainstModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.queue = TransmitLimitedQueue(2)
        self.model = Model(2)
        self.tokens = 0

    @rule(
        message=st.binary(max_size=6),
        name=st.one_of(st.none(), st.sampled_from([b"", b"x", b"y", b"z"])),
        unique=st.booleans(),
        invalidating=st.booleans(),
    )
    def put(self, message, name, unique, invalidating):
        self.tokens += 1
        invalidates = starts_alike(message) if invalidating else lambda _old: False
        fields = {"name": name, "unique": unique, "token": self.tokens, "invalidates": invalidates}
        self.queue.put(message, **fields)
        self.model.put(message, **fields)

    @rule(overhead=st.integers(0, 3), limit=st.integers(-2, 30), nodes=st.sampled_from([0, 1, 9, 10, 150]))
    def get(self, overhead, limit, nodes):
        got = self.queue.get(overhead, limit, nodes)
        assert got == self.model.get(overhead, limit, nodes)
        assert sum(map(len, got)) + overhead * len(got) <= max(limit, 0)

    @rule(keep=st.integers(-1, 5))
    def prune(self, keep):
        self.queue.prune(keep)
        self.model.prune(keep)

    @rule()
    def reset(self):
        self.queue.reset()
        self.model.prune(0)

    @invariant()
    def nothing_is_lost_and_each_is_finished_once(self):
        assert len(self.queue) == len(self.model.items)
        assert sorted(self.queue.finished) == sorted(self.model.finished)
        assert len(set(self.queue.finished)) == len(self.queue.finished)
        assert len(self.queue) + len(self.queue.finished) == self.tokens


QueueAgainstModel.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


@pytest.mark.property
@pytest.mark.statement("M-193", "M-195", "M-196", "M-200")
class TestQueueAgainstModel(QueueAgainstModel.TestCase):
    """The same calls on the queue and on the model give the same."""


@pytest.mark.property
@pytest.mark.statement("M-197")
@given(st.lists(st.binary(min_size=1, max_size=9), max_size=40, unique=True), st.integers(0, 200))
def test_one_call_never_gives_a_message_twice(messages, limit):
    got = queue_of(*messages).get(2, limit, 10)
    assert len(got) == len(set(got))
