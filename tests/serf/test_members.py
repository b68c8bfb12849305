"""The member table."""

from serfcompat.serf.member import MemberStatus
from serfcompat.serf.members import Members, swap_out

from .nodes import view


def table(*names):
    members = Members()
    for name in names:
        entry = members.add(name.encode(), MemberStatus.ALIVE)
        members.describe(entry, view(name), {})
    return members


def test_the_snapshot_is_made_anew_only_when_something_visible_changed():
    members = table("a", "b")
    before = members.snapshot()
    members.by_name[b"a"].status_ltime = 9
    assert members.snapshot() is before
    members.become(members.by_name[b"a"], MemberStatus.LEAVING)
    after = members.snapshot()
    assert [str(m.status) for m in before] == ["alive", "alive"]
    assert [str(m.status) for m in after] == ["leaving", "alive"]
    assert after[1] is before[1]
    members.remove(members.by_name[b"a"])
    assert [m.name for m in members.snapshot()] == ["b"]
    members.describe(members.by_name[b"b"], view("b", port=9), {})
    assert [m.port for m in members.snapshot()] == [9]
    members.add(b"c", MemberStatus.NONE)
    assert [m.address for m in members.snapshot()] == ["10.0.0.9:9", ":0"]


def test_only_others_that_are_alive_count_as_listeners():
    members = table("me", "b")
    assert members.any_other_alive(b"me")
    members.become(members.by_name[b"b"], MemberStatus.LEAVING)
    assert not members.any_other_alive(b"me")


def test_the_last_entry_takes_the_place_of_a_removed_one():
    members = table("a", "b", "c")
    entries = list(members.by_name.values())
    swap_out(entries, b"a")
    assert [e.name for e in entries] == [b"c", b"b"]
    swap_out(entries, b"b")
    swap_out(entries, b"nobody")
    assert [e.name for e in entries] == [b"c"]


def test_missing_versions_read_as_nothing():
    members = table("a")
    members.describe(members.by_name[b"a"], view("a", vsn=b"\x01"), {})
    member = members.by_name[b"a"].view()
    assert (member.protocol_min, member.protocol_max, member.delegate_cur) == (1, 0, 0)
