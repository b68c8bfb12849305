"""A line for each step of a simulation: why it was made, and what came of it.

Two runs from one seed give the same bytes, whatever the hash seed of the interpreter:
times are integers, nothing is ordered by a set, and every datagram is pinned by its
checksum.

    12.345678901 n3 packet from n7 57B #a1b2c3d4 [ping 17] -> send n7 61B #0f1e2d3c [ack 17]
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from serfcompat.sim.driver import Driver
from serfcompat.sim.host import Host
from serfcompat.sim.observer import Observer
from serfcompat.sim.units import clock_text
from serfcompat.sim.words import cause_words, effect_words
from serfcompat.wire.address import Address


class Transcript(Observer):
    """Writes each line, line end included, to a function."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write

    def on_step(self, now_ns: int, host: Host, cause: str, detail: Any, effects: Sequence[Any]) -> None:
        self._write(step_line(self.driver, now_ns, host, cause, detail, effects))

    def on_fault(self, now_ns: int, text: str) -> None:
        self._write(fault_line(now_ns, text))


class Recent(Observer):
    """Keeps the last steps, and writes them down only if somebody asks: for the report of a failure."""

    def __init__(self, steps: int = 40) -> None:
        self._steps: deque[tuple[Any, ...]] = deque(maxlen=steps)

    def on_step(self, now_ns: int, host: Host, cause: str, detail: Any, effects: Sequence[Any]) -> None:
        self._steps.append((now_ns, host, cause, detail, effects))

    def on_fault(self, now_ns: int, text: str) -> None:
        self._steps.append((now_ns, text))

    def __str__(self) -> str:
        return "".join(fault_line(*step) if len(step) == 2 else step_line(self.driver, *step) for step in self._steps)


def step_line(driver: Driver, now_ns: int, host: Host, cause: str, detail: Any, effects: Sequence[Any]) -> str:
    """One step in a line."""

    def name(address: Address) -> str:
        known = driver.at_address.get(address)
        return str(address) if known is None else known.name

    line = f"{clock_text(now_ns)} {host.name} {cause_words(host, cause, detail)}"
    if effects:
        line += " -> " + "; ".join(effect_words(host, effect, now_ns, name) for effect in effects)
    return line + "\n"


def fault_line(now_ns: int, text: str) -> str:
    """Something done to the cluster, in a line."""
    return f"{clock_text(now_ns)} ! {text}\n"
