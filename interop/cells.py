"""The cells of `matrix.toml`, and the clusters that they take."""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("matrix.toml")


@dataclass(frozen=True, slots=True)
class Group:
    """One cluster: what it is made of, and in which configuration."""

    go: str
    "`VERSION:NUMBER`; empty: none of Go."
    py: str
    configuration: str

    def __str__(self) -> str:
        parts = [f"Go {self.go.replace(':', ' x ')}"] * bool(self.go) + [
            f"Python {self.py.replace(':', ' x ')}"
        ] * bool(self.py)
        return f"{' + '.join(parts)}, {self.configuration}"


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination of the matrix."""

    go: str
    python: str
    configuration: str
    size: int

    def __str__(self) -> str:
        return f"go {self.go}, python {self.python}, {self.configuration}, {self.size}"

    @property
    def groups(self) -> dict[str, Group]:
        """Its three clusters. Control groups are shared by the cells that have them in common."""
        ours = self.size // 2
        return {
            "mixed": Group(f"{self.go}:{self.size - ours}", f"{self.python}:{ours}", self.configuration),
            "Go alone": Group(f"{self.go}:{self.size}", "", self.configuration),
            "Python alone": Group("", f"{self.python}:{self.size}", self.configuration),
        }


@dataclass(frozen=True, slots=True)
class Matrix:
    """What `matrix.toml` says."""

    cells: Sequence[Cell]
    at_once: int
    "Clusters that run at the same time."
    configurations: Mapping[str, Mapping[str, Any]]
    not_applicable: Sequence[Mapping[str, str]]
    pythons: Sequence[str]
    labels: Sequence[Mapping[str, str]]
    "Cells of `interop/labels.py`."

    def in_processes(self, here: str) -> Matrix:
        """The same where there is only one Python: that stands in for the first of the matrix."""
        cells = [replace(cell, python=here) if cell.python == self.pythons[0] else cell for cell in self.cells]
        return replace(self, cells=list(dict.fromkeys(cells)))

    @property
    def groups(self) -> list[Group]:
        """All clusters, each once, large ones first: they take longest."""
        found = dict.fromkeys(group for cell in self.cells for group in cell.groups.values())
        sizes = {group: cell.size for cell in self.cells for group in cell.groups.values()}
        return sorted(found, key=lambda group: -sizes[group])


def read(*, full: bool, file: Path = FILE) -> Matrix:
    """The short matrix, or the full one. ValueError: the file names a cell that there isn't."""
    told = tomllib.loads(file.read_text(encoding="utf-8"))
    every = {
        str(cell): cell
        for cell in (
            Cell(go, python, configuration, size)
            for configuration, size, go, python in itertools.product(
                told["configurations"], told["sizes"], told["go"], told["python"]
            )
        )
    }
    short = told["short"]["cells"]
    if unknown := [name for name in short if name not in every]:
        raise ValueError(f"{file.name}: no such cell: {'; '.join(unknown)}")
    return Matrix(
        cells=list(every.values()) if full else [every[name] for name in short],
        at_once=told["full" if full else "short"]["at_once"],
        configurations=told["configurations"],
        not_applicable=told["not_applicable"],
        pythons=told["python"],
        labels=told["label"],
    )
