"""Answers to queries, both ways: acks and responses out, relayed copies, and what comes in (spec serf §6.5 to §6.8)."""

from __future__ import annotations

from serfcompat.errors import DeadlineExceeded, PayloadTooLarge, SerfCompatError, StateError, UsageError
from serfcompat.serf.core import Core
from serfcompat.serf.effects import CloseQuery, DeliverAck, DeliverResponse
from serfcompat.serf.events import QueryEvent
from serfcompat.serf.member import MemberStatus
from serfcompat.serf.members import Entry
from serfcompat.serf.running_queries import RunningQuery
from serfcompat.serf.text import raw, shown, text
from serfcompat.swim.effects import Emit
from serfcompat.wire.address import Address, ip_text
from serfcompat.wire.serf_messages import QueryResponse, Relay, RelayAddress
from serfcompat.wire.types import QueryFlag

_RELAY_SINCE = 5
"""memberlist protocol of members that may relay. ⚠ Upstream asks for memberlist's version where Serf's
is meant, and memberlist's is always 5 today: every member qualifies (trap 16)."""

_ADVICE = (
    "answer with less or with a reference, or raise query_response_size_limit; askers that are serfcompat's own take "
    "up to 16 MiB"
)

RESPOND_PREFIX = "failed to respond to key query: "
"⚠ Upstream says so for every kind of query."


def send_direct(core: Core, message: bytes, to: Address, name: bytes, now_ns: int) -> None:
    """One datagram to an address that a query gave us.

    Raises:
        UsageError: It is not an address, or has no name where names are required.
    """
    if core.config.memberlist.require_node_names and not name:
        raise UsageError("memberlist: node names are required by configuration but one was not provided")
    if len(to.ip) not in (4, 16):
        raise UsageError(f"lookup {ip_text(to.ip)}: no such host")
    if not 0 < to.port < 65536:  # in a relay's header it is a signed integer
        raise UsageError(f"address {to}: invalid port")
    core.out += [effect for effect in core.swim.send_user(message, to, name, now_ns) if not isinstance(effect, Emit)]


# -- answering ---------------------------------------------------------------------------------


def response_to(core: Core, query: QueryEvent, payload: bytes | None) -> QueryResponse:
    return QueryResponse(query.ltime, query.id, core.me, 0, payload)


def fits(core: Core, query: QueryEvent, payload: bytes | None) -> bool:
    """Whether an answer fits into a datagram, also by way of a relay."""
    message = response_to(core, query, payload).encode()
    if query.relay_factor:
        message = Relay(RelayAddress(query.source.ip, query.source.port, b""), raw(query.source_node), message).encode()
    return len(message) <= core.config.query_response_size_limit


def respond(core: Core, query: QueryEvent, payload: bytes | None, now_ns: int) -> None:
    """Answer a query once, before its deadline (upstream `Query.Respond`).

    Raises:
        PayloadTooLarge: The encoded response, or a relayed copy, is over `query_response_size_limit`.
        StateError: It was answered before.
        DeadlineExceeded: Too late.
        UsageError: The asker gave no usable address. The query may be answered again.
    """
    response = response_to(core, query, payload)
    send_response(core, query, response.encode(), now_ns, prefix=RESPOND_PREFIX)


def send_response(core: Core, query: QueryEvent, response: bytes, now_ns: int, *, prefix: str = "") -> None:
    """Send an encoded response to who asked, directly and through relays. Raises as `respond` does."""
    limit = core.config.query_response_size_limit
    if len(response) > limit:
        raise PayloadTooLarge(
            f"{prefix}response exceeds limit of {limit} bytes", limit=limit, size=len(response), advice=_ADVICE
        )
    key = (query.ltime, query.id)
    if core.running.answered(key):
        raise StateError(f"{prefix}response already sent")
    if now_ns > query.deadline_ns:
        raise DeadlineExceeded(f"{prefix}response is past the deadline")
    name = raw(query.source_node)
    try:
        send_direct(core, response, query.source, name, now_ns)
    except UsageError as error:
        raise UsageError(f"{prefix}{error}") from None
    relay(core, query.relay_factor, query.source, name, response, now_ns, prefix=prefix)
    core.running.set_answered(key)  # ⚠ not before: after a failure the query may be answered again


def relay(core: Core, factor: int, to: Address, name: bytes, response: bytes, now_ns: int, *, prefix: str = "") -> None:
    """Send copies of a response by way of up to `factor` other members (upstream `relayResponse`).

    Raises:
        PayloadTooLarge: Wrapped for a relay the response is over the limit.
        UsageError: A relay has no usable address; the copies before it were sent.
    """
    members = list(core.members.by_name.values()) if factor else []
    if len(members) < factor + 1:
        return
    message = Relay(RelayAddress(to.ip, to.port, b""), name, response).encode()
    limit = core.config.query_response_size_limit
    if len(message) > limit:
        text = f"{prefix}relayed response exceeds limit of {limit} bytes"
        raise PayloadTooLarge(text, limit=limit, size=len(message), advice=_ADVICE)
    for member in _relays(core, members, factor):
        try:
            send_direct(core, message, member.address, member.name, now_ns)
        except UsageError as error:
            raise UsageError(f"{prefix}failed to send relay response: {error}") from None


def _relays(core: Core, members: list[Entry], factor: int) -> list[Entry]:
    """Up to `factor` distinct alive members, ourselves excluded but not the asker (upstream `kRandomMembers`)."""
    chosen: dict[bytes, Entry] = {}
    for _ in range(3 * len(members)):
        if len(chosen) >= factor:
            break
        member = members[core.dice.randrange(len(members))]
        if (
            member.status is MemberStatus.ALIVE
            and member.protocol_max >= _RELAY_SINCE
            and member.name != core.me
            and member.name not in chosen
        ):
            chosen[member.name] = member
    return list(chosen.values())


def acknowledge(core: Core, query: QueryEvent, now_ns: int) -> None:
    """Tell who asked that the query arrived (spec serf §6.4 step 8). Failures are only logged."""
    ack = QueryResponse(query.ltime, query.id, core.me, QueryFlag.ACK, None).encode()
    name = raw(query.source_node)
    try:
        send_direct(core, ack, query.source, name, now_ns)
    except UsageError as error:
        core.log.error("serf: failed to send ack: %s", error)
    try:
        relay(core, query.relay_factor, query.source, name, ack, now_ns)
    except SerfCompatError as error:
        core.log.error("serf: failed to relay ack: %s", error)


def on_relay(core: Core, message: Relay, now_ns: int) -> None:
    """Forward what somebody else answers, its bytes unchanged and unread (spec serf §2.5)."""
    to = Address(message.addr.ip or b"", message.addr.port)
    core.log.debug("serf: Relaying response to addr: %s", to)
    try:
        send_direct(core, message.inner, to, message.dest_name, now_ns)
    except UsageError as error:
        core.log.error("serf: Error forwarding message to %s: %s", to, error)


# -- hearing answers ---------------------------------------------------------------------------


def on_response(core: Core, message: QueryResponse, now_ns: int) -> None:
    """Take an ack or a response to a query of ours (upstream `handleQueryResponse`, rules R1-R7)."""
    query = core.running.get(message.ltime)
    if query is None:  # R1
        core.log.warning(
            "serf: reply for non-running query (LTime: %d, ID: %d) From: %s",
            message.ltime, message.id, shown(message.from_),
        )  # fmt: skip
        return
    if query.id != message.id:  # R2
        core.log.warning("serf: query reply ID mismatch (Local: %d, Response: %d)", query.id, message.id)
        return
    if query.finished(now_ns):  # R3
        return
    is_ack = message.flags & int(QueryFlag.ACK)
    kind, answers = ("acks", query.acks) if is_ack else ("responses", query.responses)
    if answers is not None and message.from_ in answers.from_:  # R4, R6
        core.metrics.incr(f"serf.query_duplicate_{kind}")
        return
    core.metrics.incr(f"serf.query_{kind}")
    if answers is None or not answers.accept(message.from_):
        core.log.warning("serf: Failed to deliver query response, dropping")
    elif is_ack:  # R5
        core.out.append(DeliverAck(query.key, text(message.from_)))
    elif query.on_response is not None:  # R7
        answers.room += 1  # taken at once
        query.on_response(message.from_, message.payload)
    else:
        core.out.append(DeliverResponse(query.key, text(message.from_), message.payload))


def on_query_timer(core: Core, ltime: int, now_ns: int) -> None:
    """A query's time is over."""
    if (query := core.running.pop(ltime)) is not None:
        close(core, query, now_ns)


def close(core: Core, query: RunningQuery, now_ns: int) -> None:
    """Take no more answers. Closing early does not unregister: late answers are dropped silently (R3)."""
    if query.closed:
        return
    query.closed = True
    if query.on_close is not None:
        query.on_close(now_ns)
    else:
        core.out.append(CloseQuery(query.key))
