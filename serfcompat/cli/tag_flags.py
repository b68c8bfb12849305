"""`key=value` arguments, as several commands take them (spec agent §2.6)."""

from __future__ import annotations

from collections.abc import Sequence

from serfcompat.agent.tags import split_tag
from serfcompat.cli.context import Context, Failed


def split_tags(ctx: Context, arguments: Sequence[str]) -> dict[str, str]:
    """Key to value; the last of a key wins. Complains and raises Failed if one has no key."""
    try:
        return dict(split_tag(argument) for argument in arguments)
    except ValueError as error:
        ctx.print(f"Error: {error}")
        raise Failed from None
