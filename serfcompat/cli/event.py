"""`serf event`: send a user event (spec agent §1.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from serfcompat.cli.context import Context
from serfcompat.cli.flags import FlagSet, boolean, strings
from serfcompat.cli.rpc_flags import RPC_FLAGS
from serfcompat.cli.tag_flags import split_tags
from serfcompat.errors import RPCError
from serfcompat.rpc.protocol import UNSUPPORTED_COMMAND

HELP = """
Usage: serf event [options] name payload

  Sends a user event to all members of the cluster. The payload is optional.
  With -tag only the members whose tags match hear of it. Serf has no such
  events: Go's members take them for queries, and run their query handlers.
"""
FLAGS = FlagSet(
    boolean("coalesce", True, "Members may merge events of this name that come at the same time (default true)."),
    strings(
        "tag",
        "Tell only members whose tag matches this regular expression somewhere. May be given several times.",
        value="key=regexp",
    ),
    *RPC_FLAGS,
)


def run(ctx: Context, args: Sequence[str]) -> int:
    """Exit 0 once the agent has taken the event."""
    if not args:
        return ctx.usage("An event name must be specified.")
    if len(args) > 2:
        return ctx.usage("Too many command line arguments. Only a name and payload must be specified.")
    name, coalesce = args[0], ctx.flags["coalesce"]
    # No payload and an empty one differ on the wire.
    payload = args[1].encode("utf-8", "surrogateescape") if len(args) == 2 else None
    if tags := split_tags(ctx, ctx.flags["tag"]):
        return _to_some(ctx, name, payload, tags)
    with ctx.connect() as client:
        try:
            client.user_event(name, payload, coalesce=coalesce)
        except RPCError as error:
            return ctx.fail(f"Error sending event: {error}")
    ctx.print(f"Event '{name}' dispatched! Coalescing enabled: {'true' if coalesce else 'false'}")
    return 0


def _to_some(ctx: Context, name: str, payload: bytes | None, tags: Mapping[str, str]) -> int:
    """An event for members whose tags match; from a Go agent, a query."""
    chosen = ", ".join(f"{key}={value}" for key, value in tags.items())
    with ctx.connect() as client:
        try:
            client.user_event(name, payload, tags=tags)
        except RPCError as error:
            if str(error) != UNSUPPORTED_COMMAND:
                return ctx.fail(f"Error sending event: {error}")
        else:
            ctx.print(f"Event '{name}' dispatched to members with {chosen}")
            return 0
    with ctx.connect() as client:  # a Go agent hangs up on commands that it doesn't know
        try:
            client.query(name, payload, filter_tags=tags)
        except RPCError as error:
            return ctx.fail(f"Error sending event: {error}")
    ctx.print(f"Query '{name}' dispatched to members with {chosen}: this agent knows no events for some members only")
    return 0
