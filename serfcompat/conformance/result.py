"""What came of the cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from serfcompat.conformance.case import Area, Case, Severity


class Verdict(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    "The statement doesn't hold."
    NOT_APPLICABLE = "not applicable"
    "The case says nothing about this program, and tells why."
    ERROR = "error"
    "The kit couldn't judge: the program didn't start, the kit has a fault."


@dataclass(frozen=True, slots=True)
class Result:
    """One case and what came of it."""

    case: Case
    verdict: Verdict
    seconds: float = 0.0
    why: str = ""
    "Of a verdict other than passed, in one sentence."
    expected: str = ""
    seen: str = ""
    area: Area | None = None
    "The area at fault; None: the case's own, or none."
    packets: Sequence[str] = ()
    "Decoded, in lines."
    log: Sequence[str] = ()
    "What the program logged meanwhile."
    attempts: int = 1

    @property
    def at_fault(self) -> Area:
        """The area to mend."""
        return self.area or self.case.area

    @property
    def severity(self) -> Severity:
        return self.case.severity


@dataclass(frozen=True, slots=True)
class Report:
    """All results of a run."""

    subject: str
    "What was tested: a command or an address."
    results: Sequence[Result]
    seconds: float = 0.0
    settings: Mapping[str, str] = field(default_factory=dict)
    "How it was tested."

    def count(self, verdict: Verdict) -> int:
        return sum(result.verdict == verdict for result in self.results)

    @property
    def failed(self) -> list[Result]:
        return [result for result in self.results if result.verdict == Verdict.FAILED]

    def failures(self, severity: Severity) -> list[Result]:
        return [result for result in self.failed if result.severity == severity]

    @property
    def areas_at_fault(self) -> dict[Area, int]:
        """How many failures point at each area, the most first."""
        counts: dict[Area, int] = {}
        for result in self.failed:
            counts[result.at_fault] = counts.get(result.at_fault, 0) + 1
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    @property
    def exit_code(self) -> int:
        """0: all holds. 1: a `must` is broken. 2: something couldn't be judged. 3: only a `should`. 4: only bytes that
        Go tolerates. Of several the first in the order 1, 2, 3, 4."""
        if self.failures(Severity.MUST):
            return 1
        if self.count(Verdict.ERROR) or not self.results:
            return 2
        if self.failures(Severity.SHOULD):
            return 3
        return 4 if self.failures(Severity.TOLERATED) else 0
