"""Let the conformance kit look at every mutant: each must fail, in the right area.

    python -m interop.mutants.check [NAME…]

exit status: 0 the kit finds all; 1 it misses one
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from interop.mutants.catalogue import MUTANTS
from interop.mutants.mutant import Mutant
from serfcompat.conformance.agents import Setup, Template
from serfcompat.conformance.case import Case, Level
from serfcompat.conformance.catalogue import choose
from serfcompat.conformance.implementation import Implementation
from serfcompat.conformance.result import Report
from serfcompat.conformance.runner import Options, run

RUN = Path(__file__).with_name("run")


@dataclass(frozen=True, slots=True)
class Finding:
    """What the kit said about a mutant."""

    mutant: Mutant
    report: Report

    @property
    def found(self) -> bool:
        """It failed, and the area at fault is named."""
        return self.report.exit_code != 0 and any(area == self.mutant.area for area in self.report.areas_at_fault)

    def line(self) -> str:
        areas = ", ".join(f"{area} ({count})" for area, count in self.report.areas_at_fault.items()) or "nothing"
        verdict = "found " if self.found else "MISSED"
        return f"{verdict} {self.mutant.name:24} {self.mutant.area:13} {self.report.seconds:4.0f} s  {areas}"


def look_at(mutant: Mutant, cases: Sequence[Case], *, at_once: int = 8) -> Finding:
    """Run cases on agents with this fault."""
    words = f"{sys.executable} {RUN} {mutant.name} agent -node={{name}} -bind={{bind}} -rpc-addr={{rpc}} {{extra}}"
    with Implementation(Template.parse(words), Setup()) as implementation:
        return Finding(mutant, run(cases, implementation, Options(at_once=at_once)))


def cases_for(mutant: Mutant, *, everything: bool = False) -> list[Case]:
    """All cases of the mutant's area, and the first of every other one; of the mutant's level.

    `everything`: all cases of the level.
    """
    of_level = [case for case in choose([], Level.AGENT) if case.level == mutant.level]
    first = {case.area: case for case in reversed(of_level)}
    return [case for case in of_level if everything or case.area == mutant.area or first[case.area] is case]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="mutants (all)")
    parser.add_argument("--everything", action="store_true", help="all cases of a mutant's level, which takes longer")
    arguments = parser.parse_args()
    names: list[str] = arguments.names
    if unknown := set(names) - set(MUTANTS):
        parser.error(f"there is no mutant {', '.join(sorted(unknown))}")
    began, missed = time.monotonic(), 0
    for name in names or MUTANTS:
        finding = look_at(MUTANTS[name], cases_for(MUTANTS[name], everything=arguments.everything))
        missed += not finding.found
        print(finding.line(), flush=True)
    count = len(names or MUTANTS)
    print(f"{count - missed} of {count} mutants found, in {time.monotonic() - began:.0f} s")
    return min(missed, 1)


if __name__ == "__main__":
    sys.exit(main())
