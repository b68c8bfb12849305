"""A fault, and how it gets into a process: the text of a module is changed as it is imported.

⚠ Nothing of serfcompat is imported here, or in the catalogue: it would be there before the fault is.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]


class StaleMutant(Exception):
    """The code was changed, so that the mutant's text isn't found there exactly once."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One fault of an agent, as others might have it."""

    name: str
    fault: str
    "What the agent does wrong, in words."
    area: str
    "Where the kit must find it."
    level: str
    "Of the cases that look for it: memberlist or agent."
    module: str
    "Where the text is changed, with dots."
    right: str
    wrong: str

    @property
    def file(self) -> Path:
        return ROOT / Path(*self.module.split(".")).with_suffix(".py")

    def source(self) -> str:
        """The module's text with the fault in it. Raises StaleMutant."""
        text = self.file.read_text(encoding="utf-8")
        count = text.count(self.right)
        if count != 1:
            raise StaleMutant(f"{self.name}: {self.right!r} is {count} times in {self.module}, not once")
        return text.replace(self.right, self.wrong)

    def install(self) -> None:
        """Let this process import the module with the fault. Before anything imports it."""
        if self.module in sys.modules:
            raise RuntimeError(f"{self.module} was imported already")
        sys.meta_path.insert(0, _Finder(self))


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the one module, and makes it of the changed text."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._mutant.module:
            return None
        return importlib.util.spec_from_loader(fullname, self, origin=str(self._mutant.file))

    def exec_module(self, module: ModuleType) -> None:
        code = compile(self._mutant.source(), str(self._mutant.file), "exec")
        exec(code, module.__dict__)
