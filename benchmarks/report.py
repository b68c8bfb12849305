"""Figures as text, as a table for the documentation, and as JSON."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class GoCase:
    """A row of `go.json`: what Go needs."""

    number: int
    area: str
    name: str
    median_us: float
    min_us: float
    max_us: float
    allocations: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """What one measurement gave."""

    go: GoCase
    variant: str
    microseconds: list[float]
    "One per repeat."

    @property
    def median_us(self) -> float:
        return median(self.microseconds)

    @property
    def ratio(self) -> float:
        """How many times as long as Go."""
        return self.median_us / self.go.median_us

    @property
    def name(self) -> str:
        return f"{self.go.name} [{self.variant}]" if self.variant else self.go.name


@dataclass(frozen=True, slots=True)
class Run:
    """All figures of one run, and where it was."""

    figures: Sequence[Figure]
    yardstick_us: float
    repeats: int

    def yardsticks(self, figure: Figure) -> float:
        """The figure in thousandths of the yardstick."""
        return 1000 * figure.median_us / self.yardstick_us

    def conditions(self) -> str:
        return (
            f"{platform.python_implementation()} {platform.python_version()}, {_processor()}, {os.cpu_count()} CPUs, "
            f"load {os.getloadavg()[0]:.1f}; yardstick {self.yardstick_us:.0f} µs; median of {self.repeats}"
        )


def go_cases() -> list[GoCase]:
    found = json.loads((Path(__file__).parent / "go.json").read_text(encoding="utf-8"))
    return [GoCase(**case) for case in found["cases"]]


def as_text(run: Run) -> str:
    lines = [f"{'#':>2}  {'':68} {'Go':>9} {'ours':>9} {'min … max':>19} {'ratio':>6} {'y/1000':>8}"]
    for figure in run.figures:
        spread = f"{_us(min(figure.microseconds))} … {_us(max(figure.microseconds))}"
        lines.append(
            f"{figure.go.number:>2}  {figure.name:68} {_us(figure.go.median_us):>9} {_us(figure.median_us):>9}"
            f" {spread:>19} {figure.ratio:>6.1f} {run.yardsticks(figure):>8.1f}"
        )

    return "\n".join([*lines, "", f"µs of CPU per call; y/1000: in thousandths of the yardstick. {run.conditions()}"])


def as_markdown(run: Run) -> str:
    lines = [
        "| # | Case | Go, µs | Ours, µs | min … max | Ours / Go | Yardsticks / 1000 |",
        "|--:|---|--:|--:|--:|--:|--:|",
    ]
    for figure in run.figures:
        spread = f"{_us(min(figure.microseconds))} … {_us(max(figure.microseconds))}"
        lines.append(
            f"| {figure.go.number} | {figure.name} | {_us(figure.go.median_us)} | {_us(figure.median_us)} | {spread} "
            f"| {figure.ratio:.1f} | {run.yardsticks(figure):.1f} |"
        )
    return "\n".join([*lines, "", f"Python: {run.conditions()}."])


def as_json(run: Run) -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "machine": _processor(),
        "load": os.getloadavg()[0],
        "repeats": run.repeats,
        "yardstick_us": run.yardstick_us,
        "cases": [
            {
                "number": figure.go.number,
                "name": figure.go.name,
                "variant": figure.variant,
                "median_us": figure.median_us,
                "min_us": min(figure.microseconds),
                "max_us": max(figure.microseconds),
                "go_median_us": figure.go.median_us,
                "ratio": figure.ratio,
                "milliyardsticks": run.yardsticks(figure),
            }
            for figure in run.figures
        ],
    }


def _us(value: float) -> str:
    """Three digits that matter."""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    for line in cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
