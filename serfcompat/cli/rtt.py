"""`serf rtt`: estimate the round trip time between two members (spec agent §1.14)."""

from __future__ import annotations

from collections.abc import Sequence

from serfcompat.agent.quoting import quote
from serfcompat.cli.context import Context, Failed
from serfcompat.cli.flags import FlagSet
from serfcompat.cli.rpc_flags import RPC_FLAGS
from serfcompat.errors import RPCError
from serfcompat.rpc.client import Client
from serfcompat.serf.vivaldi import Coordinate

HELP = """
Usage: serf rtt [options] node1 [node2]

  Estimates the round trip time between two members from their network
  coordinates. Without a second name, the agent that is asked is taken.
"""
FLAGS = FlagSet(*RPC_FLAGS)


def run(ctx: Context, args: Sequence[str]) -> int:
    """Exit 0 if both coordinates are known. ⚠ The arguments are looked at after connecting."""
    with ctx.connect() as client:
        if len(args) not in (1, 2):
            return ctx.usage("One or two node names must be specified")
        nodes = list(args)
        if len(nodes) == 1:
            try:
                nodes.append(client.stats()["agent"]["name"])
            except RPCError as error:
                return ctx.fail(f"Error querying agent: {error}")
        first, second = (_coordinate(ctx, client, node) for node in nodes)
    try:
        milliseconds = first.distance_ns(second) / 1e6
    except ValueError as error:  # upstream crashes here
        return ctx.fail(f"Error getting coordinates: {error}")
    ctx.print(f"Estimated {nodes[0]} <-> {nodes[1]} rtt: {milliseconds:.3f} ms")
    return 0


def _coordinate(ctx: Context, client: Client, node: str) -> Coordinate:
    try:
        found = client.coordinate(node)
    except RPCError as error:
        ctx.print(f"Error getting coordinates: {error}")
        raise Failed from None
    if found is None:
        ctx.print(f"Could not find a coordinate for node {quote(node)}")
        raise Failed
    return Coordinate(tuple(found.vec or ()), found.error, found.adjustment, found.height)
