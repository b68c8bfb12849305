"""What members tell and ask one another, across the border between Go agents and our nodes."""

from __future__ import annotations

import pytest

from serfcompat import PayloadTooLarge, RPCError, UserEvent
from serfcompat.rpc.records import QueryRecord
from tests.interop.cases import LIMIT
from tests.interop.mixed import Mixed, join

pytestmark = [pytest.mark.interop, pytest.mark.socket]
PAYLOADS = [None, b"text", bytes(range(256))]


def test_events_of_ours_reach_go_as_they_are(case):
    with Mixed(case) as mixed:
        ours, go = mixed.ours("ours"), mixed.go("go")
        join(ours, go)
        listener = mixed.listen(go)
        for number, payload in enumerate(PAYLOADS):
            ours.serf.user_event(f"event-{number}", payload, coalesce=number % 2 == 0)
        for number, payload in enumerate(PAYLOADS):
            event = listener.wait_for_user_event(f"event-{number}", limit=LIMIT)
            assert (event.payload, event.coalesce) == (payload, number % 2 == 0)
        assert len(user_events(listener.heard)) == len(PAYLOADS)


def test_events_of_go_reach_ours_as_they_are(case):
    with Mixed(case) as mixed:
        ours, go = mixed.ours("ours"), mixed.go("go")
        join(ours, go)
        for number, payload in enumerate(PAYLOADS):
            go.client.user_event(f"event-{number}", payload, coalesce=number % 2 == 0)
        for number, payload in enumerate(PAYLOADS):
            event = ours.wait_for_event(
                lambda event, n=number: isinstance(event, UserEvent) and event.name == f"event-{n}"
            )
            assert (event.payload, event.coalesce) == (payload, number % 2 == 0)
        assert len(user_events(ours.heard)) == len(PAYLOADS)


def test_both_number_the_same_events_alike(case):
    """Lamport times: each event of either kind comes after those that its sender knew."""
    with Mixed(case) as mixed:
        ours, go = mixed.ours("ours"), mixed.go("go")
        join(ours, go)
        listener = mixed.listen(go)
        for number in range(4):
            if number % 2:
                ours.serf.user_event(str(number))
            else:
                go.client.user_event(str(number))
            ours.wait_for_event(is_user_event(str(number)))
            listener.wait_for_user_event(str(number), limit=LIMIT)
        times = {event.name: event.ltime for event in user_events(listener.heard)}
        assert times == {event.name: event.ltime for event in user_events(ours.heard)}
        assert times["0"] < times["1"] < times["2"] < times["3"]


def test_past_events_come_with_a_join_if_wanted(case):
    with Mixed(case) as mixed:
        ours, go = mixed.ours("ours"), mixed.go("go")
        go.client.user_event("old-go")
        ours.serf.user_event("old-ours")
        listener = mixed.listen(go)
        # The agent's join passes the past over unless told otherwise; ours takes it.
        assert ours.serf.join([go.gossip]) == 1
        ours.wait_for_event(is_user_event("old-go"))
        assert go.client.join([ours.gossip], replay=True) == 1
        listener.wait_for_user_event("old-ours", limit=LIMIT)


def test_both_refuse_the_same_size_of_an_event(case):
    with Mixed(case) as mixed:
        ours, go = mixed.ours("ours"), mixed.go("go")
        join(ours, go)
        for size in range(470, 520):
            accepted = []
            for send in (ours.serf.user_event, go.client.user_event):
                try:
                    send("size", bytes(size))
                except (PayloadTooLarge, RPCError):
                    accepted.append(False)
                else:
                    accepted.append(True)
            assert accepted[0] == accepted[1], f"{size} bytes: ours {accepted[0]}, Go {accepted[1]}"
        assert accepted == [False, False]


def is_user_event(name):
    return lambda event: isinstance(event, UserEvent) and event.name == name


def user_events(events):
    return [event for event in events if isinstance(event, UserEvent)]


FILTERS = {
    "none": ({}, {"go1", "go2", "ours1", "ours2"}),
    "node": ({"filter_nodes": ["go2", "ours2", "nobody"]}, {"go2", "ours2"}),
    "tag": ({"filter_tags": {"role": "^(web|db)$"}}, {"go1", "ours1"}),
    "part of a tag": ({"filter_tags": {"role": "ach"}}, {"go2", "ours2"}),
    "missing tag": ({"filter_tags": {"nothing": "^$"}}, {"go1", "go2", "ours1", "ours2"}),
    "both": ({"filter_nodes": ["go1", "ours1", "ours2"], "filter_tags": {"role": "w|c"}}, {"go1", "ours2"}),
    "two tags": ({"filter_tags": {"role": "db", "dc": "n[a-z]+h"}}, {"ours1"}),
    "bad regex": ({"filter_tags": {"role": "("}}, set()),
}


def test_queries_of_either_reach_exactly_those_that_the_filters_choose(case):
    with Mixed(case, profile="lan") as mixed:
        tags = {"go1": "web", "go2": "cache", "ours1": "db", "ours2": "cache"}
        nodes = {
            name: mixed.go(name, f"-tag=role={role}", "-tag=dc=north")
            if name.startswith("go")
            else mixed.ours(name, answers={"who": name.encode()}, tags={"role": role, "dc": "north"})
            for name, role in tags.items()
        }
        go1, go2, ours1, ours2 = nodes.values()
        join(go1, ours1, go2, ours2)
        mixed.listen(go1, {"who": b"go1"})
        mixed.listen(go2, {"who": b"go2"})
        for filters, chosen in FILTERS.values():
            wanted = ({name: name.encode() for name in chosen}, chosen)
            assert ask_ours(ours1, chosen, **filters) == wanted
            assert ask_go(go1, chosen, **filters) == wanted


def ask_ours(ours, chosen, **filters):
    """Who answered what and who acknowledged, until all that are chosen did both, or the time is over."""
    answers, acks = {}, set()
    asked = ours.serf.query("who", b"?", request_ack=True, timeout=TIMEOUT if chosen else NOBODY, **filters)
    for answer in asked:
        answers[answer.from_] = answer.payload
    for name in asked.acks():
        acks.add(name)
    return answers, acks


def ask_go(go, chosen, **filters):
    answers, acks = {}, set()
    with go.client.query("who", b"?", request_ack=True, timeout=TIMEOUT if chosen else NOBODY, **filters) as records:
        for record in records:
            if record.type == QueryRecord.ACK:
                acks.add(record.from_)
            else:
                answers[record.from_] = record.payload
            if chosen and acks >= chosen and answers.keys() >= chosen:
                break
    return answers, acks


TIMEOUT, NOBODY = 30.0, 0.5
"Seconds for answers; where nobody shall answer one must wait them out, gossip takes half of it at most."


@pytest.mark.parametrize("asker", ["go", "ours"])
def test_answers_come_by_relays_as_well_and_count_once(case, asker):
    with Mixed(case, profile="lan") as mixed:
        ours, go = mixed.ours("ours", answers={"who": b"ours"}), mixed.go("go")
        third, fourth = mixed.go("third"), mixed.ours("fourth", answers={"who": b"fourth"})
        join(ours, go, third, fourth)
        names = {"ours", "go", "third", "fourth"}
        mixed.listen(go, {"who": b"go"})
        mixed.listen(third, {"who": b"third"})
        ask, node = (ask_ours, ours) if asker == "ours" else (ask_go, go)
        answers, acks = ask(node, names, relay_factor=3)
        assert (answers, acks) == ({name: name.encode() for name in names}, names)
        # Each kind passed on what was not for it.
        go.wait_for_log("Relaying response to addr", limit=LIMIT)
        ours.wait_for_log("Relaying response to addr")
