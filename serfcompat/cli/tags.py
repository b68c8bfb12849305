"""`serf tags`: change an agent's tags (spec agent §1.15)."""

from __future__ import annotations

from collections.abc import Sequence

from serfcompat.cli.context import Context
from serfcompat.cli.flags import FlagSet, strings
from serfcompat.cli.rpc_flags import RPC_FLAGS
from serfcompat.cli.tag_flags import split_tags
from serfcompat.errors import RPCError

HELP = """
Usage: serf tags [options] ...

  Sets and deletes tags of a running agent. Other tags stay as they are.
"""
FLAGS = FlagSet(
    strings("set", "Set a tag. May be given several times.", value="key=value"),
    strings("delete", "Delete a tag. May be given several times.", value="key"),
    *RPC_FLAGS,
)


def run(ctx: Context, args: Sequence[str]) -> int:
    """Exit 0 when the others know the new tags. ⚠ The tags are looked at after connecting."""
    if not ctx.flags["set"] and not ctx.flags["delete"]:
        return ctx.fail(ctx.help_text)
    with ctx.connect() as client:
        tags = split_tags(ctx, ctx.flags["set"])
        try:
            client.update_tags(tags, ctx.flags["delete"])
        except RPCError as error:
            return ctx.fail(f"Error setting tags: {error}")
    ctx.print("Successfully updated agent tags")
    return 0
