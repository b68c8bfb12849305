"""From what SWIM reports to the rules of Serf, in order (spec serf §2.6)."""

from __future__ import annotations

from collections.abc import Sequence

from serfcompat.errors import WireError
from serfcompat.serf.conflict import on_conflict
from serfcompat.serf.core import Core
from serfcompat.serf.intents import on_join_intent, on_leave_intent
from serfcompat.serf.membership import on_node_joined, on_node_left, on_node_updated
from serfcompat.serf.push_pull import merge_remote_state
from serfcompat.serf.queries import on_query
from serfcompat.serf.responses import on_relay, on_response
from serfcompat.serf.text import shown
from serfcompat.serf.user_events import on_user_event
from serfcompat.swim.effects import Effect, Emit, Finished
from serfcompat.swim.events import (
    MessageReceived,
    NodeConflict,
    NodeJoined,
    NodeLeft,
    NodeUpdated,
    PingCompleted,
    RemoteStateReceived,
    SwimEvent,
)
from serfcompat.swim.queue import TransmitLimitedQueue
from serfcompat.wire.serf_messages import (
    JoinIntent,
    LeaveIntent,
    QueryMessage,
    QueryResponse,
    Relay,
    UserEventMessage,
)
from serfcompat.wire.types import SerfMessageType


def absorb(core: Core, effects: Sequence[Effect], now_ns: int) -> None:
    """Pass the effects of a SWIM step on, and apply Serf's rules to what it emits and finishes."""
    for effect in effects:
        if isinstance(effect, Emit):
            on_event(core, effect.event, now_ns)
        elif isinstance(effect, Finished):
            core.finish_wait(effect.token, now_ns)
        else:
            core.out.append(effect)


def on_event(core: Core, event: SwimEvent, now_ns: int) -> None:
    """One thing that SWIM reports."""
    match event:
        case MessageReceived(payload):
            on_message(core, payload, now_ns)
        case PingCompleted(node, rtt_ns, payload):
            if core.coordinates is not None:
                core.coordinates.on_ping(node.name, rtt_ns, payload)
        case NodeJoined(node):
            on_node_joined(core, node, now_ns)
        case NodeLeft(node):
            on_node_left(core, node, now_ns)
        case NodeUpdated(node):
            on_node_updated(core, node, now_ns)
        case NodeConflict(existing, other):
            on_conflict(core, existing, other, now_ns)
        case RemoteStateReceived(state, join):
            merge_remote_state(core, state, join, now_ns)


def on_message(core: Core, message: bytes, now_ns: int) -> None:
    """One Serf message, by gossip or direct (upstream `NotifyMsg`). What is news is passed on, byte for byte."""
    if not message:
        return
    core.metrics.sample("serf.msgs.received", len(message))
    body = message[1:]
    kind = "?"
    try:
        match message[0]:
            case SerfMessageType.LEAVE:
                kind = "leave"
                leave = LeaveIntent.decode(body)
                core.log.debug("serf: messageLeaveType: %s", shown(leave.node))
                on_leave_intent(core, leave, now_ns, lambda news, _now_ns: _again(core.queues.intents, message, news))
            case SerfMessageType.JOIN:
                kind = "join"
                join = JoinIntent.decode(body)
                core.log.debug("serf: messageJoinType: %s", shown(join.node))
                on_join_intent(core, join, now_ns, lambda news, _now_ns: _again(core.queues.intents, message, news))
            case SerfMessageType.USER_EVENT:
                kind = "user event"
                event = UserEventMessage.decode(body)
                core.log.debug("serf: messageUserEventType: %s", shown(event.name))
                _again(core.queues.events, message, on_user_event(core, event, now_ns))
            case SerfMessageType.QUERY:
                kind = "query"
                query = QueryMessage.decode(body)
                core.log.debug("serf: messageQueryType: %s", shown(query.name))
                _again(core.queues.queries, message, on_query(core, query, now_ns))
            case SerfMessageType.QUERY_RESPONSE:
                kind = "query response"
                response = QueryResponse.decode(body)
                core.log.debug("serf: messageQueryResponseType: %s", shown(response.from_))
                on_response(core, response, now_ns)
            case SerfMessageType.RELAY:
                kind = "relay"
                on_relay(core, Relay.decode(body), now_ns)
            case unknown:
                core.log.warning("serf: Received message of unknown type: %d", unknown)
    except WireError as error:
        what = "relay header" if kind == "relay" else f"{kind} message"
        core.log.error("serf: Error decoding %s: %s", what, error)


def _again(queue: TransmitLimitedQueue, message: bytes, news: bool) -> None:
    if news:
        queue.put(message, unique=True)
