"""`serfcompat consul-members`: what a Consul pool looks like, without Consul and without joining."""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from serfcompat.agent.config import ConfigError
from serfcompat.agent.gojson import Struct, dumps
from serfcompat.agent.keyring_file import read_keyring
from serfcompat.cli.context import Context
from serfcompat.cli.flags import FlagSet, boolean, duration, string
from serfcompat.cli.output import columns
from serfcompat.errors import VisitError
from serfcompat.swim.config import KEY_SIZES

if TYPE_CHECKING:
    from serfcompat.contrib.consul.events import PoolEvent
    from serfcompat.contrib.consul.members import ConsulMember

HELP = """
Usage: serfcompat consul-members [options] ADDRESS...

  Lists the members of a Consul pool, asked of the first ADDRESS (host or host:port)
  that answers, by Consul's own gossip protocol. It joins nothing and leaves no trace:
  no member of the pool hears of it.

      serfcompat consul-members 10.0.0.1
      serfcompat consul-members -wan 10.0.0.1
      serfcompat consul-members -keyring-file=/opt/consul/serf/local.keyring 10.0.0.1
"""
_SECOND = 1_000_000_000
FLAGS = FlagSet(
    boolean("wan", False, "Ask for the pool between datacenters, on port 8302 instead of 8301."),
    boolean("detailed", False, "Show all tags instead of what they mean."),
    string("status", "", "Only members whose status matches this regular expression.", value="regexp"),
    string("format", "text", "Either `text` (the default) or `json`.", value="format"),
    boolean("follow", False, "Go on, and tell what happens, until interrupted."),
    duration("interval", 5 * _SECOND, "Time between two looks with -follow (5s)."),
    duration("timeout", 10 * _SECOND, "How long to wait for an answer, per address (10s)."),
    string(
        "encrypt",
        os.environ.get("CONSUL_ENCRYPT", ""),
        "The pool's gossip key in base64. Other users may see it here: better use the variable CONSUL_ENCRYPT, "
        "or -keyring-file.",
        value="key",
    ),
    string(
        "keyring-file", "", "File with the pool's keys; Consul keeps serf/local.keyring, -wan: remote.", value="path"
    ),
)


def run(ctx: Context, args: Sequence[str]) -> int:
    """Exit 0 also if nobody matches; 1 if nobody answered, or the arguments are wrong."""
    if not args:
        return ctx.usage("The address of a member is needed.")
    if ctx.flags["format"] not in ("text", "json"):
        return ctx.usage(f"Invalid format: {ctx.flags['format']}")
    try:
        wanted = re.compile(ctx.flags["status"])
        keys = _keys(ctx.flags)
    except re.error as error:
        return ctx.fail(f"-status is no regular expression: {error}")
    except (ValueError, ConfigError) as error:
        return ctx.fail(str(error))
    try:
        return _follow(ctx, args, keys, wanted) if ctx.flags["follow"] else _list(ctx, args, keys, wanted)
    except VisitError as error:
        return ctx.fail(f"Error retrieving members: {error}")


def _list(ctx: Context, addresses: Sequence[str], keys: Sequence[bytes], wanted: re.Pattern[str]) -> int:
    from serfcompat.contrib.consul.pool import look

    pool = look(addresses, wan=ctx.flags["wan"], keys=keys, timeout=ctx.flags["timeout"] / _SECOND)
    _show(ctx, [member for member in pool.members if wanted.search(str(member.status))])
    return 0


def _follow(ctx: Context, addresses: Sequence[str], keys: Sequence[bytes], wanted: re.Pattern[str]) -> int:
    from serfcompat.contrib.consul.watch import Watch

    with Watch(
        addresses,
        wan=ctx.flags["wan"],
        keys=keys,
        every=ctx.flags["interval"] / _SECOND,
        timeout=ctx.flags["timeout"] / _SECOND,
        on_error=lambda error: ctx.print(f"! {error}"),
    ) as watch:
        _show(ctx, [member for member in watch.pool.members if wanted.search(str(member.status))])
        for event in watch:
            ctx.print(told(event))
    return 0


def _show(ctx: Context, members: Sequence[ConsulMember]) -> None:
    members = sorted(members, key=lambda member: (_segment(member), member.name))  # as Consul does
    if ctx.flags["format"] == "json":
        ctx.print(as_json(members))
    else:
        ctx.print(as_tags(members) if ctx.flags["detailed"] else as_text(members))


def as_text(members: Sequence[ConsulMember]) -> str:
    """The table that `consul members` prints."""
    rows = ["Node|Address|Status|Type|Build|Protocol|DC|Segment"]
    for member in members:
        protocol = "" if member.vsn is None else str(member.vsn)
        typed = f"{member.build or '< 0.3'}|{protocol}|{member.datacenter}|{_segment(member)}"
        row = f"{member.name}|{member.address or '-'}|{member.status}|{member.kind}"
        rows.append(f"{row}|{'|||' if member.kind == 'unknown' else typed}")
    return columns(rows)


def as_tags(members: Sequence[ConsulMember]) -> str:
    """The table that `consul members -detailed` prints."""
    rows = ["Node|Address|Status|Tags"]
    for member in members:
        tags = ",".join(f"{key}={value}" for key, value in sorted(member.tags.items()))
        rows.append(f"{member.name}|{member.address or '-'}|{member.status}|{tags}")
    return columns(rows)


def as_json(members: Sequence[ConsulMember]) -> str:
    """The members in the order given; null if there are none."""
    listed = [
        Struct(
            name=member.name,
            address=member.address,
            status=str(member.status),
            type=str(member.kind),
            datacenter=member.datacenter,
            segment=member.segment,
            id=member.id,
            build=member.build,
            tags=dict(member.tags),
        )
        for member in members
    ]
    return dumps({"members": listed or None})


def told(event: PoolEvent) -> str:
    """A line about something that happened."""
    from serfcompat.contrib.consul.events import ConsulEvent, ConsulMemberEvent, NewLeader

    match event:
        case ConsulMemberEvent(type, members):
            return f"{type}: {', '.join(f'{member.name} {member.address}'.strip() for member in members)}"
        case ConsulEvent():
            return f"event {event.name}: {event.payload!r}"
        case NewLeader(server):
            return f"new leader: {server}"
        case _:
            return f"user event {event.name}: {event.payload!r}"


def _segment(member: ConsulMember) -> str:
    if member.segment:
        return member.segment
    return "<all>" if member.kind == "server" else "<default>"


def _keys(flags: Any) -> Sequence[bytes]:
    """Raises ValueError or ConfigError; no key is ever in the text."""
    if flags["keyring-file"]:
        return read_keyring(flags["keyring-file"])
    if not flags["encrypt"]:
        return ()
    try:
        key = base64.b64decode(flags["encrypt"], validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("The key is no base64.") from None
    if len(key) not in KEY_SIZES:
        raise ValueError("The key must have 16, 24 or 32 bytes.")
    return (key,)
