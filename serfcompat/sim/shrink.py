"""From a scenario that fails to a short one that still does."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from serfcompat.sim.faults import names_in
from serfcompat.sim.scenario import Line, Scenario
from serfcompat.sim.units import SECOND

Fails = Callable[[Scenario], bool]
"Whether a scenario still fails, and for the same reason."


def shrink(scenario: Scenario, fails: Fails, *, most_runs: int = 200) -> Scenario:
    """The shortest scenario found by leaving out lines, nodes and time, in at most so many runs.

    The one given must fail. Every step is tried on the whole simulation, so the result
    fails as well; that nothing can be left out of it is likely, not certain.
    """
    runs = 0

    def still_fails(candidate: Scenario) -> bool:
        nonlocal runs
        runs += 1
        return fails(candidate)

    improved = True
    while improved:
        improved = False
        for candidate in _shorter(scenario):
            if runs >= most_runs:
                return scenario
            if still_fails(candidate):
                scenario, improved = candidate, True
                break
    return scenario


def _shorter(scenario: Scenario) -> Iterator[Scenario]:
    """Candidates, those that leave out most first."""
    yield from _fewer_lines(scenario)
    yield from _fewer_nodes(scenario)
    yield from _less_time(scenario)
    yield from _plainer(scenario)


def _fewer_lines(scenario: Scenario) -> Iterator[Scenario]:
    lines = scenario.lines
    size = len(lines)
    while size:
        for start in range(0, len(lines), size):
            yield scenario.replace(lines=lines[:start] + lines[start + size :])
        size //= 2


def _fewer_nodes(scenario: Scenario) -> Iterator[Scenario]:
    """Leave out the hosts with the highest numbers that no line speaks of."""
    spoken = [int(name[1:]) for line in scenario.lines for name in names_in(line.words) if name[1:].isdigit()]
    least = max([2, *spoken])
    for nodes in sorted({least, (least + scenario.nodes) // 2, scenario.nodes - 1}):
        if least <= nodes < scenario.nodes:
            yield scenario.replace(nodes=nodes)


def _less_time(scenario: Scenario) -> Iterator[Scenario]:
    """Begin earlier, last shorter, end with the last line."""
    if scenario.run_ns:
        yield scenario.replace(run_ns=0)
    if scenario.lines and (idle_ns := scenario.lines[0].at_ns - SECOND) > 0:
        earlier = tuple(line._replace(at_ns=line.at_ns - idle_ns) for line in scenario.lines)
        yield scenario.replace(lines=earlier, run_ns=max(0, scenario.run_ns - idle_ns))
    for index, line in enumerate(scenario.lines):
        if line.for_ns >= 2 * SECOND:
            shorter = Line(line.at_ns, line.words, line.for_ns // 2 // SECOND * SECOND)
            yield scenario.replace(lines=(*scenario.lines[:index], shorter, *scenario.lines[index + 1 :]))


def _plainer(scenario: Scenario) -> Iterator[Scenario]:
    """Without what is probably not the point."""
    for index in range(len(scenario.settings)):
        yield scenario.replace(settings=scenario.settings[:index] + scenario.settings[index + 1 :])
    if scenario.snapshots:
        yield scenario.replace(snapshots=False)
    if scenario.start != "converged":
        yield scenario.replace(start="converged")
