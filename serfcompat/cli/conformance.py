"""`serfcompat conformance`: prove or refute that a program is compatible."""

from __future__ import annotations

import base64
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serfcompat.cli import flags
from serfcompat.cli.context import Context
from serfcompat.errors import UsageError

if TYPE_CHECKING:
    from serfcompat.conformance.differential.compare import Compared
    from serfcompat.conformance.result import Report, Result
    from serfcompat.conformance.runner import Options

HELP = """
Usage: serfcompat conformance [options]

  Tests whether a program, in whatever language, speaks the protocols of memberlist and
  Serf as Go's do. Each case has a statement; a broken one is told with what was
  expected, what was seen, the packets and the program's log.

      serfcompat conformance -impl './my-agent agent -node={name} -bind={bind} -rpc-addr={rpc} {extra}'
      serfcompat conformance -memberlist 127.0.0.1:7946 -profile lan

  The first form starts agents and tests everything. The second one talks in packets
  and streams to one node that runs already. -list shows all cases; -differential compares
  whole clusters by random scripts instead. docs/conformance.md tells more.

  The exit status is 0 if all holds, 1 if a `must` is broken, 2 if something could not be
  judged or the options are wrong, 3 if only a `should` is broken, and 4 if only bytes
  differ that Go tolerates.
"""
FLAGS = flags.FlagSet(
    flags.string(
        "impl", "", "Command that starts an agent, with {name}, {bind}, {rpc} and {extra} in it.", value="command"
    ),
    flags.string("memberlist", "", "Address of a node that runs already.", value="host:port"),
    flags.strings("only", "An area, a case, or a pattern such as 'ping-*'. May be repeated.", value="name"),
    flags.boolean("list", False, "Show the cases, and run none."),
    flags.string("format", "text", "text, json, junit or html.", value="name"),
    flags.string("output", "", "Write the report into this file instead of stdout.", value="file"),
    flags.string("badge", "", "Write an SVG badge into this file as well.", value="file"),
    flags.string("profile", "", "Timings of the nodes: lan, wan or local (local; with -memberlist lan).", value="name"),
    flags.string("key", "", "Key of the node of -memberlist, in base64.", value="key"),
    flags.string("label", "", "Label of the node of -memberlist.", value="text"),
    flags.string("label-flag", "", "What gives an agent of -impl a label, such as -label.", value="flag"),
    flags.string(
        "as", "", "Release of memberlist that the program is to match, such as 0.5.0 (newest).", value="release"
    ),
    flags.integer("jobs", 8, "Cases that run at the same time."),
    flags.integer("attempts", 2, "How often a case that fails is tried."),
    flags.integer("differential", 0, "Play so many random scripts on -against and on -impl, and compare."),
    flags.integer("seed", 1, "Of the first of these scripts; the others follow."),
    flags.string("against", "", "Command of the reference's agents, such as Go's; like -impl.", value="command"),
    flags.boolean("fail-fast", False, "Stop at the first failure."),
    flags.boolean("quiet", False, "Show no progress."),
)
FORMATS = ("text", "json", "junit", "html")


def run(ctx: Context, args: Sequence[str]) -> int:
    """The exit status that the help tells."""
    from serfcompat.conformance.case import Level
    from serfcompat.conformance.catalogue import choose
    from serfcompat.conformance.report.text import listing

    try:
        if args:
            raise UsageError(f"no arguments are expected, only options: {' '.join(args)}")
        if ctx.flags["format"] not in FORMATS:
            raise UsageError(f"-format {ctx.flags['format']}: it is one of {', '.join(FORMATS)}")
        if ctx.flags["differential"]:
            return _compare(ctx)
        level = Level.MEMBERLIST if ctx.flags["memberlist"] else Level.AGENT
        chosen = choose(ctx.flags["only"], level)
        if ctx.flags["list"]:
            ctx.print(listing(chosen))
            return 0
        report = dataclasses.replace(_run(ctx, chosen), settings=_settings(ctx.flags))
    except UsageError as error:
        ctx.usage(str(error))
        return 2
    _tell(ctx, report)
    return report.exit_code


def _run(ctx: Context, chosen: Sequence[Any]) -> Report:
    from serfcompat.conformance.agents import Setup, Template
    from serfcompat.conformance.implementation import Implementation
    from serfcompat.conformance.runner import run as run_cases
    from serfcompat.conformance.single import SingleNode

    flags = ctx.flags
    if bool(flags["impl"]) == bool(flags["memberlist"]):
        raise UsageError("tell what to test: either -impl COMMAND or -memberlist HOST:PORT")
    options, show = _options(flags), None if flags["quiet"] else _show
    if flags["memberlist"]:
        return run_cases(chosen, SingleNode(_node(flags)), options, show)
    _profile(flags["profile"] or "local")
    setup = Setup(flags["profile"] or "local", flags["label-flag"])
    with Implementation(Template.parse(flags["impl"]), setup) as implementation:
        return run_cases(chosen, implementation, options, show)


def _settings(flags: Any) -> dict[str, str]:
    """What a reader of the report has to know."""
    profile = flags["profile"] or ("lan" if flags["memberlist"] else "local")
    known = {"profile": profile, "as": flags["as"] or "newest", "label": flags["label"]}
    known["only"] = ", ".join(flags["only"])
    return {name: value for name, value in known.items() if value}


def _compare(ctx: Context) -> int:
    """Exit 0 if all scripts agree, else 1; the differences are printed."""
    from serfcompat.conformance.agents import Template
    from serfcompat.conformance.differential.compare import Comparison

    flags = ctx.flags
    if not flags["impl"] or not flags["against"]:
        raise UsageError("-differential compares two commands: -against COMMAND and -impl COMMAND")
    comparison = Comparison(Template.parse(flags["against"]), Template.parse(flags["impl"]))
    seeds = range(flags["seed"], flags["seed"] + flags["differential"])
    found = comparison.run(seeds, at_once=min(3, flags["jobs"]), told=None if flags["quiet"] else _show_compared)
    for compared in found:
        if not compared.agrees:
            ctx.print("\n".join([str(compared.script), *compared.differences, ""]))
    agree = sum(compared.agrees for compared in found)
    ctx.print(f"{agree} of {len(found)} scripts agree")
    return 0 if agree == len(found) else 1


def _show_compared(compared: Compared, done: int, of: int) -> None:
    verdict = "agrees" if compared.agrees else "DIFFERS"
    print(f"[{done:3}/{of}] {verdict:7} script {compared.script.seed}", file=sys.stderr, flush=True)


def _options(flags: Any) -> Options:
    from serfcompat.conformance.release import parse
    from serfcompat.conformance.runner import Options

    if flags["as"]:
        parse(flags["as"])
    if flags["jobs"] < 1 or flags["attempts"] < 1:
        raise UsageError("-jobs and -attempts are at least 1")
    return Options(flags["as"], flags["jobs"], flags["attempts"], flags["fail-fast"])


def _node(flags: Any) -> Any:
    from serfcompat.conformance.case import Need
    from serfcompat.conformance.node import Node
    from serfcompat.conformance.stranger import split_address
    from serfcompat.wire.layers import Layers

    try:
        split_address(flags["memberlist"])
        key = base64.b64decode(flags["key"], validate=True)
    except ValueError as error:
        raise UsageError(f"-memberlist is HOST:PORT, -key is base64: {error}") from None
    if len(key) not in (0, 16, 24, 32):
        raise UsageError("-key has 16, 24 or 32 bytes")
    facts = {Need.KEY if key else Need.NO_KEY, Need.LABEL if flags["label"] else Need.NO_LABEL}
    layers = Layers(label=flags["label"].encode(), keys=(key,) if key else ())
    return Node(flags["memberlist"], layers, _profile(flags["profile"] or "lan"), frozenset(facts))


def _profile(name: str) -> Any:
    from serfcompat.conformance.node import PROFILES

    if name not in PROFILES:
        raise UsageError(f"-profile {name}: it is one of {', '.join(PROFILES)}")
    return PROFILES[name]()


def _show(result: Result, done: int, of: int) -> None:
    from serfcompat.conformance.report.text import progress

    print(progress(result, done, of), file=sys.stderr, flush=True)


def _tell(ctx: Context, report: Report) -> None:
    from serfcompat.conformance.report.machine import as_json, junit
    from serfcompat.conformance.report.page import badge, page
    from serfcompat.conformance.report.text import summary, text

    forms = {"text": text, "json": as_json, "junit": junit, "html": page}
    told = forms[ctx.flags["format"]](report)
    if ctx.flags["output"]:
        Path(ctx.flags["output"]).write_text(told + "\n", encoding="utf-8", errors="surrogateescape")
        ctx.print(summary(report))
    else:
        ctx.print(told)
    if ctx.flags["badge"]:
        Path(ctx.flags["badge"]).write_text(badge(report), encoding="utf-8")
