"""All cases, and those that a run asks for."""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from importlib import import_module

from serfcompat.conformance import cases
from serfcompat.conformance.case import AREAS, CASES, Case, Level
from serfcompat.errors import UsageError


def all_cases() -> Mapping[str, Case]:
    """Every case by id, in the order of areas and, in each, of the source."""
    for module in pkgutil.iter_modules(cases.__path__):
        import_module(f"{cases.__name__}.{module.name}")
    order = list(AREAS)
    return dict(sorted(CASES.items(), key=lambda item: order.index(item[1].area)))


def choose(only: Sequence[str], level: Level) -> list[Case]:
    """The cases that a run on this level goes through.

    Args:
        only: Ids, areas, or patterns of ids like `ping-*`; none: all.

    Raises:
        UsageError: One of them names no case at all.
    """
    known = list(all_cases().values())
    for pattern in only:
        if not any(_matches(case, pattern) for case in known):
            raise UsageError(f"no case and no area is called {pattern}: --list shows them")
    return [
        case
        for case in known
        if (level is Level.AGENT or case.level is Level.MEMBERLIST)
        and (not only or any(_matches(case, pattern) for pattern in only))
    ]


def _matches(case: Case, pattern: str) -> bool:
    return case.area == pattern or fnmatchcase(case.id, pattern)
