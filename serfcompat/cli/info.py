"""`serf info`: what an agent tells of itself (spec agent §1.5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from serfcompat.agent.gojson import dumps
from serfcompat.agent.quoting import quote
from serfcompat.cli.context import Context
from serfcompat.cli.flags import FlagSet, string
from serfcompat.cli.output import SPACE
from serfcompat.cli.rpc_flags import RPC_FLAGS
from serfcompat.errors import RPCError

HELP = """
Usage: serf info [options]

  Shows numbers and settings of a running agent, for finding out what's wrong.
"""
FLAGS = FlagSet(
    string("format", "text", "Either `text` (the default) or `json`.", value="format"),
    *RPC_FLAGS,
)


def run(ctx: Context, args: Sequence[str]) -> int:
    """Exit 0 if the agent answered and the format is known; the format is looked at last."""
    with ctx.connect() as client:
        try:
            stats = client.stats()
        except RPCError as error:
            return ctx.fail(f"Error querying agent: {error}")
    match ctx.flags["format"]:
        case "text":
            ctx.print(as_text(stats).strip(SPACE))
        case "json":
            ctx.print(dumps(stats))
        case other:
            return ctx.fail(f"Encoding error: Invalid output format {quote(other)}")
    return 0


def as_text(stats: Mapping[str, Mapping[str, str]]) -> str:
    """Sections and their keys, sorted."""
    lines = []
    for section in sorted(stats):
        lines.append(f"{section}:\n")
        lines += [f"\t{key} = {stats[section][key]}\n" for key in sorted(stats[section])]
    return "".join(lines)
