"""The report for people at a terminal."""

from __future__ import annotations

from collections.abc import Iterable

from serfcompat.conformance.case import AREAS, Case
from serfcompat.conformance.result import Report, Result, Verdict

_SIGNS = {Verdict.PASSED: "ok", Verdict.FAILED: "FAILED", Verdict.NOT_APPLICABLE: "n/a", Verdict.ERROR: "ERROR"}


def text(report: Report) -> str:
    """What failed, with packets and log lines; what didn't apply, and why; and the count."""
    parts = [_failure(result) for result in report.results if result.verdict in (Verdict.FAILED, Verdict.ERROR)]
    skipped: dict[str, list[str]] = {}
    for result in report.results:
        if result.verdict == Verdict.NOT_APPLICABLE:
            skipped.setdefault(result.why, []).append(result.case.id)
    if skipped:
        lines = [f"  {why}:\n      {', '.join(ids)}" for why, ids in skipped.items()]
        parts.append("\n".join(["Not applicable:", *lines]))
    parts.append(summary(report))
    return "\n\n".join(parts)


def summary(report: Report) -> str:
    """The last lines: how many of what, and which areas to mend."""
    counts = ", ".join(f"{report.count(verdict)} {verdict}" for verdict in Verdict if report.count(verdict))
    lines = [f"{report.subject}: {counts or 'no cases'}, in {report.seconds:.0f} s"]
    for severity in dict.fromkeys(result.severity for result in report.failed):
        lines.append(f"  {severity}: {', '.join(result.case.id for result in report.failures(severity))}")
    if report.areas_at_fault:
        areas = ", ".join(f"{area} ({count})" for area, count in report.areas_at_fault.items())
        lines.append(f"  areas at fault: {areas}")
    retried = [result.case.id for result in report.results if result.attempts > 1 and result.verdict == Verdict.PASSED]
    if retried:
        lines.append(f"  only at the second attempt: {', '.join(retried)}")
    return "\n".join(lines)


def progress(result: Result, done: int, of: int) -> str:
    """One line about a case that just ended."""
    sign = _SIGNS[result.verdict]
    return f"[{done:3}/{of}] {sign:6} {result.case.id:26} {result.seconds:5.1f} s"


def listing(cases: Iterable[Case]) -> str:
    """All cases with what they prove, by area."""
    lines: list[str] = []
    area = None
    for case in cases:
        if case.area != area:
            area = case.area
            lines.append(f"\n{area}: {AREAS[area]}")
        lines.append(f"  {case.id:26} {case.severity:9} {case.level:10} {case.statement}")
    return "\n".join(lines).lstrip("\n")


def _failure(result: Result) -> str:
    case = result.case
    lines = [
        f"{_SIGNS[result.verdict]} {case.id} ({case.severity}, {', '.join(case.proves)})",
        f"  statement: {case.statement}",
    ]
    if result.verdict == Verdict.ERROR:
        lines += [f"  {line}" for line in result.why.splitlines()]
    else:
        lines += [f"  expected:  {result.expected}", f"  seen:      {result.seen}"]
        if result.at_fault != case.area:
            lines.append(f"  at fault:  {result.at_fault}: {AREAS[result.at_fault]}")
    if result.packets:
        lines += ["  on the wire:", *(f"    {line}" for line in result.packets)]
    if result.log:
        lines += ["  log:", *(f"    {line}" for line in result.log)]
    return "\n".join(lines)
