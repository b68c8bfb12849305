"""The result of a matrix as JUnit XML, a Markdown table, an HTML page and an SVG badge."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from interop.cells import Group, Matrix
from interop.steps import Outcome

MARKS = {"good": "✓", "bad": "✗", "missing": "–"}
COLOURS = {"good": "#2e7d32", "bad": "#c62828", "missing": "#757575"}


@dataclass(frozen=True, slots=True)
class Result:
    """A matrix that was run."""

    matrix: Matrix
    outcomes: Mapping[Group, Outcome]
    on: str
    "The back end."
    seconds: float
    about: str
    "The versions of what was tried, and when."
    labels: Mapping[str, Outcome] = field(default_factory=dict)
    "What came of the cells with a label, by what they are."

    @property
    def cells(self) -> dict[str, list[Outcome]]:
        """The clusters of every cell."""
        found = {str(cell): [self.outcomes[group] for group in cell.groups.values()] for cell in self.matrix.cells}
        return found | {what: [outcome] for what, outcome in self.labels.items()}

    @property
    def failed(self) -> list[str]:
        """Cells with a cluster in which something was wrong."""
        return [cell for cell, outcomes in self.cells.items() if any(each.wrong for each in outcomes)]

    @property
    def missing(self) -> list[str]:
        """Cells with a cluster that couldn't be had on this back end, and none that failed."""
        failed = self.failed
        return [
            cell
            for cell, outcomes in self.cells.items()
            if cell not in failed and any(each.missing for each in outcomes)
        ]

    @property
    def good(self) -> int:
        """How many cells ran, and nothing was wrong."""
        return len(self.cells) - len(self.failed) - len(self.missing)

    @property
    def verdict(self) -> str:
        """One line."""
        text = f"{self.good} of {len(self.cells)} cells good"
        if self.failed:
            text += f", {len(self.failed)} failed"
        if self.missing:
            text += f", {len(self.missing)} not possible here"
        return f"{text} ({len(self.outcomes) + len(self.labels)} clusters in {self.on}, {self.seconds:.0f} s)"


def write(result: Result, folder: Path) -> None:
    """Write `junit.xml`, `matrix.md`, `matrix.html` and `badge.svg` there."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "junit.xml").write_bytes(junit(result))
    (folder / "matrix.md").write_text(markdown(result), encoding="utf-8")
    (folder / "matrix.html").write_text(html(result), encoding="utf-8")
    (folder / "badge.svg").write_text(badge(result), encoding="utf-8")


def document(result: Result, file: Path) -> None:
    """Put the Markdown table between the marks of a page. ValueError: it has none."""
    text = file.read_text(encoding="utf-8")
    start, end = "<!-- result -->\n", "<!-- end of result -->"
    if not 0 <= text.find(start) < text.find(end):
        raise ValueError(f"{file} has no place for a result: {start.strip()} … {end}")
    head, _, rest = text.partition(start)
    file.write_text(f"{head}{start}{markdown(result)}{end}{rest.partition(end)[2]}", encoding="utf-8")


def junit(result: Result) -> bytes:
    """A test case for each cluster of each cell; one that cells share is told in each."""
    suite = ET.Element("testsuite", name=f"interop in {result.on}", time=f"{result.seconds:.1f}")
    counts = {"tests": 0, "failures": 0, "skipped": 0}
    cases = [
        (str(cell), role, result.outcomes[group]) for cell in result.matrix.cells for role, group in cell.groups.items()
    ]
    cases += [(what, "mixed", outcome) for what, outcome in result.labels.items()]
    for cell, role, outcome in cases:
        case = ET.SubElement(suite, "testcase", classname=cell, name=role, time=f"{outcome.seconds:.1f}")
        counts["tests"] += 1
        if outcome.missing:
            ET.SubElement(case, "skipped", message=_printable(outcome.missing))
            counts["skipped"] += 1
        elif outcome.wrong:
            summary = outcome.wrong.splitlines()[0]
            failure = ET.SubElement(case, "failure", message=_printable(f"{outcome.step}: {summary}"))
            failure.text = _printable(outcome.wrong)
            counts["failures"] += 1
    for each in result.matrix.not_applicable:
        case = ET.SubElement(suite, "testcase", classname=each["what"], name="not applicable", time="0")
        ET.SubElement(case, "skipped", message=each["why"])
        counts["tests"] += 1
        counts["skipped"] += 1
    for key, number in counts.items():
        suite.set(key, str(number))
    root = ET.Element("testsuites")
    root.append(suite)
    return ET.tostring(root, encoding="utf-8", xml_declaration=True)


def markdown(result: Result) -> str:
    """A row for each cell."""
    lines = [
        f"{result.verdict}. {result.about}",
        "",
        "| Go | Python | configuration | nodes | mixed | Go alone | Python alone |",
        "|---|---|---|---|---|---|---|",
    ]
    for cell in result.matrix.cells:
        marks = [_mark(result.outcomes[group]) for group in cell.groups.values()]
        lines.append(f"| {' | '.join([cell.go, cell.python, cell.configuration, str(cell.size), *marks])} |")
    for what, outcome in result.labels.items():
        lines.append(f"| {what} | | | | {_mark(outcome)} | | |")
    lines += ["", "Not applicable:", ""] if result.matrix.not_applicable else []
    lines += [f"* {each['what']}: {each['why']}." for each in result.matrix.not_applicable]
    if notes := list(_notes(result)):
        lines += ["", *(f"* {what}: {why}" for what, why in notes)]
    return "\n".join([*lines, ""])


def html(result: Result) -> str:
    """A page that needs nothing beside it."""
    rows = []
    for cell in result.matrix.cells:
        outcomes = [result.outcomes[group] for group in cell.groups.values()]
        told = "".join(
            f"<td>{escape(str(each))}</td>" for each in (cell.go, cell.python, cell.configuration, cell.size)
        )
        marks = "".join(
            f'<td class="{_state(each)}" title="{escape(_title(each))}">{_mark(each)}</td>' for each in outcomes
        )
        rows.append(f"<tr>{told}{marks}</tr>")
    for what, outcome in result.labels.items():
        state, mark = _state(outcome), _mark(outcome)
        rows.append(f'<tr><td colspan="4">{escape(what)}</td><td colspan="3" class="{state}">{mark}</td></tr>')
    for each in result.matrix.not_applicable:
        what, why = escape(each["what"]), escape(each["why"])
        rows.append(f'<tr><td colspan="4">{what}</td><td colspan="3" class="missing">{why}</td></tr>')
    notes = "".join(f"<dt>{escape(what)}</dt><dd><pre>{escape(why)}</pre></dd>" for what, why in _notes(result))
    styles = "".join(f".{state} {{ color: {colour} }}" for state, colour in COLOURS.items())
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>serfcompat: interop</title>
<style>body {{ font: 15px sans-serif; margin: 2em }} table {{ border-collapse: collapse }}
td, th {{ border: 1px solid #bbb; padding: .3em .7em; text-align: left }}
pre {{ white-space: pre-wrap }} {styles}</style>
</head><body><h1>Go and Python in one cluster</h1>
<p>{escape(result.verdict)}. {escape(result.about)}</p>
<table><tr><th>Go<th>Python<th>configuration<th>nodes<th>mixed<th>Go alone<th>Python alone</tr>
{chr(10).join(rows)}
</table><dl>{notes}</dl></body></html>
"""


def badge(result: Result) -> str:
    """`interop | 9 of 9`, green if nothing failed."""
    text = f"{result.good} of {len(result.cells)}"
    left, right = 56, 16 + 7 * len(text)
    colour = COLOURS["bad" if result.failed else "good"]
    return f"""<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20">
<title>interop: {text}</title>
<rect width="{left}" height="20" fill="#555"/><rect x="{left}" width="{right}" height="20" fill="{colour}"/>
<g fill="#fff" text-anchor="middle" font-family="sans-serif" font-size="11">
<text x="{left / 2}" y="14">interop</text><text x="{left + right / 2}" y="14">{text}</text></g></svg>
"""


def _state(outcome: Outcome) -> str:
    return "missing" if outcome.missing else "bad" if outcome.wrong else "good"


def _mark(outcome: Outcome) -> str:
    mark = MARKS[_state(outcome)]
    return (
        mark if outcome.missing else f"{mark} {outcome.seconds:.0f} s" + (" (2nd try)" if outcome.attempts > 1 else "")
    )


def _title(outcome: Outcome) -> str:
    if outcome.missing:
        return outcome.missing
    return ", ".join(f"{step} {seconds:.1f} s" for step, seconds in outcome.steps.items())


def _notes(result: Result) -> Iterator[tuple[str, str]]:
    """What was wrong, and what wasn't possible, once for each cluster."""
    every = {str(group): outcome for group, outcome in result.outcomes.items()} | dict(result.labels)
    for what, outcome in every.items():
        if outcome.wrong:
            yield f"{what}, {outcome.step}", outcome.wrong
    for why in dict.fromkeys(outcome.missing for outcome in every.values() if outcome.missing):
        yield "–", why


def _printable(text: str) -> str:
    """Without the characters that XML can't hold."""
    return "".join(char if char.isprintable() or char in "\n\t" else "�" for char in text)
