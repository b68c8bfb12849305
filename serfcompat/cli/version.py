"""`serf version` (spec agent §1.16)."""

from __future__ import annotations

from collections.abc import Sequence

from serfcompat.cli.context import Context

HELP = ""
FLAGS = None


def run(ctx: Context, args: Sequence[str]) -> int:
    """Exit 0. The first line is free, the second tells the protocols of Serf."""
    from importlib.metadata import PackageNotFoundError, version

    from serfcompat.serf.config import PROTOCOL_MAX, PROTOCOL_MIN

    try:
        release = version("serfcompat")
    except PackageNotFoundError:
        release = "(not installed)"
    ctx.print(f"serfcompat {release}\nAgent Protocol: {PROTOCOL_MAX} (Understands back to: {PROTOCOL_MIN})")
    return 0
