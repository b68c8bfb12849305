"""One broken rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class StaleMutant(Exception):
    """The code was changed, so that the mutant's snippet is no longer found there exactly once."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """A snippet of the code, what it is replaced with, and the rule that breaks by it."""

    rule: str
    "What is broken, in words; with the statement's id where there is one."
    file: str
    "Of the code, seen from the project's top."
    right: str
    "Stands exactly once in the file."
    wrong: str
    tests: Sequence[str] = ()
    "Where it should be noticed; by default the test file that mirrors the code's."

    @property
    def test_files(self) -> list[str]:
        if self.tests:
            return list(self.tests)
        package, module = Path(self.file).parts[1:]
        return [f"tests/{package}/test_{module}"]

    def applied(self, root: Path = ROOT) -> str:
        """The file's broken content. Raises StaleMutant."""
        source = (root / self.file).read_text(encoding="utf-8")
        count = source.count(self.right)
        if count != 1:
            raise StaleMutant(f"{self.file}: {self.right!r} is there {count} times instead of once ({self.rule})")
        return source.replace(self.right, self.wrong)
