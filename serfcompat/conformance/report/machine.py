"""Reports for programs: JSON, and the XML that CI systems take from JUnit."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree

from serfcompat.conformance.result import Report, Result, Verdict


def as_json(report: Report) -> str:
    """Everything, as one object."""
    counts = {str(verdict): report.count(verdict) for verdict in Verdict}
    whole = {
        "subject": report.subject,
        "settings": dict(report.settings),
        "seconds": round(report.seconds, 1),
        "exit_code": report.exit_code,
        "counts": counts,
        "areas_at_fault": {str(area): count for area, count in report.areas_at_fault.items()},
        "results": [_result(result) for result in report.results],
    }
    return json.dumps(whole, indent=2, ensure_ascii=False)


def _result(result: Result) -> dict[str, Any]:
    case = result.case
    return {
        "id": case.id,
        "area": str(case.area),
        "level": str(case.level),
        "severity": str(case.severity),
        "statement": case.statement,
        "proves": list(case.proves),
        "verdict": str(result.verdict),
        "at_fault": str(result.at_fault) if result.verdict == Verdict.FAILED else None,
        "seconds": round(result.seconds, 3),
        "attempts": result.attempts,
        "why": result.why,
        "expected": result.expected,
        "seen": result.seen,
        "packets": list(result.packets),
        "log": list(result.log),
    }


def junit(report: Report) -> str:
    """One test case per case. What is broken but no `must` is a failure as well, of a type of its own."""
    root = ElementTree.Element(
        "testsuite",
        name=f"conformance of {_clean(report.subject)}",
        tests=str(len(report.results)),
        failures=str(report.count(Verdict.FAILED)),
        errors=str(report.count(Verdict.ERROR)),
        skipped=str(report.count(Verdict.NOT_APPLICABLE)),
        time=f"{report.seconds:.1f}",
    )
    for result in report.results:
        case = ElementTree.SubElement(
            root,
            "testcase",
            classname=f"{result.case.level}.{result.case.area}",
            name=result.case.id,
            time=f"{result.seconds:.3f}",
        )
        if result.verdict == Verdict.PASSED:
            continue
        tags = {Verdict.FAILED: "failure", Verdict.ERROR: "error", Verdict.NOT_APPLICABLE: "skipped"}
        found = ElementTree.SubElement(case, tags[result.verdict], message=_clean(result.why)[:500])
        if result.verdict == Verdict.NOT_APPLICABLE:
            continue
        found.set("type", str(result.severity))
        found.text = _clean("\n".join([result.case.statement, *result.packets, *result.log]))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode")


def _clean(text: str) -> str:
    """Without characters that XML can't have; escaping is ElementTree's business."""
    return "".join(c if c in "\n\t" or 0x20 <= ord(c) < 0xD800 or 0xE000 <= ord(c) < 0xFFFE else "?" for c in text)
