"""Query filters: who shall answer (spec serf §6.2)."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from serfcompat.errors import WireError
from serfcompat.serf.re2 import Found, search
from serfcompat.serf.re2_parser import RE2Error
from serfcompat.serf.text import raw, shown, text
from serfcompat.wire.serf_messages import NodeFilter, TagFilter
from serfcompat.wire.types import FilterType


def encode_filters(nodes: Sequence[str], tags: Mapping[str, str]) -> list[bytes] | None:
    """The filters as a query carries them: at most one of nodes, first, then one per tag; None if there are none.

    Args:
        nodes: Names of the only nodes to ask; empty: all.
        tags: RE2 expressions that the tags of these names must match, all of them.
    """
    filters = [NodeFilter([raw(node) for node in nodes]).encode()] if nodes else []
    filters += [TagFilter(raw(tag), raw(expr)).encode() for tag, expr in tags.items()]
    return filters or None


_MAX_STEPS = 150_000
"""Work on all the filters of one query, some 60 ms. Upstream has no bound, and needs none: it has machine code."""


_FAILS = Found(False, 0)


def all_match(filters: Sequence[bytes], me: bytes, tags: Mapping[str, str], log: logging.Logger) -> bool:
    """Whether a query with these filters asks this node. Anything that isn't understood fails, with a warning."""
    steps = 0
    for filter in filters:
        matched, cost = _matches(filter, me, tags, log)
        steps += cost
        if not matched:
            return False
        if steps > _MAX_STEPS:
            log.warning("serf: query has filters that need too much work")
            return False
    return True


def _matches(filter: bytes, me: bytes, tags: Mapping[str, str], log: logging.Logger) -> Found:
    if not filter:  # ⚠ upstream crashes (defect D-1)
        log.warning("serf: query has an empty filter")
        return _FAILS
    match filter[0]:
        case FilterType.NODE:
            try:
                nodes = NodeFilter.decode(filter[1:]).nodes
            except WireError as error:
                log.warning("serf: failed to decode filterNodeType: %s", error)
                return _FAILS
            return Found(me in (nodes or ()), len(filter))
        case FilterType.TAG:
            try:
                tag = TagFilter.decode(filter[1:])
            except WireError as error:
                log.warning("serf: failed to decode filterTagType: %s", error)
                return _FAILS
            value = tags.get(text(tag.tag), "")
            try:
                return search(tag.expr, raw(value))
            except RE2Error as error:
                log.warning("serf: failed to compile filter regex (%s): %s", shown(tag.expr), error)
                return _FAILS
        case unknown:
            log.warning("serf: query has unrecognized filter type: %d", unknown)
            return _FAILS
