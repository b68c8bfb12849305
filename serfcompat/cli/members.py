"""`serf members`: list members (spec agent §1.10)."""

from __future__ import annotations

from collections.abc import Sequence

from serfcompat.agent.gojson import Struct, dumps
from serfcompat.agent.quoting import quote
from serfcompat.cli.context import Context
from serfcompat.cli.flags import FlagSet, boolean, string, strings
from serfcompat.cli.output import SPACE, columns
from serfcompat.cli.rpc_flags import RPC_FLAGS
from serfcompat.cli.tag_flags import split_tags
from serfcompat.errors import RPCError
from serfcompat.serf.member import Member

HELP = """
Usage: serf members [options]

  Lists the members of the cluster, in any state, as an agent knows them.
"""
FLAGS = FlagSet(
    boolean("detailed", False, "Show the protocol versions as well (text only; JSON has them always)."),
    string("format", "text", "Either `text` (the default) or `json`.", value="format"),
    string("name", "", "Only members whose name matches this regular expression.", value="regexp"),
    string("role", "", "Deprecated, use -tag role=<regexp>.", value="regexp"),
    string("status", "", "Only members whose status matches this regular expression.", value="regexp"),
    strings(
        "tag",
        "Only members whose tag matches this regular expression. May be given several times; all must match.",
        value="key=regexp",
    ),
    *RPC_FLAGS,
)


def run(ctx: Context, args: Sequence[str]) -> int:
    """Exit 0 also if nobody matches."""
    tags = ctx.flags["tag"]
    if ctx.flags["role"]:
        ctx.print("Deprecation warning: 'Role' has been replaced with 'Tags'")
        tags = [*tags, f"role={ctx.flags['role']}"]
    wanted = split_tags(ctx, tags)
    with ctx.connect() as client:
        try:
            members = client.members_filtered(name=ctx.flags["name"], status=ctx.flags["status"], tags=wanted)
        except RPCError as error:
            return ctx.fail(f"Error retrieving members: {error}")
    match ctx.flags["format"]:
        case "text":
            ctx.print(as_text(members, detailed=ctx.flags["detailed"]))
        case "json":
            ctx.print(as_json(members))
        case other:
            return ctx.fail(f"Encoding error: Invalid output format {quote(other)}")
    return 0


def as_text(members: Sequence[Member], *, detailed: bool) -> str:
    """A row for each member, in the order given."""
    rows = []
    for member in members:
        tags = ",".join(f"{key}={value}" for key, value in member.tags.items())
        row = f"{member.name}|{member.address}|{member.status}|{tags}"
        if detailed:
            row += (
                f"|Protocol Version: {member.delegate_cur}"
                f"|Available Protocol Range: [{member.delegate_min}, {member.delegate_max}]"
            )
        rows.append(row)
    return columns(rows).strip(SPACE)


def as_json(members: Sequence[Member]) -> str:
    """The members in the order given; null if there are none."""
    listed = [
        Struct(
            name=member.name,
            addr=member.address,
            port=member.port,
            tags=member.tags,
            status=str(member.status),
            protocol={"max": member.delegate_max, "min": member.delegate_min, "version": member.delegate_cur},
        )
        for member in members
    ]
    return dumps({"members": listed or None})
