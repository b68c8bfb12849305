"""`serf query`: ask the cluster and show the answers (spec agent §1.12)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from serfcompat.agent.durations import SECOND
from serfcompat.agent.gojson import Struct, dumps
from serfcompat.cli.context import Context
from serfcompat.cli.flags import FlagSet, boolean, duration, integer, string, strings
from serfcompat.cli.rpc_flags import RPC_FLAGS
from serfcompat.cli.tag_flags import split_tags
from serfcompat.errors import AgentUnreachable, RPCError
from serfcompat.rpc.client import Records
from serfcompat.rpc.records import QueryRecord

HELP = """
Usage: serf query [options] name payload

  Sends a query to the members, or to those that the filters choose, and shows
  acks and responses until the query's time is over. The payload is optional.
"""
FLAGS = FlagSet(
    string("format", "text", "Either `text` (the default) or `json`.", value="format"),
    strings("node", "Ask only this member. May be given several times.", value="name"),
    strings(
        "tag",
        "Ask only members whose tag matches this regular expression somewhere. May be given several times.",
        value="key=regexp",
    ),
    duration("timeout", 0, "How long answers are taken, e.g. 15s. By default the agent decides."),
    boolean("no-ack", False, "Don't ask members to acknowledge the query."),
    integer("relay-factor", 0, "Let members send so many copies of each answer by way of others, 0 to 255."),
    *RPC_FLAGS,
)


NEWLINE = "\n"


def run(ctx: Context, args: Sequence[str]) -> int:
    """Exit 0 when the query is over, also if that is because the agent died; 1 when interrupted."""
    tags = split_tags(ctx, ctx.flags["tag"])
    if not args:
        return ctx.usage("A query name must be specified.")
    if len(args) > 2:
        return ctx.usage("Too many command line arguments. Only a name and payload must be specified.")
    if not 0 <= ctx.flags["relay-factor"] <= 255:
        return ctx.fail("Relay factor must be between 0 and 255")
    name, form = args[0], ctx.flags["format"]
    payload = args[1].encode("utf-8", "surrogateescape") if len(args) == 2 else None
    with ctx.connect() as client:
        if form not in ("text", "json"):
            return ctx.fail(f"Invalid format: {form}")
        try:
            records = client.query(
                name,
                payload,
                filter_nodes=ctx.flags["node"],
                filter_tags=tags,
                request_ack=not ctx.flags["no-ack"],
                relay_factor=ctx.flags["relay-factor"],
                timeout=ctx.flags["timeout"] / SECOND or None,
            )
        except RPCError as error:
            return ctx.fail(f"Error sending query: {error}")
        try:
            if form == "text":
                _show_text(ctx, name, records)
            else:
                _show_json(ctx, records)
        except KeyboardInterrupt:
            return 1
    return 0


def _show_text(ctx: Context, name: str, records: Records[QueryRecord]) -> None:
    acks = responses = 0
    ctx.print(f"Query '{name}' dispatched")
    for record in _until_lost(records):
        if record.type == QueryRecord.ACK:
            acks += 1
            ctx.print(f"Ack from '{record.from_}'")
        elif record.type == QueryRecord.RESPONSE:
            responses += 1
            ctx.print(f"Response from '{record.from_}': {_text(record).removesuffix(NEWLINE)}")
    if not ctx.flags["no-ack"]:
        ctx.print(f"Total Acks: {acks}")
    ctx.print(f"Total Responses: {responses}")


def _show_json(ctx: Context, records: Records[QueryRecord]) -> None:
    acks: list[str] = []
    responses: dict[str, str] = {}
    for record in _until_lost(records):
        if record.type == QueryRecord.ACK:
            acks.append(record.from_)
        elif record.type == QueryRecord.RESPONSE:
            responses[record.from_] = _text(record)
    ctx.print(dumps(Struct(Acks=acks or None, Responses=responses)))


def _until_lost(records: Records[QueryRecord]) -> Iterator[QueryRecord]:
    """An agent that dies ends the query like any other end."""
    with contextlib.suppress(AgentUnreachable):
        yield from records


def _text(record: QueryRecord) -> str:
    return (record.payload or b"").decode("utf-8", "surrogateescape")
