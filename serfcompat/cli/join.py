"""`serf join`: let an agent join a cluster (spec agent §1.6)."""

from __future__ import annotations

from collections.abc import Sequence

from serfcompat.cli.context import Context
from serfcompat.cli.flags import FlagSet, boolean
from serfcompat.cli.rpc_flags import RPC_FLAGS
from serfcompat.errors import RPCError

HELP = """
Usage: serf join [options] address ...

  Tells a running agent to join the cluster of one or more of these members.
  An address is `host`, `host:port`, `[v6]:port` or `node/host:port`.
"""
FLAGS = FlagSet(
    boolean("replay", False, "Deliver user events from before the join."),
    *RPC_FLAGS,
)


def run(ctx: Context, args: Sequence[str]) -> int:
    """Exit 0 if at least one address answered."""
    if not args:
        return ctx.usage("At least one address to join must be specified.")
    with ctx.connect() as client:
        try:
            contacted = client.join(args, replay=ctx.flags["replay"])
        except RPCError as error:
            return ctx.fail(f"Error joining the cluster: {error}")
    ctx.print(f"Successfully joined cluster by contacting {contacted} nodes.")
    return 0
