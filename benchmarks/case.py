"""One thing to measure, and how it is measured."""

from __future__ import annotations

import gc
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from time import process_time
from timeit import Timer
from typing import Any


@dataclass(frozen=True, slots=True)
class Case:
    """A row of `go.json`, done here."""

    number: int
    "Which row."
    prepare: Callable[[], Callable[[], object]]
    "Gives what is measured, after it has checked that it does the right thing. Not measured itself."
    variant: str = ""
    "What tells several measurements of one row apart, such as the library used."
    within: Callable[[], AbstractContextManager[Any]] = nullcontext
    "Where preparation and measurement take place."
    changes_state: bool = False
    "What is measured works only once: prepare it anew for each call."


def require(truth: bool, what: str) -> None:
    """Wrong results are not worth measuring."""
    if not truth:
        raise AssertionError(f"not measured, because it is wrong: {what}")


def measure(case: Case, *, repeats: int, seconds: float) -> list[float]:
    """Seconds of CPU per call, one figure for each repeat of about `seconds`.

    CPU time, because nothing here waits, and others may use the machine as well. The garbage
    collector runs as it always does.
    """
    with case.within():
        if case.changes_state:
            return [_fresh_calls(case.prepare, seconds) for _ in range(repeats)]
        timer = Timer(case.prepare(), setup=gc.enable, timer=process_time)  # timeit switches the collector off
        loops = 1
        while (took := timer.timeit(loops)) < seconds / 4:
            loops *= 2
        loops = max(1, round(loops * seconds / took))
        return [timer.timeit(loops) / loops for _ in range(repeats)]


def _fresh_calls(prepare: Callable[[], Callable[[], object]], seconds: float) -> float:
    """The mean of calls that are prepared one by one."""
    spent, calls = 0.0, 0
    while spent < seconds or calls < 3:
        call = prepare()
        start = process_time()
        call()
        spent += process_time() - start
        calls += 1
    return spent / calls
