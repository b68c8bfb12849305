"""`serf monitor`: follow an agent's log and events (spec agent §1.11)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from serfcompat.cli.context import Context
from serfcompat.cli.flags import FlagSet, string
from serfcompat.cli.output import go_syntax
from serfcompat.cli.rpc_flags import RPC_FLAGS
from serfcompat.errors import AgentUnreachable, RPCError
from serfcompat.rpc.client import Records
from serfcompat.rpc.records import event_fields

HELP = """
Usage: serf monitor [options]

  Shows the recent log of an agent, then follows its log and its events until
  it is interrupted. The level is independent of the agent's own.
"""
FLAGS = FlagSet(
    string("log-level", "INFO", "One of TRACE, DEBUG, INFO, WARN and ERR (default INFO).", value="level"),
    *RPC_FLAGS,
)
_LOST = """
Remote side ended the monitor! This usually means that the
remote side has exited or crashed."""


def run(ctx: Context, args: Sequence[str]) -> int:
    """Exit 0 when interrupted, 1 if the agent ends."""
    with ctx.connect() as client:
        try:
            records: Records[Any] = client.stream("*")
        except RPCError as error:
            return ctx.fail(f"Error starting stream: {error}")
        try:
            client.monitor(ctx.flags["log-level"], into=records)
        except RPCError as error:
            return ctx.fail(f"Error starting monitor: {error}")
        try:
            for record in records:
                if isinstance(record, str):
                    ctx.print(record)
                else:
                    fields = event_fields(record).items()
                    ctx.print("\n".join(["Event Info:", *(f"\t{key}: {go_syntax(value)}" for key, value in fields)]))
        except AgentUnreachable:
            return ctx.fail(_LOST)
        except KeyboardInterrupt:
            records.close()
    return 0
