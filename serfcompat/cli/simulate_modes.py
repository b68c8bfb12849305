"""What `serfcompat simulate` can do: measure, compare settings, play a scenario, try random plans."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from serfcompat.cli.context import Context
from serfcompat.cli.simulate import make_dice
from serfcompat.errors import UsageError
from serfcompat.sim import plans
from serfcompat.sim.experiment import Experiment, Result, Spread, sweep
from serfcompat.sim.observer import Observer
from serfcompat.sim.page import page
from serfcompat.sim.scenario import Scenario, read
from serfcompat.sim.shrink import shrink
from serfcompat.sim.transcript import Recent, Transcript

_SHRINK_RUNS = 150


def measure(ctx: Context, experiment: Experiment) -> int:
    """One experiment, as a table, as JSON, or as a page beside one of them."""
    began = time.perf_counter()
    with contextlib.ExitStack() as stack:
        observers: list[Observer] = []
        if path := ctx.flags["transcript"]:
            observers.append(Transcript(stack.enter_context(open(path, "w", encoding="utf-8")).write))
        tell = stack.enter_context(_progress(ctx, "simulating", experiment.seconds))
        result = experiment.run(make_dice, observers=observers, progress=tell)
    wall = time.perf_counter() - began
    if path := ctx.flags["html"]:
        command = f"serfcompat simulate {_options(experiment)}"
        Path(path).write_text(page(experiment, result, command), encoding="utf-8")
    if ctx.flags["format"] == "json":
        ctx.print(json.dumps(result.summary() | {"wall_seconds": round(wall, 3)}, indent=2))
    else:
        ctx.print(_table([("", result, wall)]))
        if ctx.flags["html"]:
            ctx.print(f"Report written to {ctx.flags['html']}")
    return 0


def compare(ctx: Context, experiment: Experiment, parameters: Sequence[tuple[str, Sequence[str]]]) -> int:
    """The same experiment with other settings, side by side."""
    if ctx.flags["html"] or ctx.flags["transcript"]:
        raise UsageError("-html and -transcript are for one experiment, not for a sweep")
    variants = sweep(experiment, parameters)
    for _, variant in variants:
        variant.scenario.template().check()
    columns: list[tuple[str, Result, float]] = []
    with _progress(ctx, "simulating", experiment.seconds * len(variants)) as tell:
        for number, (name, variant) in enumerate(variants):
            began, before = time.perf_counter(), experiment.seconds * number

            def tell_all(seconds: float, before: float = before) -> None:
                tell(before + seconds)

            result = variant.run(make_dice, progress=tell_all)
            columns.append((name, result, time.perf_counter() - began))
    if ctx.flags["format"] == "json":
        rows = [{"settings": name} | r.summary() | {"wall_seconds": round(w, 3)} for name, r, w in columns]
        ctx.print(json.dumps(rows, indent=2))
    else:
        ctx.print(_table(columns))
    return 0


def play(ctx: Context, text: str, transcript: str) -> int:
    """A scenario, under the protocol's laws."""
    scenario = read(text)
    recent = Recent()
    with contextlib.ExitStack() as stack:
        observers: list[Observer] = [recent]
        if transcript:
            observers.append(Transcript(stack.enter_context(open(transcript, "w", encoding="utf-8")).write))
        outcome = plans.run(scenario, make_dice, observers)
    if outcome.broken is not None:
        ctx.print(f"{recent}\n{outcome.error}")
        return 2
    settled = f"; all views agree after {outcome.settled_ns / 1e9:g} s" if scenario.settle else ""
    ctx.print(f"All laws hold, and {len(scenario.expectations)} expectations, in {outcome.steps} steps{settled}.")
    return 0


def try_plans(ctx: Context, first: int, count: int, jobs: int = 1) -> int:
    """Random plans under all laws. One that breaks a law is shrunk, and written as a scenario."""
    steps, longest = 0, 0.0
    made = []
    with (
        _progress(ctx, "random plans", count) as tell,
        contextlib.closing(_outcomes(range(first, first + count), jobs)) as outcomes,
    ):
        for number, (plan, outcome) in enumerate(outcomes, first):
            made.append(plan)
            if outcome.broken is not None:
                return _report_broken(ctx, number, plan, outcome)
            steps += outcome.steps
            longest = max(longest, outcome.settled_ns / 1e9)
            tell(number - first + 1)
    coverage = plans.coverage(made)
    if ctx.flags["format"] == "json":
        ctx.print(json.dumps({"plans": count, "steps": steps, "settled_seconds_max": longest, "coverage": coverage}))
    else:
        ctx.print(f"{count} plans hold all laws, in {steps} steps; the last views agreed after {longest:.0f} s.")
        ctx.print("Plans with each kind of fault:")
        for kind, plans_with_it in coverage.items():
            ctx.print(f"  {kind:<14} {plans_with_it:>5}")
    return 0


def _try_plan(number: int) -> tuple[Scenario, plans.Outcome]:
    plan = plans.make(str(number), make_dice(f"plan {number}"))
    return plan, plans.run(plan, make_dice)


def _outcomes(numbers: Sequence[int], jobs: int) -> Generator[tuple[Scenario, plans.Outcome]]:
    """Each plan and what became of it, in order."""
    if jobs <= 1:
        yield from map(_try_plan, numbers)
        return
    with ProcessPoolExecutor(jobs) as pool:
        try:
            yield from pool.map(_try_plan, numbers)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # if one is broken, the others don't matter


def _report_broken(ctx: Context, number: int, plan: Scenario, outcome: plans.Outcome) -> int:
    ctx.print(f"Plan {number} is broken: {outcome.error}")

    def fails(candidate: Scenario) -> bool:
        return plans.run(candidate, make_dice).broken == outcome.broken

    with _progress(ctx, "shrinking", _SHRINK_RUNS):
        shrunk = shrink(plan, fails, most_runs=_SHRINK_RUNS)
    path = Path(f"plan-{number}.txt")
    path.write_text(str(shrunk), encoding="utf-8")
    ctx.print(f"It shrank to {len(shrunk.lines)} faults on {shrunk.nodes} nodes. Replay it with:")
    ctx.print(f"  serfcompat simulate -scenario {path} -transcript plan-{number}.log")
    return 2


# -- printing ----------------------------------------------------------------------------------


def _table(columns: Sequence[tuple[str, Result, float]]) -> str:
    """Results side by side."""
    from io import StringIO

    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, show_header=len(columns) > 1)
    table.add_column("", no_wrap=True)
    for name, _, _ in columns:
        table.add_column(name.replace(" ", "\n"), justify="right")
    rows: list[tuple[str, Callable[[Result, float], str]]] = [
        ("nodes / killed", lambda r, _: f"{r.nodes} / {r.killed}"),
        ("failed, known to everybody", lambda r, _: f"{r.failed}, {r.disseminated}"),
        ("false failures", lambda r, _: str(r.false_failures)),
        ("false suspicions", lambda r, _: str(r.false_suspicions)),
        ("all views agree at the end", lambda r, _: "yes" if r.converged else "no"),
        ("first suspicion, median / max s", lambda r, _: _spread(r.first_suspicion)),
        ("first detection, median / max s", lambda r, _: _spread(r.first_detection)),
        ("full dissemination, median / max s", lambda r, _: _spread(r.dissemination)),
        ("datagrams per node and second", lambda r, _: f"{r.messages_per_node_second:.2f}"),
        ("bytes per node and second", lambda r, _: f"{r.bytes_per_node_second:.0f}"),
        ("stream bytes per node and second", lambda r, _: f"{r.stream_bytes_per_node_second:.0f}"),
        ("datagrams sent / lost", lambda r, _: f"{r.messages} / {r.lost}"),
        ("wall seconds", lambda _, wall: f"{wall:.2f}"),
    ]
    for label, cell in rows:
        table.add_row(label, *(cell(result, wall) for _, result, wall in columns))
    out = StringIO()
    Console(file=out, width=1000).print(table)  # as wide as it has to be
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines() if line.strip())


def _spread(spread: Spread) -> str:
    return "–" if spread.median is None or spread.most is None else f"{spread.median:.2f} / {spread.most:.2f}"


def _options(experiment: Experiment) -> str:
    """The options that repeat an experiment."""
    scenario = experiment.scenario
    conditions = scenario.conditions
    options = [
        f"-nodes {scenario.nodes}", f"-kill {experiment.kill}", f"-seconds {experiment.seconds:g}",
        f"-seed {scenario.seed}", f"-loss {conditions.loss:g}", f"-latency {conditions.latency}",
        f"-level {scenario.level}", f"-profile {scenario.profile}", f"-start {scenario.start}",
    ]  # fmt: skip
    return " ".join(options + [f"-set {name}={value}" for name, value in scenario.settings])


@contextlib.contextmanager
def _progress(ctx: Context, what: str, total: float) -> Iterator[Callable[[float], None]]:
    """A bar on stderr, if somebody looks at it."""
    if ctx.flags["format"] != "text" or not sys.stderr.isatty():
        yield lambda _done: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)
