"""The clusters that go through the script, side by side: with ours and of Go alone, for every case."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

from serfcompat.testing.processes import serfcompat_agent
from tests.interop.cases import CASES, Case
from tests.interop.record import recorded
from tests.interop.script import Outcome, Script

AT_ONCE = 4
"Clusters that run at the same time on a machine of two cores."

ATTEMPTS = 2
MORE = 2
"Clusters of Go alone that are tried at last: some complaints depend on the moment."


class Runs:
    """Started when made; each is waited for when it is asked for. Use it in a `with` block."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(AT_ONCE, "script")
        self._with_ours = {case: self._pool.submit(self._run, case, True) for case in CASES}
        self._go_alone = {case: self.another_control(case) for case in CASES}

    def with_ours(self, case: Case) -> Outcome:
        """Three Go agents and three of ours."""
        return self._with_ours[case].result()

    def go_alone(self, case: Case) -> Outcome:
        """Six Go agents."""
        return self._go_alone[case].result()

    def usual_complaints(self, case: Case) -> Iterator[set[str]]:
        """What Go agents of that version complain of among themselves: now, ever, and in new clusters at last.

        Secrecy makes no difference to that, so that all of a version count.
        """
        same = [other for other in CASES if other.version == case.version]
        yield from (self.go_alone(other).complaints for other in same)
        yield recorded(case.version)
        for more in [self.another_control(case) for _ in range(MORE)]:
            yield more.result().complaints

    def another_control(self, case: Case) -> Future[Outcome]:
        """One more cluster of Go alone."""
        return self._pool.submit(self._run, case, False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    @staticmethod
    def _run(case: Case, ours: bool) -> Outcome:
        """Go through the script. What doesn't happen twice running is put down to the gossip's luck.

        ⚠ Go-only clusters, too, end now and then with a member that somebody holds to be failed although it left.
        """
        for _ in range(ATTEMPTS):
            outcome = Script(case.go, serfcompat_agent() if ours else case.go, case.key).run()
            if outcome.good:
                break
        return outcome
