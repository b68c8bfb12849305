"""`serf leave`: let an agent leave and end (spec agent §1.9)."""

from __future__ import annotations

from collections.abc import Sequence

from serfcompat.cli.context import Context
from serfcompat.cli.flags import FlagSet
from serfcompat.cli.rpc_flags import RPC_FLAGS
from serfcompat.errors import RPCError

HELP = """
Usage: serf leave

  Lets the agent leave the cluster gracefully, and end.
"""
FLAGS = FlagSet(*RPC_FLAGS)


def run(ctx: Context, args: Sequence[str]) -> int:
    """Exit 0 when the leave is over, some seconds later."""
    with ctx.connect() as client:
        try:
            client.leave()
        except RPCError as error:
            return ctx.fail(f"Error leaving: {error}")
    ctx.print("Graceful leave complete")
    return 0
