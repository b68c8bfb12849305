"""Which members an RPC client wants to see (spec agent §4.6.10)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from serfcompat.serf.member import Member
from serfcompat.serf.re2 import search
from serfcompat.serf.text import raw


def matching(members: Iterable[Member], *, name: str, status: str, tags: Mapping[str, str]) -> list[Member]:
    """Members that match every expression; an empty name or status is none. Raises RE2Error.

    ⚠ Upstream puts `^` before and `$` behind an expression and no group around it, so `a|b`
    means "starts with a, or ends with b".
    """
    wanted_name, wanted_status = _anchored(name), _anchored(status)
    wanted_tags = {key: _anchored(expression) for key, expression in tags.items()}
    for expression in (wanted_name, wanted_status, *wanted_tags.values()):
        search(expression, b"")  # a wrong one is an error even if there's nobody to match
    return [
        member
        for member in members
        if all(search(expression, raw(member.tags.get(key, ""))).matched for key, expression in wanted_tags.items())
        and (not status or search(wanted_status, raw(str(member.status))).matched)
        and (not name or search(wanted_name, raw(member.name)).matched)
    ]


def _anchored(expression: str) -> bytes:
    return b"^" + raw(expression) + b"$"
