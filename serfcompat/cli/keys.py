"""`serf keys`: change and list the encryption keys of the cluster (spec agent §1.8)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from serfcompat.cli.context import Context
from serfcompat.cli.flags import FlagSet, boolean, string
from serfcompat.cli.output import columns
from serfcompat.cli.rpc_flags import RPC_FLAGS
from serfcompat.errors import RPCError
from serfcompat.rpc.replies import KeyReply

HELP = """
Usage: serf keys [options]...

  Changes or lists the encryption keys on all members. To replace a key:
  install the new one, use it, then remove the old one.
"""
FLAGS = FlagSet(
    string("install", "", "Add a key on all members; nobody encrypts with it yet.", value="key"),
    string("use", "", "Let all members encrypt with a key that is installed.", value="key"),
    string("remove", "", "Remove a key that is no longer used.", value="key"),
    boolean("list", False, "List the keys of all members, and how many members have each."),
    *RPC_FLAGS,
)
_CHANGES = {
    "install": ("Installing key on all members...", "Successfully installed key!", "Error installing key"),
    "use": (
        "Changing primary key on all members...",
        "Successfully changed primary key!",
        "Error changing primary key",
    ),
    "remove": ("Removing key on all members...", "Successfully removed key!", "Error removing key"),
}
"Flag → what is said before, after, and if it fails."


def run(ctx: Context, args: Sequence[str]) -> int:
    """Exit 0 if every member did as told."""
    wanted = [name for name in ("install", "use", "remove", "list") if ctx.flags[name]]
    if not wanted:
        return ctx.fail(ctx.help_text)
    if len(wanted) > 1:
        return ctx.fail("Only one of -install, -use, -remove, or -list allowed")
    with ctx.connect() as client:
        if wanted == ["list"]:
            return _list(ctx, client.list_keys)
        act = {"install": client.install_key, "use": client.use_key, "remove": client.remove_key}[wanted[0]]
        return _change(ctx, wanted[0], act)


def _change(ctx: Context, name: str, act: Callable[[str], KeyReply]) -> int:
    before, after, failure = _CHANGES[name]
    ctx.print(f"==> {before}")
    try:
        act(ctx.flags[name])
    except RPCError as error:
        return _fail(ctx, error, failure)
    ctx.print(f"==> {after}")
    return 0


def _list(ctx: Context, act: Callable[[], KeyReply]) -> int:
    ctx.print("==> Asking all members for installed keys...")
    try:
        reply = act()
    except RPCError as error:
        return _fail(ctx, error, "Failed to gather member keys")
    ctx.print("==> Keys gathered, listing cluster keys...")
    ctx.print()
    counts = sorted((reply.keys or {}).items())
    ctx.print(columns([f"{key} | [{count}/{reply.num_nodes}]" for key, count in counts]))
    return 0


def _fail(ctx: Context, error: RPCError, failure: str) -> int:
    """Complaints of members, an empty line, and the outcome."""
    if isinstance(error.reply, KeyReply) and error.reply.messages:
        rows = [f"failed: | {node} | {message}" for node, message in sorted(error.reply.messages.items())]
        ctx.print(columns(rows))
    ctx.print()
    return ctx.fail(f"{failure}: {error}")
