"""`serf reachability`: does every member hear us, and we it? (spec agent §1.13)"""

from __future__ import annotations

import time
from collections.abc import Sequence

from serfcompat.cli.context import Context
from serfcompat.cli.flags import FlagSet, boolean
from serfcompat.cli.rpc_flags import RPC_FLAGS
from serfcompat.errors import RPCError
from serfcompat.rpc.client import Client
from serfcompat.rpc.records import QueryRecord
from serfcompat.serf.member import MemberStatus

HELP = """
Usage: serf reachability [options]

  Sends a query that every live member acknowledges by itself, and compares
  who answered with who is thought to be alive.
"""
FLAGS = FlagSet(
    boolean("verbose", False, "Show each ack, and how long it all took."),
    *RPC_FLAGS,
)
_TIPS = """Troubleshooting tips:
* Make sure that the address each member binds to can be reached by all others.
* Make sure that the address each member advertises leads to the one it binds to.
* Look for address translation (NAT) between members; -advertise may be needed.
* Make sure that firewalls let both UDP and TCP through, in both directions.
* Make sure that switches and routers in between work and are not overloaded."""


def run(ctx: Context, args: Sequence[str]) -> int:
    """Exit 0 if exactly the live members answered, each once."""
    try:
        with ctx.connect() as client:
            return _test(ctx, client)
    except KeyboardInterrupt:
        return ctx.fail("Test interrupted")


def _test(ctx: Context, client: Client) -> int:
    try:
        members = client.members()
    except RPCError as error:
        return ctx.fail(f"Error getting members: {error}")
    live = {member.name for member in members if member.status is MemberStatus.ALIVE}
    ctx.print(f"Total members: {len(members)}, live members: {len(live)}")
    ctx.print("Starting reachability test...")
    started = last = time.monotonic()
    try:
        records = client.query("_serf_ping", request_ack=True)
    except RPCError as error:
        return ctx.fail(f"Error sending query: {error}")
    acks = 0
    seen: set[str] = set()
    duplicates = False
    try:
        for record in records:
            if record.type != QueryRecord.ACK:
                continue
            acks, last = acks + 1, time.monotonic()
            if ctx.flags["verbose"]:
                ctx.print(f"\tAck from '{record.from_}'")
            if record.from_ in seen:
                duplicates = True
                ctx.print(f"Duplicate response from '{record.from_}'")
            seen.add(record.from_)
    except RPCError:
        pass  # the agent is gone: what came counts
    if ctx.flags["verbose"]:
        took, waited = time.monotonic() - started, last - started
        ctx.print(f"Query time: {took:.2f} sec, time to last response: {waited:.2f} sec")
    if duplicates:
        ctx.print("Duplicate responses means there is a misconfiguration. Verify that node names are unique.")
    return _judge(ctx, acks, len(live), seen - live, live - seen, duplicates)


def _judge(ctx: Context, acks: int, live: int, strangers: set[str], missing: set[str], duplicates: bool) -> int:
    if acks == live:
        ctx.print("Successfully contacted all live nodes")
        return 1 if duplicates else 0
    if acks > live:
        ctx.print("Received more acks than live nodes! Acks from non-live nodes:")
        names, meaning = strangers, "This could mean that some members wrongly believe others to have failed."
    else:
        ctx.print("Received less acks than live nodes! Missing acks from:")
        names, meaning = missing, "This could mean that some members can't be reached, or can't reach us."
    for name in sorted(names):
        ctx.print(f"\t{name}")
    ctx.print(f"{meaning}\n\n{_TIPS}")
    return 1
