"""What each RPC command does (spec agent §4.6).

A command gets the session, its sequence number and its request, and returns the reply's body.
`Refused`, and every SerfCompatError, becomes the reply's error text.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

import gevent

from serfcompat.agent.event_filter import parse_filter
from serfcompat.agent.logs import LEVELS, passes
from serfcompat.agent.member_filter import matching
from serfcompat.agent.node import Responses
from serfcompat.agent.rpc_queue import RecordQueue
from serfcompat.agent.rpc_session import Command, Fatal, Refused, Session
from serfcompat.errors import SerfCompatError, UsageError
from serfcompat.rpc import protocol
from serfcompat.rpc.codec import sorted_map
from serfcompat.rpc.protocol import Request
from serfcompat.rpc.records import LogRecord, QueryRecord
from serfcompat.rpc.replies import (
    Coordinate,
    CoordinateReply,
    JoinReply,
    KeyReply,
    MembersReply,
    StatsReply,
)
from serfcompat.serf.key_responses import KeyResult
from serfcompat.serf.re2_parser import RE2Error

log = logging.getLogger("serfcompat.agent.ipc")


def handshake(session: Session, seq: int, request: protocol.HandshakeRequest) -> None:
    if request.version != protocol.VERSION:
        raise Refused(protocol.UNSUPPORTED_VERSION)
    if session.handshaken:
        raise Refused(protocol.DUPLICATE_HANDSHAKE)
    session.handshaken = True


def auth(session: Session, seq: int, request: protocol.AuthRequest) -> None:
    """⚠ Without a token of the agent's the empty one is right, and every other wrong."""
    if not session.check_token(request.auth_key):
        raise Refused(protocol.INVALID_AUTH_TOKEN)
    session.trust()


def event(session: Session, seq: int, request: protocol.EventRequest) -> None:
    session.agent.user_event(request.name, request.payload, coalesce=request.coalesce)


def tagged_event(session: Session, seq: int, request: protocol.TaggedEventRequest) -> None:
    if not request.filter_tags:
        raise Refused("no tags to choose members by")
    session.agent.user_event(request.name, request.payload, coalesce=False, tags=request.filter_tags)


def force_leave(session: Session, seq: int, request: protocol.ForceLeaveRequest) -> None:
    session.flush_before_waiting()
    session.agent.force_leave(request.node, prune=request.prune)


def join(session: Session, seq: int, request: protocol.JoinRequest) -> JoinReply:
    session.flush_before_waiting()
    return JoinReply(session.agent.join(request.existing, replay=request.replay))


def members(session: Session, seq: int, request: protocol.MembersRequest) -> MembersReply:
    return MembersReply(session.agent.members())


def members_filtered(session: Session, seq: int, request: protocol.MembersFilteredRequest) -> MembersReply:
    try:
        found = matching(session.agent.members(), name=request.name, status=request.status, tags=request.tags)
    except RE2Error as error:
        raise Fatal(f"Failed to compile regex: {error}") from None
    return MembersReply(found)


def tags(session: Session, seq: int, request: protocol.TagsRequest) -> None:
    session.flush_before_waiting()
    session.agent.update_tags(request.tags, request.delete_tags)


def stream(session: Session, seq: int, request: protocol.StreamRequest) -> None:
    filters = parse_filter(request.type)
    if not all(each.valid for each in filters):
        raise Refused(protocol.INVALID_FILTER)
    if seq in session.streams:
        raise Refused(protocol.STREAM_EXISTS)
    session.after = lambda: session.open_stream(seq, filters)


def monitor(session: Session, seq: int, request: protocol.MonitorRequest) -> None:
    if session.monitor is not None:
        raise Refused(protocol.MONITOR_EXISTS)
    level = request.log_level.upper()
    if level not in LEVELS:
        raise Refused(f"Unknown log level: {level}")

    def take(queue: RecordQueue) -> Callable[[str], None]:
        dropping = False

        def line(text: str) -> None:
            nonlocal dropping
            if not passes(text, level):
                return
            if queue.put(session.record(seq, LogRecord(text).encode())):
                dropping = False
            elif not dropping:
                # Said once, and from outside: this line comes here as well.
                dropping = True
                gevent.spawn(log.warning, "agent.ipc: Dropping logs to ipc.client: %s", session.name)

        return line

    session.after = lambda: session.open_monitor(seq, take)


def stop(session: Session, seq: int, request: protocol.StopRequest) -> None:
    if session.monitor is not None and session.monitor[0] == request.stop:
        session.stop_monitor()
    session.stop_stream(request.stop)


def leave(session: Session, seq: int, request: protocol.LeaveRequest) -> None:
    """The agent ends afterwards, even if the leave failed."""
    session.flush_before_waiting()
    log.info("agent.ipc: Graceful leave triggered")
    session.after = session.agent.shutdown
    try:
        session.agent.leave()
    except SerfCompatError as error:
        log.error("agent.ipc: leave failed: %s", error)
        raise
    if session.agent.ending:  # a second client has cut it short
        raise Fatal("the agent was shut down before the leave was over")


def query(session: Session, seq: int, request: protocol.QueryRequest) -> None:
    answers = session.agent.query(
        request.name,
        request.payload,
        filter_nodes=request.filter_nodes,
        filter_tags=request.filter_tags,
        request_ack=request.request_ack,
        relay_factor=request.relay_factor,
        timeout_ns=request.timeout_ns,
    )
    session.after = lambda: _stream_answers(session, seq, answers)


def _stream_answers(session: Session, seq: int, answers: Responses) -> None:
    def send(record: QueryRecord) -> None:
        session.send(session.record(seq, record.encode()))

    def acks() -> None:
        for name in answers.acks():
            send(QueryRecord(QueryRecord.ACK, name))

    def responses() -> None:
        try:
            for answer in answers:
                send(QueryRecord(QueryRecord.RESPONSE, answer.from_, answer.payload))
            acknowledged.join()
            send(QueryRecord(QueryRecord.DONE))
        finally:
            answers.close()  # takes no more, if the client has gone

    acknowledged = session.spawn(acks)
    session.spawn(responses)


def respond(session: Session, seq: int, request: protocol.RespondRequest) -> None:
    asked = session.pending.get(request.id)
    if asked is None:
        raise Refused(protocol.INVALID_QUERY_ID)
    session.agent.respond(asked, request.payload)


def install_key(session: Session, seq: int, request: protocol.InstallKeyRequest) -> KeyReply:
    session.flush_before_waiting()
    return _key_reply(lambda: session.agent.install_key(request.key))


def use_key(session: Session, seq: int, request: protocol.UseKeyRequest) -> KeyReply:
    session.flush_before_waiting()
    return _key_reply(lambda: session.agent.use_key(request.key))


def remove_key(session: Session, seq: int, request: protocol.RemoveKeyRequest) -> KeyReply:
    session.flush_before_waiting()
    return _key_reply(lambda: session.agent.remove_key(request.key))


def list_keys(session: Session, seq: int, request: protocol.ListKeysRequest) -> KeyReply:
    session.flush_before_waiting()
    return _key_reply(session.agent.list_keys, listed=True)


def _key_reply(run: Callable[[], KeyResult], *, listed: bool = False) -> KeyReply:
    try:
        result = run()
    except UsageError as error:
        raise Refused(str(error), KeyReply(keys={} if listed else None)) from None
    reply = KeyReply(
        messages=sorted_map(result.messages),
        keys=sorted_map(result.keys) if listed else None,
        num_nodes=result.num_nodes,
        num_err=result.num_err,
        num_resp=result.num_resp,
    )
    if result.error is not None:
        raise Refused(result.error, reply)
    return reply


def stats(session: Session, seq: int, request: protocol.StatsRequest) -> StatsReply:
    return StatsReply(session.agent.stats())


def coordinate(session: Session, seq: int, request: protocol.CoordinateRequest) -> CoordinateReply:
    found = session.agent.coordinate(request.node)
    if found is None:
        return CoordinateReply()
    return CoordinateReply(Coordinate(found.vec, found.error, found.adjustment, found.height), True)


COMMANDS: Mapping[type[Request], Command] = {
    protocol.HandshakeRequest: handshake,
    protocol.AuthRequest: auth,
    protocol.EventRequest: event,
    protocol.TaggedEventRequest: tagged_event,
    protocol.ForceLeaveRequest: force_leave,
    protocol.JoinRequest: join,
    protocol.MembersRequest: members,
    protocol.MembersFilteredRequest: members_filtered,
    protocol.TagsRequest: tags,
    protocol.StreamRequest: stream,
    protocol.MonitorRequest: monitor,
    protocol.StopRequest: stop,
    protocol.LeaveRequest: leave,
    protocol.QueryRequest: query,
    protocol.RespondRequest: respond,
    protocol.InstallKeyRequest: install_key,
    protocol.UseKeyRequest: use_key,
    protocol.RemoveKeyRequest: remove_key,
    protocol.ListKeysRequest: list_keys,
    protocol.StatsRequest: stats,
    protocol.CoordinateRequest: coordinate,
}
