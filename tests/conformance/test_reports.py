"""The four formats and the badge."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

from serfcompat.conformance.case import Area, Case, Level, Severity
from serfcompat.conformance.report.machine import as_json, junit
from serfcompat.conformance.report.page import badge, page
from serfcompat.conformance.report.text import listing, progress, text
from serfcompat.conformance.result import Report, Result, Verdict


def case(id, area=Area.PING, severity=Severity.MUST):
    return Case(id, area, Level.MEMBERLIST, f"The <statement> of {id}.", ("M-001", "M-002"), print, severity)


REPORT = Report(
    "./some-agent",
    [
        Result(case("good"), Verdict.PASSED, 0.5),
        Result(case("late"), Verdict.PASSED, 1.5, attempts=2),
        Result(
            case("bad", severity=Severity.TOLERATED),
            Verdict.FAILED,
            2.0,
            "expected <this>; seen: that",
            "<this>",
            "that",
            Area.CRC,
            ["a packet \x00\udcff"],
            ["a log line"],
        ),
        Result(case("odd", Area.KEYS), Verdict.NOT_APPLICABLE, why="no key"),
        Result(case("kit", Area.KEYS), Verdict.ERROR, why="Traceback\n  here"),
    ],
    12.3,
    {"profile": "local"},
)


def test_text_tells_why_and_counts():
    told = text(REPORT)
    for part in (
        "FAILED bad (tolerated, M-001, M-002)",
        "statement: The <statement> of bad.",
        "expected:  <this>",
        "seen:      that",
        "at fault:  crc: Checksums of packets",
        "a packet",
        "a log line",
        "no key:\n      odd",
        "ERROR kit",
        "./some-agent: 2 passed, 1 failed, 1 not applicable, 1 error, in 12 s",
        "areas at fault: crc (1)",
        "only at the second attempt: late",
    ):
        assert part in told


def test_json_has_everything():
    told = json.loads(as_json(REPORT))
    assert told["counts"] == {"passed": 2, "failed": 1, "not applicable": 1, "error": 1}
    assert told["areas_at_fault"] == {"crc": 1}
    assert told["exit_code"] == 2
    bad = next(result for result in told["results"] if result["id"] == "bad")
    assert (bad["verdict"], bad["at_fault"], bad["severity"], bad["log"]) == (
        "failed",
        "crc",
        "tolerated",
        ["a log line"],
    )


def test_junit_is_xml_that_counts():
    root = ElementTree.fromstring(junit(REPORT))
    assert (root.get("tests"), root.get("failures"), root.get("errors"), root.get("skipped")) == ("5", "1", "1", "1")
    assert {each.get("name"): [child.tag for child in each] for each in root} == {
        "good": [],
        "late": [],
        "bad": ["failure"],
        "odd": ["skipped"],
        "kit": ["error"],
    }
    assert root.find("testcase[@name='bad']/failure").get("type") == "tolerated"


def test_the_page_escapes_what_it_shows():
    told = page(REPORT)
    assert "&lt;this&gt;" in told
    assert "<statement>" not in told
    assert "at fault: crc" in told


@pytest.mark.parametrize(
    ("results", "words", "color"),
    [
        (REPORT.results[:2], "2 of 2", "#2a8a3e"),
        (REPORT.results[:3], "2 of 3", "#b8860b"),
        (REPORT.results[3:4], "not judged", "#2a8a3e"),
        ([], "not judged", "#777"),
        ([Result(case("worst"), Verdict.FAILED)], "0 of 1", "#c62828"),
    ],
)
def test_the_badge_has_words_and_a_color(results, words, color):
    image = ElementTree.fromstring(badge(Report("x", results)))
    assert words in "".join(image.itertext())
    assert color in badge(Report("x", results))


def test_progress_is_a_line():
    assert progress(REPORT.results[2], 3, 150) == "[  3/150] FAILED bad                          2.0 s"


def test_the_list_is_by_area():
    told = listing([case("a"), case("b"), case("c", Area.CRC)])
    assert told.splitlines()[0] == "ping: Pings and their acks"
    assert "crc: Checksums of packets" in told.splitlines()
