"""The pages of docs about the kit: every case with its statement, from the code.

python -m serfcompat.conformance.report.manual > docs/conformance.md
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from serfcompat.conformance.case import AREAS, Case, Level
from serfcompat.conformance.catalogue import all_cases
from serfcompat.conformance.release import BEYOND

TEXT = Path(__file__).with_suffix(".md")
"What comes before the cases."


def manual() -> str:
    """The whole page."""
    cases = all_cases()
    head = TEXT.read_text(encoding="utf-8").replace("{count}", str(len(cases)))
    return head + "\n" + "\n".join(_areas(list(cases.values()))) + "\n"


def _areas(cases: list[Case]) -> Iterator[str]:
    for area, about in AREAS.items():
        mine = [case for case in cases if case.area == area]
        if not mine:
            continue
        yield f"### {area}\n\n{about}.\n"
        yield "| case | statement | severity | proves | |"
        yield "|---|---|---|---|---|"
        for case in mine:
            proves = ", ".join(case.proves)
            yield f"| `{case.id}` | {_cell(case.statement)} | {case.severity} | {proves} | {_remarks(case)} |"
        yield ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _remarks(case: Case) -> str:
    found = ["agents"] if case.level is Level.AGENT else []
    found += [str(need) for need in sorted(case.needs)]
    if case.since == BEYOND:
        found.append("upstream fails")
    elif case.since:
        found.append(f"since memberlist {case.since}")
    return ", ".join(found)


if __name__ == "__main__":
    print(manual(), end="")
