"""The report as a web page of its own, and a badge for other pages."""

from __future__ import annotations

from html import escape

from serfcompat.conformance.case import AREAS
from serfcompat.conformance.result import Report, Result, Verdict

_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; vertical-align: top; padding: .3rem .6rem; border-bottom: 1px solid #8884; }
td.verdict { white-space: nowrap; font-weight: 600; }
.passed { color: #2a8a3e; } .failed, .error { color: #c62828; } .not { color: #888; }
pre { overflow-x: auto; font-size: 12px; background: #8881; padding: .6rem; }
small { color: #888; }
"""
_GREEN, _YELLOW, _RED, _GREY = "#2a8a3e", "#b8860b", "#c62828", "#777"


def page(report: Report) -> str:
    """One HTML file without anything from elsewhere."""
    counts = ", ".join(f"{report.count(verdict)} {verdict}" for verdict in Verdict if report.count(verdict))
    settings = ", ".join(f"{name} {value}" for name, value in report.settings.items())
    body = [
        "<h1>Conformance report</h1>",
        f"<p><b>{escape(report.subject)}</b><br>{escape(counts)}, in {report.seconds:.0f} s"
        f"<br><small>{escape(settings)}</small></p>",
    ]
    if report.areas_at_fault:
        areas = ", ".join(f"{area} ({count})" for area, count in report.areas_at_fault.items())
        body.append(f"<p class=failed>Areas at fault: {escape(areas)}</p>")
    for area, about in AREAS.items():
        results = [result for result in report.results if result.case.area == area]
        if results:
            body.append(f"<h2 id={area}>{area}</h2><p>{escape(about)}</p><table>")
            body += [_row(result) for result in results]
            body.append("</table>")
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>Conformance of {escape(report.subject)}</title>"
        f"<style>{_STYLE}</style><body>{''.join(body)}</body></html>"
    )


def _row(result: Result) -> str:
    case = result.case
    more = ""
    if result.verdict == Verdict.NOT_APPLICABLE:
        more = f"<br><small>{escape(result.why)}</small>"
    elif result.verdict != Verdict.PASSED:
        told = f"expected: {result.expected}\nseen:     {result.seen}" if result.expected else result.why
        if result.at_fault != case.area:
            told += f"\nat fault: {result.at_fault}"
        detail = "\n".join([told, "", *result.packets, *(["", "log:", *result.log] if result.log else [])])
        more = f"<details open><summary>why</summary><pre>{escape(detail)}</pre></details>"
    kind = result.verdict.split()[0]
    return (
        f"<tr id={case.id}><td class='verdict {kind}'>{result.verdict}</td><td><code>{case.id}</code><br>"
        f"<small>{case.severity}, {', '.join(case.proves)}</small></td><td>{escape(case.statement)}{more}</td></tr>"
    )


def badge(report: Report) -> str:
    """An SVG image of one line: how much holds."""
    judged = report.count(Verdict.PASSED) + report.count(Verdict.FAILED)
    text = f"{report.count(Verdict.PASSED)} of {judged}" if judged else "not judged"
    color = {0: _GREEN, 1: _RED, 2: _GREY}.get(report.exit_code, _YELLOW)
    left, right = 118, 12 + 7 * len(text)
    whole = left + right
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{whole}" height="20" role="img" '
        f'aria-label="serf conformance: {text}"><title>serf conformance: {text}</title>'
        f'<rect width="{whole}" height="20" rx="3" fill="#444"/>'
        f'<rect x="{left}" width="{right}" height="20" rx="3" fill="{color}"/>'
        f'<rect x="{left}" width="4" height="20" fill="{color}"/>'
        '<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">'
        f'<text x="7" y="14">serf conformance</text><text x="{left + 6}" y="14">{text}</text></g></svg>\n'
    )
