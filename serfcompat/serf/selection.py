"""Choosing among members: by status, tags and name, by distance, and one of them as leader. Pure functions."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from serfcompat.errors import UsageError
from serfcompat.serf.filters import all_match, encode_filters
from serfcompat.serf.member import Member, MemberStatus
from serfcompat.serf.text import raw
from serfcompat.serf.vivaldi import Coordinate

SINCE = "since"
"The tag that says when a member took its role; the leader is the one who has it longest."


def matching(
    *, status: MemberStatus | str | None = None, tags: Mapping[str, str] | None = None, name: str | None = None
) -> Callable[[Member], bool]:
    """A test for members. `tags` and `name` are Python regular expressions for the whole value.

    A tag that a member lacks counts as empty. Raises UsageError for an expression that does not compile.
    """
    wanted = None if status is None else [each for each in MemberStatus if str(each) == str(status)]
    name_re = None if name is None else _compiled("name", name)
    tag_res = {tag: _compiled(f"tag {tag}", expression) for tag, expression in (tags or {}).items()}

    def matches(member: Member) -> bool:
        if wanted is not None and member.status not in wanted:
            return False
        if name_re is not None and not name_re.fullmatch(member.name):
            return False
        return not tag_res or all(expression.fullmatch(member.tags.get(tag, "")) for tag, expression in tag_res.items())

    return matches


def _compiled(what: str, expression: str) -> re.Pattern[str]:
    try:
        return re.compile(expression)
    except re.error as error:
        raise UsageError(f"the expression for {what} is no regular expression: {expression!r}: {error}") from None


def nearest(
    members: Iterable[Member], own: Coordinate, coordinate_of: Callable[[str], Coordinate | None]
) -> list[tuple[Member, float]]:
    """Alive members whose coordinate is known, with the estimated round trip in seconds; the nearest first."""
    found = [
        (member, own.distance_ns(other) / 1e9)
        for member in members
        if member.status is MemberStatus.ALIVE and (other := coordinate_of(member.name)) is not None
    ]
    return sorted(found, key=lambda pair: (pair[1], pair[0].name))


def leader(members: Iterable[Member]) -> Member | None:
    """The alive member with the smallest (`since`, name); without the tag, the smallest name. None if none is alive.

    A `since` that is a number counts as one, and comes before any other text; a member without
    the tag comes after those that have it.
    """
    alive = (member for member in members if member.status is MemberStatus.ALIVE)
    return min(alive, key=_seniority, default=None)


def _seniority(member: Member) -> tuple[int, float, str, str]:
    since = member.tags.get(SINCE)
    if since is None:
        return 2, 0.0, "", member.name
    try:
        return 0, float(since), "", member.name
    except ValueError:
        return 1, 0.0, since, member.name


def expected_to_answer(
    members: Iterable[Member], filter_nodes: Sequence[str], filter_tags: Mapping[str, str], log: logging.Logger
) -> frozenset[str]:
    """Names of the alive members that a query with these filters asks, evaluated as they will do it.

    A filter that nobody understands asks nobody, and is warned of in `log`.
    """
    filters = encode_filters(filter_nodes, filter_tags) or ()
    return frozenset(
        member.name
        for member in members
        if member.status is MemberStatus.ALIVE and all_match(filters, raw(member.name), member.tags, log)
    )
