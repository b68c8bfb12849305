"""`serfcompat simulate`: a whole cluster on virtual time, to try settings and faults before a roll-out."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serfcompat.cli import flags
from serfcompat.cli.context import Context
from serfcompat.errors import UsageError

if TYPE_CHECKING:
    from serfcompat.sim.experiment import Experiment

HELP = """
Usage: serfcompat simulate [options]

  Runs a whole cluster in this process, on virtual time and a network in memory, and
  tells how soon failures are noticed, how many are false, and what it costs. The
  protocol is the one that agents run, not a model of it, and the same seed gives the
  same result.

      serfcompat simulate -nodes 1000 -kill 10 -loss 5% -html report.html

  With -scenario it plays a text instead, with -plans it makes up faults at random and
  checks the protocol's laws at each step; docs/simulator.md tells more.

  The exit status is 1 for a wrong option and 2 for a broken law or expectation.
"""
FLAGS = flags.FlagSet(
    flags.integer("nodes", 100, "Nodes in the cluster."),
    flags.integer("kill", 0, "Nodes that die, at random times in the first third."),
    flags.string("seconds", "60", "Virtual time to simulate.", value="s"),
    flags.string("seed", "0", "What all chance comes from.", value="text"),
    flags.string("loss", "0", "Share of datagrams that get lost, like 0.05 or 5%.", value="share"),
    flags.string("latency", "200us..1ms", "One way: 1ms, 1ms..5ms, or ~3ms for a long tail.", value="time"),
    flags.string("level", "serf", "serf or memberlist.", value="level"),
    flags.string("profile", "lan", "Defaults for lan, wan or local.", value="name"),
    flags.string("start", "converged", "converged: all know each other; joining: all join the first.", value="how"),
    flags.strings("set", "A setting of all nodes, like suspicion_mult=5. May be repeated.", value="field=value"),
    flags.strings(
        "sweep", "Compare settings, like suspicion_mult=3,4,6. May be repeated for combinations.", value="field=a,b"
    ),
    flags.string("format", "text", "text or json.", value="name"),
    flags.string("html", "", "Write a report with charts into this file.", value="file"),
    flags.string("transcript", "", "Write a line for every step into this file.", value="file"),
    flags.string("scenario", "", "Play this scenario instead, and check what it expects.", value="file"),
    flags.integer("plans", 0, "Run so many random fault plans instead, numbered from -first."),
    flags.integer("first", 0, "Number of the first plan."),
    flags.integer("jobs", 1, "Processes that run plans side by side."),
)


def run(ctx: Context, args: Sequence[str]) -> int:
    """Exit 0; 1 if it was asked wrongly; 2 if a law or an expectation was broken."""
    from serfcompat.cli.simulate_modes import compare, measure, play, try_plans

    if args:
        return ctx.usage(f"No arguments are expected, only options: {' '.join(args)}")
    if ctx.flags["format"] not in ("text", "json"):
        return ctx.usage(f"Invalid format: {ctx.flags['format']}")
    try:
        if ctx.flags["scenario"]:
            return play(ctx, _read(ctx.flags["scenario"]), ctx.flags["transcript"])
        if ctx.flags["plans"]:
            return try_plans(ctx, ctx.flags["first"], ctx.flags["plans"], ctx.flags["jobs"])
        experiment = _experiment(ctx.flags)
        if ctx.flags["sweep"]:
            return compare(ctx, experiment, [_parameter(text) for text in ctx.flags["sweep"]])
        return measure(ctx, experiment)
    except UsageError as error:
        return ctx.fail(f"Error: {error}")
    except OSError as error:
        return ctx.fail(f"Error: {error.filename}: {error.strerror}")


def _read(path: str) -> str:
    return Path(path).read_text(encoding="utf-8")


def _experiment(values: Any) -> Experiment:
    from serfcompat.sim.experiment import Experiment
    from serfcompat.sim.scenario import read

    # The options are the lines of a scenario; so there is one reader, with one kind of complaint.
    lines = [f"nodes {values['nodes']} {values['level']}"]
    lines += [f"{name} {values[name]}" for name in ("seed", "loss", "latency", "profile", "start")]
    lines += [f"set {' '.join(_pair(text))}" for text in values["set"]]
    scenario = read("\n".join(lines))
    scenario.template().check()
    try:
        seconds = float(values["seconds"])
    except ValueError:
        seconds = 0.0
    if not 1.0 <= seconds <= 1e6:
        raise UsageError(f"-seconds {values['seconds']}: at least one second is needed")
    return Experiment(scenario=scenario, kill=values["kill"], seconds=seconds)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name or not value:
        raise UsageError(f"'{text}' is no setting: write it like suspicion_mult=5")
    return name, value


def _parameter(text: str) -> tuple[str, list[str]]:
    name, values = _pair(text)
    return name, values.split(",")


def make_dice(purpose: str) -> random.Random:
    """Dice of the simulator: always the same from the same text."""
    return random.Random(purpose)
