"""Who watches a simulation: transcripts, checkers, measurements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from serfcompat.sim.host import Host

if TYPE_CHECKING:
    from serfcompat.sim.driver import Driver


class Observer:
    """Is told of everything, in order, and changes nothing. What it doesn't override it doesn't hear."""

    driver: Driver

    def attach(self, driver: Driver) -> None:
        """The simulation to be watched, before anything happens."""
        self.driver = driver

    def on_step(self, now_ns: int, host: Host, cause: str, detail: Any, effects: Sequence[Any]) -> None:
        """A node has just made a step; its effects are about to be performed.

        Args:
            cause: `packet`, `timer`, `start`, `merge`, `call` …
            detail: What came, by cause: (source, bytes), the timer's key, a word.
        """

    def on_fault(self, now_ns: int, text: str) -> None:
        """Something was done to the cluster from outside, in the words of a scenario."""
