"""Choosing among members."""

import logging

import pytest

from serfcompat.errors import UsageError
from serfcompat.serf.member import Member, MemberStatus
from serfcompat.serf.selection import expected_to_answer, leader, matching, nearest
from serfcompat.serf.vivaldi import Coordinate


def member(name, status=MemberStatus.ALIVE, **tags):
    return Member(name, "10.0.0.1", 7946, tags, status, 1, 5, 2, 2, 5, 4)


WEB1, WEB2, DB = member("web1", role="web"), member("web2", MemberStatus.FAILED, role="web"), member("db1", role="db")
ALL = [WEB1, WEB2, DB]


def at(x):
    return Coordinate((x, 0.0), 1.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("criteria", "expected"),
    [
        ({}, ALL),
        ({"status": "alive"}, [WEB1, DB]),
        ({"status": MemberStatus.FAILED}, [WEB2]),
        ({"tags": {"role": "web"}}, [WEB1, WEB2]),
        ({"tags": {"role": "we"}}, []),
        ({"tags": {"role": "web|db"}}, ALL),
        ({"tags": {"absent": ""}}, ALL),
        ({"name": r"web\d", "status": "alive"}, [WEB1]),
    ],
)
def test_matching(criteria, expected):
    assert [m for m in ALL if matching(**criteria)(m)] == expected


def test_a_broken_expression_is_named():
    with pytest.raises(UsageError, match="tag role"):
        matching(tags={"role": "("})


def test_nearest_orders_by_distance_and_leaves_out_the_unknown_and_the_dead():
    places = {"web1": at(0.020), "web2": at(0.001), "db1": at(0.010)}
    assert [m.name for m, _ in nearest(ALL, at(0.0), places.get)] == ["db1", "web1"]
    assert nearest(ALL, at(0.0), {}.get) == []
    ((_, seconds),) = nearest([DB], at(0.0), places.get)
    assert seconds == pytest.approx(0.010)


def test_the_leader_has_its_role_longest_then_the_smallest_name():
    assert leader(ALL).name == "db1"
    assert leader([]) is None
    assert leader([WEB2]) is None
    assert leader([member("a", since="20"), member("b", since="9"), member("c")]).name == "b"
    assert leader([member("b", since="monday"), member("a", since="monday")]).name == "a"
    assert leader([member("a"), member("z", since="monday"), member("y", since="3")]).name == "y"


def test_who_is_expected_to_answer_is_found_as_the_nodes_will_find_it(caplog):
    log = logging.getLogger("t")
    assert expected_to_answer(ALL, [], {}, log) == {"web1", "db1"}
    assert expected_to_answer(ALL, ["db1", "web2"], {}, log) == {"db1"}
    assert expected_to_answer(ALL, [], {"role": "^w"}, log) == {"web1"}  # unanchored, as on the wire
    assert expected_to_answer(ALL, [], {"role": "("}, log) == frozenset()
    assert "failed to compile filter regex" in caplog.text
