"""Who is there, in the eyes of Go agents and of our nodes in one cluster."""

from __future__ import annotations

import pytest

from serfcompat import MemberEvent
from tests.interop.cases import LIMIT
from tests.interop.mixed import Mixed, await_members, join, table

pytestmark = [pytest.mark.interop, pytest.mark.socket]


def test_go_joins_ours_and_both_see_the_same(case):
    with Mixed(case) as mixed:
        go, ours = mixed.go("go", "-tag=role=web", "-tag=dc=north"), mixed.ours("ours", tags={"role": "db", "": "odd"})
        join(ours, go)
        check_tables(go, ours)


def test_we_join_go_and_both_see_the_same(case):
    with Mixed(case) as mixed:
        go, ours = mixed.go("go", "-tag=role=web", "-tag=dc=north"), mixed.ours("ours", tags={"role": "db", "": "odd"})
        join(go, ours)
        check_tables(go, ours)


def check_tables(go, ours):
    assert table(go) == table(ours)
    assert table(go)["ours"] == table(go)["go"] | {"address": ours.gossip, "tags": {"role": "db", "": "odd"}}


def test_each_answers_the_others_pings(case):
    """Only an acknowledged ping brings a coordinate: with it, each knows how far the other is."""
    with Mixed(case) as mixed:
        go, ours = mixed.go("go"), mixed.ours("ours")
        join(go, ours)
        go.wait_until(lambda: go.client.coordinate("ours"), lambda found: found is not None, limit=LIMIT)
        ours.wait_until(lambda: ours.serf.cached_coordinate("go"), lambda found: found is not None)
        assert not [line for line in (*go.log, *ours.log) if "Suspect" in line]


def test_three_of_each_know_all_by_gossip(case):
    with Mixed(case) as mixed:
        nodes = [node for n in "123" for node in (mixed.go(f"go{n}"), mixed.ours(f"ours{n}"))]
        join(*nodes)
        assert all(table(node) == table(nodes[0]) for node in nodes)


def test_go_leaves(case):
    with Mixed(case) as mixed:
        staying, leaving, ours = mixed.go("staying"), mixed.go("leaving"), mixed.ours("ours")
        join(staying, ours, leaving)
        assert leaving.leave() == 0
        await_members({"leaving": "left"}, staying, ours)
        ours.wait_for_event(is_about("member-leave", "leaving"))


def test_we_leave(case):
    with Mixed(case) as mixed:
        go, staying, leaving = mixed.go("go"), mixed.ours("staying"), mixed.ours("leaving")
        join(staying, go, leaving)
        leaving.serf.leave()
        leaving.stop()
        await_members({"leaving": "left"}, go, staying)
        # ⚠ Sometimes it says first that we failed, also of its own kind: when the intent took the longer way.
        go.wait_for_log(r"EventMemberLeave( \(forced\))?: leaving", limit=LIMIT)


def test_new_tags_are_seen(case):
    with Mixed(case) as mixed:
        go, ours = mixed.go("go", "-tag=role=web", "-tag=old=1"), mixed.ours("ours", tags={"role": "db", "old": "1"})
        join(go, ours)
        go.client.update_tags({"role": "cache"}, delete=["old"])
        ours.serf.set_tags({"role": "queue", "text": "ä\x00"})
        wanted = {"go": {"role": "cache"}, "ours": {"role": "queue", "text": "ä\x00"}}

        def right(members):
            return {name: dict(member.tags) for name, member in members.items()} == wanted

        go.wait_until(go.members, right, limit=LIMIT)
        ours.wait_until(ours.members, right)
        ours.wait_for_event(is_about("member-update", "go"))
        go.wait_for_log("EventMemberUpdate: ours", limit=LIMIT)


def test_go_comes_back_under_its_name(case):
    with Mixed(case) as mixed:
        steady, go, ours = mixed.go("steady"), mixed.go("again", "-tag=life=1"), mixed.ours("ours")
        join(steady, ours, go)
        go.kill()
        reborn = mixed.go("again", "-tag=life=2", host=go.host)
        reborn.client.join([ours.gossip])
        check_second_life(steady, ours, reborn)


def test_we_come_back_under_our_name(case):
    with Mixed(case) as mixed:
        steady, go, ours = mixed.ours("steady"), mixed.go("go"), mixed.ours("again", tags={"life": "1"})
        join(steady, go, ours)
        ours.stop()
        reborn = mixed.ours("again", tags={"life": "2"}, host=ours.host)
        reborn.serf.join([go.gossip])
        check_second_life(steady, go, reborn)


def check_second_life(*nodes):
    for node in nodes:
        members = node.wait_until(
            node.members, lambda members: "again" in members and members["again"].tags.get("life") == "2", limit=LIMIT
        )
        assert str(members["again"].status) == "alive"
    assert table(nodes[0]) == table(nodes[1]) == table(nodes[2])


def test_one_that_left_comes_back_under_its_name(case):
    """Its old leave must not count against its new life (a Lamport time decides)."""
    with Mixed(case) as mixed:
        steady, ours, leaving = mixed.go("steady"), mixed.ours("ours"), mixed.go("again", "-tag=life=1")
        join(steady, ours, leaving)
        assert leaving.leave() == 0
        await_members({"again": "left"}, steady, ours)
        reborn = mixed.ours("again", tags={"life": "2"}, host=leaving.host)
        reborn.serf.join([steady.gossip])
        check_second_life(steady, ours, reborn)


def is_about(kind: str, name: str):
    return lambda event: (
        isinstance(event, MemberEvent) and str(event) == kind and name in [member.name for member in event.members]
    )
