"""Queries: questions to all members, or to those that filters choose (spec serf §6.1 to §6.4)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from serfcompat.errors import PayloadTooLarge, UsageError
from serfcompat.serf.core import Core
from serfcompat.serf.deliver import deliver
from serfcompat.serf.events import QueryEvent, UserEvent
from serfcompat.serf.filters import all_match, encode_filters
from serfcompat.serf.internal_queries import INTERNAL_PREFIX
from serfcompat.serf.lamport import LTIME_MAX
from serfcompat.serf.responses import acknowledge
from serfcompat.serf.running_queries import RunningQuery
from serfcompat.serf.text import raw, shown, text
from serfcompat.swim.config import seconds_to_ns
from serfcompat.swim.effects import SetTimer
from serfcompat.wire.address import Address
from serfcompat.wire.serf_messages import QueryMessage
from serfcompat.wire.types import QueryFlag

_QUERY_SINCE = 4
"Serf protocol that has queries."
_ACK, _NO_BROADCAST, _EVENT = int(QueryFlag.ACK), int(QueryFlag.NO_BROADCAST), int(QueryFlag.EVENT)
_LARGE = int(QueryFlag.LARGE)
"Plain numbers: an operation on an `IntFlag` costs as much as all else in a dropped query."


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryParams:
    """How to ask (upstream `QueryParam`)."""

    filter_nodes: Sequence[str] = ()
    """Only these nodes answer; empty: all (FilterNodes)."""
    filter_tags: Mapping[str, str] = field(default_factory=dict)
    """Tag → RE2 expression that must match somewhere in its value; all must (FilterTags)."""
    request_ack: bool = False
    """Every node that is asked says so, even if it does not respond (RequestAck)."""
    relay_factor: int = 0
    """Redundant copies of each answer, sent by way of other members, 0 to 255 (RelayFactor)."""
    timeout_ns: int = 0
    """Nanoseconds that the query stays open; 0: `default_timeout_ns` (Timeout)."""
    large_answers: bool = False
    """Members that know `QueryFlag.LARGE` may answer with a reference to more (see `wire.large_answer`)."""
    as_event: bool = False
    """Members that know `QueryFlag.EVENT` deliver it as a user event; the others, as the query that it is."""


def default_timeout_ns(core: Core) -> int:
    """How long a query stays open: gossip interval × `query_timeout_mult` × ceil(log10(n + 1))."""
    interval_ns = seconds_to_ns(core.config.memberlist.gossip_interval)
    return interval_ns * core.config.query_timeout_mult * math.ceil(math.log10(core.swim.alive_count() + 1))


def ask(core: Core, name: str, payload: bytes | None, params: QueryParams, now_ns: int) -> RunningQuery:
    """Send a query (upstream `Query`). The asker is asked as well, and answers over the network.

    Raises:
        UsageError: This node speaks a protocol without queries, or the relay factor is not a byte.
        PayloadTooLarge: The encoded query is over `query_size_limit`.
        StateError: This node is not in its own member table.
    """
    if core.config.protocol_version < _QUERY_SINCE:
        raise UsageError("Feature not supported")
    if not 0 <= params.relay_factor <= 255:
        raise UsageError(f"relay_factor {params.relay_factor} does not fit: use 0 to 255")
    timeout_ns = params.timeout_ns or default_timeout_ns(core)
    me = core.swim.local_node()
    message = QueryMessage(
        core.query_clock.time,
        core.dice.randrange(2**31),
        me.addr,
        me.port,
        me.name,
        encode_filters(params.filter_nodes, params.filter_tags),
        (_ACK if params.request_ack else 0)
        | (_LARGE if params.large_answers else 0)
        | (_EVENT if params.as_event else 0),
        params.relay_factor,
        timeout_ns,
        raw(name),
        payload,
    )
    encoded = message.encode()
    limit = core.config.query_size_limit
    if len(encoded) > limit:
        raise PayloadTooLarge(
            f"query exceeds limit of {limit} bytes",
            limit=limit,
            size=len(encoded),
            advice="ask with less, e.g. a reference, or raise query_size_limit on all members",
        )
    query = RunningQuery(
        message.ltime,
        message.id,
        now_ns + timeout_ns,
        core.swim.alive_count(),
        request_ack=params.request_ack,
    )
    core.running.add(query)
    core.out.append(SetTimer(("serf-query", query.ltime), query.deadline_ns))
    on_query(core, message, now_ns)
    core.queues.queries.put(encoded, unique=True)
    return query


def on_query(core: Core, message: QueryMessage, now_ns: int) -> bool:
    """Answer a query if it asks us; True if it is worth passing on (upstream `handleQuery`)."""
    core.query_clock.witness(message.ltime)
    if message.ltime < core.query_min_time or message.ltime >= LTIME_MAX:
        return False
    ring = core.query_ids
    if ring.is_old(message.ltime, core.query_clock.time):
        core.log.warning(
            "serf: received old query %s from time %d (current: %d)",
            shown(message.name), message.ltime, core.query_clock.time,
        )  # fmt: skip
        return False
    if ring.knows(message.ltime, message.id):
        return False
    if not ring.add(message.ltime, message.id, None):
        core.log.warning("serf: query buffer is full, dropping query %s", shown(message.name))
        return False
    name = text(message.name)
    core.metrics.incr("serf.queries")
    core.metrics.incr(f"serf.queries.{name}")
    pass_on = not message.flags & _NO_BROADCAST
    if message.filters and not all_match(message.filters, core.me, core.tags, core.log):
        return pass_on
    query = QueryEvent(
        message.ltime,
        message.id,
        name,
        message.payload,
        Address(message.addr or b"", message.port),
        text(message.source_node),
        now_ns + message.timeout_ns,
        message.relay_factor,
        bool(message.flags & _LARGE),
    )
    if message.flags & _ACK:
        acknowledge(core, query, now_ns)
    if message.flags & _EVENT and not name.startswith(INTERNAL_PREFIX):
        deliver(core, UserEvent(message.ltime, name, message.payload, False), now_ns)
    else:
        deliver(core, query, now_ns)
    return pass_on
