"""Runs cases, several at a time, and makes results of what happens."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Protocol

from serfcompat.conformance.case import Area, Broken, Case, NotApplicable
from serfcompat.conformance.faults import fault
from serfcompat.conformance.release import lacks
from serfcompat.conformance.result import Report, Result, Verdict
from serfcompat.conformance.trace import Trace
from serfcompat.errors import RPCError
from serfcompat.testing.node import AgentError

ATTEMPTS = 2
"Gossip is random, and a busy machine is late: what fails twice running is broken."
AT_ONCE = 8
"Cases that run at the same time; they mostly wait."
PATIENCE = 3
"How many times its limit a case may take before it is broken off."
LOG_LINES = 12


class Stage(Protocol):
    """What a case runs on, made anew for each attempt."""

    trace: Trace

    def log(self) -> Sequence[str]:
        """What the program logged since the case began."""

    def abort(self) -> None:
        """Make a case that hangs fail. Called from another thread."""

    def close(self) -> None:
        """Stop what belongs to this attempt."""


class Subject(Protocol):
    """The program under test."""

    @property
    def title(self) -> str:
        """What a reader calls it."""

    @property
    def shared(self) -> bool:
        """All cases talk to the same node, so that those that want it alone have to wait for each other."""

    def not_applicable(self, case: Case) -> str:
        """Why a case can't be run on it; empty if it can."""

    def stage(self, case: Case) -> tuple[Stage, object]:
        """Where to run a case, and its argument."""


Progress = Callable[[Result, int, int], None]
"""Told of each result as it comes, with the number of results so far and in all."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to run."""

    release: str = ""
    "Of memberlist, that the program is compatible with; empty: the newest."
    at_once: int = AT_ONCE
    attempts: int = ATTEMPTS
    fail_fast: bool = False
    "Begin no other case once one has failed."


def run(cases: Sequence[Case], subject: Subject, options: Options, progress: Progress | None = None) -> Report:
    """Run all cases; those that want the node alone come last, one by one if the node is shared."""
    began = time.monotonic()
    together = [case for case in cases if not (subject.shared and case.alone)]
    alone = [case for case in cases if subject.shared and case.alone]
    # Long ones first, so that none is left over at the end.
    together.sort(key=lambda case: (not case.alone, -case.limit))
    found: dict[str, Result] = {}
    for group, at_once in ((together, options.at_once), (alone, 1)):
        for result in _run_group(group, at_once, subject, options):
            found[result.case.id] = result
            if progress is not None:
                progress(result, len(found), len(cases))
            if options.fail_fast and result.verdict == Verdict.FAILED:
                return _report(cases, subject, found, began)
    return _report(cases, subject, found, began)


def _report(cases: Sequence[Case], subject: Subject, found: dict[str, Result], began: float) -> Report:
    results = [found[case.id] for case in cases if case.id in found]
    return Report(subject.title, results, time.monotonic() - began)


def _run_group(cases: Sequence[Case], at_once: int, subject: Subject, options: Options) -> Iterable[Result]:
    with ThreadPoolExecutor(max(1, at_once), "case") as pool:
        futures: list[Future[Result]] = [pool.submit(run_one, case, subject, options) for case in cases]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def run_one(case: Case, subject: Subject, options: Options) -> Result:
    """One case, tried again if it fails."""
    why = lacks(options.release, case.since) or subject.not_applicable(case)
    if why:
        return Result(case, Verdict.NOT_APPLICABLE, why=why)
    result = _attempt(case, subject, 1)
    for number in range(2, options.attempts + 1):
        if result.verdict not in (Verdict.FAILED, Verdict.ERROR):
            break
        result = _attempt(case, subject, number)
    return result


def _attempt(case: Case, subject: Subject, number: int) -> Result:
    began = time.monotonic()
    try:
        stage, argument = subject.stage(case)
    except NotApplicable as error:
        return Result(case, Verdict.NOT_APPLICABLE, why=str(error))
    except Broken as error:
        seconds = time.monotonic() - began
        seen = {"expected": error.expected, "seen": error.seen}
        return Result(case, Verdict.FAILED, seconds, str(error), area=error.area, attempts=number, **seen)
    except Exception as error:  # whatever it is, the other cases are still to be tried
        why = f"the node couldn't be made ready: {type(error).__name__}: {error}"
        return Result(case, Verdict.ERROR, time.monotonic() - began, why, attempts=number)
    watchdog = threading.Timer(PATIENCE * case.limit, stage.abort)
    watchdog.daemon = True
    watchdog.start()
    try:
        case.run(argument)
    except NotApplicable as error:
        return Result(case, Verdict.NOT_APPLICABLE, time.monotonic() - began, str(error), attempts=number)
    except (Broken, AgentError, RPCError, TimeoutError) as error:
        broken = error if isinstance(error, Broken) else Broken("an agent that goes along", str(error))
        return Result(
            case,
            Verdict.FAILED,
            time.monotonic() - began,
            str(broken),
            broken.expected,
            broken.seen,
            broken.area or _area_at_fault(stage.trace),
            [*broken.evidence, *stage.trace.lines()],
            stage.log()[-LOG_LINES:],
            number,
        )
    except Exception:  # a fault of ours must not look like one of the node's, nor end the run
        why = f"the kit has a fault: {traceback.format_exc()}"
        return Result(
            case,
            Verdict.ERROR,
            time.monotonic() - began,
            why,
            packets=stage.trace.lines(),
            log=stage.log()[-LOG_LINES:],
            attempts=number,
        )
    finally:
        watchdog.cancel()
        stage.close()
    return Result(case, Verdict.PASSED, time.monotonic() - began, attempts=number)


def _area_at_fault(trace: Trace) -> Area | None:
    """The area of what the node sent and nobody can read; None if all can be read."""
    for entry in trace.entries():
        if not entry.sent and (area := fault(entry)) is not None:
            return area
    return None
