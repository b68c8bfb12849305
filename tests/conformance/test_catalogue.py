"""The cases as a whole."""

from __future__ import annotations

import pytest

from serfcompat.conformance import case as cases
from serfcompat.conformance.case import AREAS, Area, Level, Need
from serfcompat.conformance.catalogue import all_cases, choose
from serfcompat.conformance.release import BEYOND, lacks, parse
from serfcompat.errors import UsageError
from tests.statements import checklist


def test_they_are_many_and_every_area_has_some():
    found = all_cases()
    assert len(found) >= 100
    assert {case.area for case in found.values()} <= set(AREAS)


def test_each_proves_statements_that_there_are():
    known = checklist()
    for case in all_cases().values():
        assert case.proves, f"{case.id} proves nothing"
        assert set(case.proves) <= set(known), case.id


def test_each_statement_is_a_sentence_of_its_own():
    statements = [case.statement for case in all_cases().values()]
    assert len(set(statements)) == len(statements)
    assert all((statement[0].isupper() or statement[0] == "`") and statement.endswith(".") for statement in statements)


def test_each_release_can_be_compared():
    for case in all_cases().values():
        assert case.since in ("", BEYOND) or parse(case.since)


@pytest.mark.parametrize(
    ("only", "found"),
    [(["ping-by-name"], {"ping-by-name"}), (["crc-g*"], {"crc-good", "crc-gossip"})],
    ids=["an id", "a pattern"],
)
def test_some_can_be_chosen(only, found):
    assert {case.id for case in choose(only, Level.MEMBERLIST)} == found


def test_an_area_can_be_chosen():
    assert {case.area for case in choose(["label"], Level.AGENT)} == {Area.LABEL}


def test_only_cases_of_packets_suit_a_single_node():
    assert {case.level for case in choose([], Level.MEMBERLIST)} == {Level.MEMBERLIST}


def test_a_name_of_nothing_is_refused():
    with pytest.raises(UsageError, match="no case and no area is called bogus"):
        choose(["ping", "bogus"], Level.AGENT)


def test_a_case_needs_a_statement_and_a_name_of_its_own(monkeypatch):
    monkeypatch.setattr(cases, "CASES", {})

    def silent(_):
        pass

    def loud(_):
        """Something holds."""

    with pytest.raises(ValueError, match="has no statement"):
        cases.case("silent", Area.PING, "M-001")(silent)
    cases.case("loud", Area.PING, "M-001", needs=[Need.KEY], spoils=True)(loud)
    assert cases.CASES["loud"].statement == "Something holds."
    assert cases.CASES["loud"].alone  # who spoils a node can't share it
    with pytest.raises(ValueError, match="two cases are called loud"):
        cases.case("loud", Area.PING, "M-001")(loud)


@pytest.mark.parametrize(
    ("release", "since", "why"),
    [
        ("", "0.6.0", ""),
        ("0.5.1", "", ""),
        ("0.5.1", "0.5.1", ""),
        ("0.10.0", "0.9.9", ""),
        ("0.5.0", "0.5.1", "memberlist has this since 0.5.1, and 0.5.0 is tested"),
        ("0.6.0", BEYOND, "upstream itself crashes or starves here, in every release"),
        ("", BEYOND, ""),
    ],
)
def test_older_releases_lack_newer_rules(release, since, why):
    assert lacks(release, since) == why


def test_a_release_is_numbers():
    with pytest.raises(UsageError, match="newest is no release"):
        parse("newest")
