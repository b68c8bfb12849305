"""`serf force-leave`: declare a failed member gone (spec agent §1.4)."""

from __future__ import annotations

from collections.abc import Sequence

from serfcompat.cli.context import Context
from serfcompat.cli.flags import FlagSet, boolean
from serfcompat.cli.rpc_flags import RPC_FLAGS
from serfcompat.errors import RPCError

HELP = """
Usage: serf force-leave [options] name

  Turns a failed member into one that left, so that nobody tries to reach it
  any more. A member that is alive after all joins again by itself.
"""
FLAGS = FlagSet(
    boolean("prune", False, "Forget the member at once; it is no longer listed."),
    *RPC_FLAGS,
)


def run(ctx: Context, args: Sequence[str]) -> int:
    """Exit 0 also for a name that nobody has. Prints nothing then."""
    if len(args) != 1:
        return ctx.usage("A node name must be specified to force leave.")
    with ctx.connect() as client:
        try:
            client.force_leave(args[0], prune=ctx.flags["prune"])
        except RPCError as error:
            return ctx.fail(f"Error force leaving: {error}")
    return 0
