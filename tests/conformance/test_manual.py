"""docs/conformance.md is the code's."""

from __future__ import annotations

from pathlib import Path

from serfcompat.conformance.catalogue import all_cases
from serfcompat.conformance.report.manual import manual

PAGE = Path(__file__).resolve().parents[2] / "docs" / "conformance.md"
AGAIN = "python -m serfcompat.conformance.report.manual > docs/conformance.md"


def test_the_page_is_current():
    assert PAGE.read_text(encoding="utf-8") == manual(), f"make it again: {AGAIN}"


def test_it_has_every_case_with_its_statement():
    page = manual()
    for case in all_cases().values():
        assert f"| `{case.id}` | {case.statement.replace('|', chr(92) + '|')} |" in page
