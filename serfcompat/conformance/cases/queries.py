"""Queries, filters, answers and relays."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

from serfcompat.conformance.bench import Bench
from serfcompat.conformance.case import Area, Broken, Level, Severity, case, expect
from serfcompat.conformance.lab import Lab, refusal
from serfcompat.conformance.peer import Peer
from serfcompat.conformance.serfside import LIMIT, bodies, hear, hear_body, heard_nothing, say, user
from serfcompat.errors import WireError
from serfcompat.rpc.records import QueryRecord, StreamedQuery
from serfcompat.wire.cursor import Cursor
from serfcompat.wire.gomsgpack import read_key
from serfcompat.wire.serf_messages import (
    ConflictResponse,
    NodeFilter,
    QueryMessage,
    QueryResponse,
    Relay,
    RelayAddress,
    TagFilter,
)
from serfcompat.wire.types import QueryFlag, SerfMessageType

AGENT = Level.AGENT
SECOND = 1_000_000_000


def query(asker: Peer, id: int, name: bytes = b"ask", **fields: object) -> QueryMessage:
    """A question of a peer, whose answers go to it."""
    values: dict[str, object] = {
        "ltime": 5,
        "id": id,
        "addr": asker.ip,
        "port": asker.port,
        "source_node": asker.name,
        "filters": None,
        "flags": int(QueryFlag.ACK),
        "relay_factor": 0,
        "timeout_ns": 10 * SECOND,
        "name": name,
        "payload": b"?",
    }
    return QueryMessage(**(values | fields))  # type: ignore[arg-type]


def _response(asker: Peer, id: int, *, ack: bool) -> QueryResponse:
    what = f"{'an acknowledgement of' if ack else 'a response to'} query {id}"
    return hear(
        asker, QueryResponse, lambda r: r.id == id and bool(r.flags & QueryFlag.ACK) == ack, limit=LIMIT, what=what
    )


def _is_not_acknowledged(bench: Bench, asker: Peer, id: int, what: str) -> None:
    """Broken if a query was acknowledged, by the time that a later one is."""
    later = 900_000 + id
    say(bench, query(asker, later, ltime=6))
    _response(asker, later, ack=True)
    heard_nothing(asker, QueryResponse, lambda r: r.id == id, f"no acknowledgement of {what}")


@case("query-ack", Area.QUERIES, "S-127", "S-019", level=AGENT)
def a_query_is_acknowledged(lab: Lab) -> None:
    """A query that asks for it is acknowledged to its source, in Go's bytes, with its id and time; others aren't."""
    agent = lab.agent("a")
    bench = lab.bench(agent)
    asker = bench.member("asker")
    say(bench, query(asker, 11))
    body = hear_body(asker, QueryResponse, lambda r: r.id == 11)
    wanted = QueryResponse(5, 11, b"a", int(QueryFlag.ACK), None)
    expect(QueryResponse.decode(body) == wanted, repr(wanted), QueryResponse.decode(body))
    expect(wanted.encode()[1:] == body, wanted.encode()[1:].hex(), body.hex())
    say(bench, query(asker, 12, flags=0))
    _is_not_acknowledged(bench, asker, 12, "a query that doesn't ask for it")


@case("query-response", Area.QUERIES, "S-127", "A-225", level=AGENT)
def an_answer_goes_to_the_source(lab: Lab) -> None:
    """An answer goes to the source of the query, with its id and time and the payload of who answers."""
    agent = lab.agent("a")
    bench = lab.bench(agent)
    asker = bench.member("asker")
    lab.listen(agent, {"ask": b"\0answer"})
    say(bench, query(asker, 21))
    found = _response(asker, 21, ack=False)
    wanted = QueryResponse(5, 21, b"a", 0, b"\0answer")
    expect(found == wanted, repr(wanted), found)


@case("query-told", Area.QUERIES, "A-225", "A-226", level=AGENT)
def a_query_is_told_to_listeners(lab: Lab) -> None:
    """A query is told to event streams with its name, payload and time, and with an id that counts from 1."""
    agent = lab.agent("a")
    bench = lab.bench(agent)
    asker, listener = bench.member("asker"), lab.listen(agent)
    say(bench, query(asker, 31, b"first"))
    event = listener.wait_for(lambda event: isinstance(event, StreamedQuery))
    assert isinstance(event, StreamedQuery)
    expect(event == StreamedQuery(1, 5, "first", b"?"), "query 1, time 5, name first, payload ?", event)


@case("query-filters", Area.QUERIES, "S-119", "S-120", "S-123", level=AGENT)
def filters_choose_who_is_asked(lab: Lab) -> None:
    """A query with filters is acknowledged only if all of them match: names as they are, tags by a regular
    expression that may match anywhere.
    """
    agent = lab.agent("a", "-tag=role=web-1")
    bench = lab.bench(agent)
    asker = bench.member("asker")
    here, away = NodeFilter([b"x", b"a"]).encode(), NodeFilter([b"x", b"A"]).encode()
    fits, other = TagFilter(b"role", b"eb-[0-9]").encode(), TagFilter(b"role", b"^db").encode()
    absent = TagFilter(b"zone", b"^$").encode()
    for id, filters in enumerate(([here], [fits], [here, fits], [absent], []), 40):
        say(bench, query(asker, id, filters=filters))
        _response(asker, id, ack=True)
    bad: list[tuple[Sequence[bytes], str]] = [
        ([away], "a query for other names"),
        ([other], "a query for other tags"),
        ([here, other], "a query of which one filter doesn't match"),
        ([b"\x07\xa1x"], "a query with an unknown filter"),
        ([TagFilter(b"role", b"(").encode()], "a query with a wrong expression"),
    ]
    for id, (wrong, what) in enumerate(bad, 60):
        say(bench, query(asker, id, filters=wrong))
        _is_not_acknowledged(bench, asker, id, what)


def _has_id(id: int, message: QueryMessage) -> bool:
    return message.id == id


@case("query-passed-on", Area.QUERIES, "S-038", "S-124", "S-123", level=AGENT)
def queries_are_passed_on(lab: Lab) -> None:
    """A query is gossiped on as it came, also by those whom it doesn't concern, but not with the flag against it."""
    agent = lab.agent("a")
    bench = lab.bench(agent)
    asker = bench.member("asker")
    for id, filters in ((71, None), (72, [NodeFilter([b"x"]).encode()])):
        sent = query(asker, id, filters=filters)
        say(bench, sent)
        body = hear_body(asker, QueryMessage, partial(_has_id, id))
        expect(body == sent.encode()[1:], sent.encode()[1:].hex(), body.hex())
    say(bench, query(asker, 73, flags=QueryFlag.ACK | QueryFlag.NO_BROADCAST))
    _response(asker, 73, ack=True)
    say(bench, query(asker, 74))
    hear(asker, QueryMessage, lambda q: q.id == 74)
    heard_nothing(asker, QueryMessage, lambda q: q.id == 73, "a query with the flag isn't passed on")


@case("query-duplicate", Area.QUERIES, "S-125", level=AGENT)
def the_same_query_is_answered_once(lab: Lab) -> None:
    """A query with the same time and id is acknowledged once; another id at the same time is another query."""
    agent = lab.agent("a")
    bench = lab.bench(agent)
    asker = bench.member("asker")
    for id in (81, 82):
        say(bench, query(asker, id))
        _response(asker, id, ack=True)
    say(bench, query(asker, 81))
    say(bench, query(asker, 83))
    _response(asker, 83, ack=True)
    acks = [QueryResponse.decode(body).id for body in bodies(asker, SerfMessageType.QUERY_RESPONSE)]
    expect(acks.count(81) == 1, "one acknowledgement of query 81", acks)


@case("query-relay", Area.QUERIES, "S-131", level=AGENT)
def relays_are_forwarded(lab: Lab) -> None:
    """A relay message is unpacked, and its inner message goes to the address in it, byte by byte."""
    agent = lab.agent("a")
    bench = lab.bench(agent)
    target = bench.member("target")
    inner = QueryResponse(3, 91, b"somebody", 0, b"relayed").encode()
    say(bench, Relay(RelayAddress(target.ip, target.port), target.name, inner).encode())
    body = hear_body(target, QueryResponse, lambda r: r.id == 91)
    expect(user(inner)[2:] == body, inner[1:].hex(), body.hex())


@case("query-relay-sent", Area.QUERIES, "S-128", "S-129", level=AGENT)
def answers_go_over_relays(lab: Lab) -> None:
    """With a relay factor, an answer goes to the source itself and, in a relay message, over other members."""
    agent = lab.agent("a")
    bench = lab.bench(agent)
    asker, other = bench.member("asker"), bench.member("relay")
    agent.wait_for_members({asker.name.decode(): "alive", other.name.decode(): "alive"})
    say(bench, query(asker, 95, relay_factor=2))
    direct = _response(asker, 95, ack=True)
    deadline = time.monotonic() + LIMIT
    while not (found := [*bodies(other, SerfMessageType.RELAY), *bodies(asker, SerfMessageType.RELAY)]):
        if time.monotonic() > deadline:
            raise Broken("a relay message at another member", "none came")
        time.sleep(0.02)
    try:
        relay = Relay.decode(found[0])
        inner = QueryResponse.decode(relay.inner[1:])
    except WireError as error:
        raise Broken("a relay message that can be read", f"{error} in {found[0].hex()}") from error
    where = (relay.addr.ip, relay.addr.port, relay.dest_name)
    expect(inner == direct, f"the answer inside: {direct}", inner)
    ip = relay.addr.ip or b""
    expect((ip[-4:], *where[1:]) == (asker.ip, asker.port, asker.name), "the source of the query", where)


@case("query-sent", Area.QUERIES, "S-053", "S-117", "S-024", level=AGENT)
def queries_are_gossiped(lab: Lab) -> None:
    """A query of an agent is gossiped in Go's bytes: Lamport time 1 at first, an id below 2**31, the agent's
    own address.
    """
    agent = lab.agent("a")
    peer = lab.bench(agent).member("peer")
    with agent.client.query("ask", b"?", request_ack=True, timeout=1.0):
        body = hear_body(peer, QueryMessage, lambda q: q.name == b"ask")
    found = QueryMessage.decode(body)
    expect(0 <= found.id < 2**31, "an id below 2**31", found.id)
    expect((found.addr or b"")[-4:] == bytes(map(int, agent.host.split("."))), f"address {agent.host}", found.addr)
    expect(not found.filters, "no filters", found.filters)
    # Whatever was found where there is a choice.
    choice = (found.id, found.addr, 7946, b"a", found.filters)
    wanted = QueryMessage(1, *choice, int(QueryFlag.ACK), 0, SECOND, b"ask", b"?")
    expect(found == wanted, repr(wanted), found)
    # ⚠ Until memberlist 0.5.0, positive numbers had their unsigned forms, so that only the keys are compared.
    expect(_keys(body) == _keys(wanted.encode()[1:]), "all keys, in byte order", body.hex())


def _keys(body: bytes) -> list[bytes]:
    """Keys of a map, in order."""
    found: list[bytes] = []
    cursor = Cursor(body)
    for _ in range(cursor.byte() & 0x0F):
        found.append(read_key(cursor))
        cursor.skip()
    return found


@case("query-answers", Area.QUERIES, "S-126", "A-233", "A-078", level=AGENT)
def all_members_answer(lab: Lab) -> None:
    """A query reaches all members, also who asks: each acknowledges once and answers once, and then it is done."""
    agents = lab.agents("a", "b", "c")
    for agent in agents:
        lab.listen(agent, {"who": agent.name.encode()})
    for _ in range(4):  # gossip may miss somebody
        acks, answers = [], {}
        with agents[0].client.query("who", request_ack=True, timeout=3.0) as records:
            for record in records:
                if record.type == QueryRecord.ACK:
                    acks.append(record.from_)
                else:
                    answers[record.from_] = record.payload
        if len(acks) == len(answers) == 3:
            break
    expect(sorted(acks) == ["a", "b", "c"], "one acknowledgement of each member", acks)
    expect(answers == {name: name.encode() for name in "abc"}, "one answer of each member", answers)


@case("query-deadline", Area.QUERIES, "S-138", "A-234", level=AGENT)
def a_query_ends_in_time(lab: Lab) -> None:
    """A query is done when its timeout is over, and not before; later answers are not told."""
    agent = lab.agent("a")
    bench = lab.bench(agent)
    peer = bench.member("peer")
    began = time.monotonic()
    with agent.client.query("slow", timeout=1.5) as records:
        sent = hear(peer, QueryMessage, lambda q: q.name == b"slow")
        early = QueryResponse(sent.ltime, sent.id, peer.name, 0, b"early")
        peer.send(user(early.encode()), bench.node.address)
        found = [record.payload for record in records]
    lasted = time.monotonic() - began
    expect(found == [b"early"], "the answer that came in time", found)
    expect(1.3 < lasted < 6.0, "an end after 1.5 s", f"{lasted:.2f} s")


@case("query-strangers", Area.QUERIES, "S-134", "S-135", "S-136", level=AGENT)
def wrong_answers_are_not_told(lab: Lab) -> None:
    """Answers to no running query, with another id, or from who has answered already, are not told."""
    agent = lab.agent("a")
    bench = lab.bench(agent)
    peer = bench.member("peer")
    with agent.client.query("ask", timeout=2.0) as records:
        sent = hear(peer, QueryMessage, lambda q: q.name == b"ask")
        for ltime, id, payload in (
            (sent.ltime + 9, sent.id, b"other time"),
            (sent.ltime, sent.id ^ 1, b"other id"),
            (sent.ltime, sent.id, b"right"),
            (sent.ltime, sent.id, b"again"),
        ):
            peer.send(user(QueryResponse(ltime, id, peer.name, 0, payload).encode()), bench.node.address)
            bench.ask(bench.stranger())
        found = [record.payload for record in records]
    expect(found == [b"right"], "one answer", found)


@case("query-limits", Area.QUERIES, "S-116", "S-132", "A-229", level=AGENT, severity=Severity.SHOULD)
def queries_and_answers_have_a_size(lab: Lab) -> None:
    """A query of more than 1024 bytes is refused, and so is an answer; a smaller answer may follow."""
    agent = lab.agent("a")
    bench = lab.bench(agent)
    asker = bench.member("asker")
    said = refusal(lambda: agent.client.query("big", bytes(1024), timeout=1.0))
    expect("1024" in said, "a refusal that names the limit of 1024 bytes", said)
    with agent.client.stream("query") as records:
        agent.client.stats()
        say(bench, query(asker, 101))
        event = records.get(LIMIT)
        assert isinstance(event, StreamedQuery)
        said = refusal(agent.client.respond, event.id, bytes(1024))
        expect("1024" in said, "a refusal that names the limit of 1024 bytes", said)
        agent.client.respond(event.id, b"small")
        expect(_response(asker, 101, ack=False).payload == b"small", "the smaller answer")
        said = refusal(agent.client.respond, event.id, b"again")
        expect(said, "a refusal of a second answer", said)


@case("query-internal", Area.QUERIES, "S-140", "S-141", "A-194", level=AGENT)
def internal_queries_are_not_told(lab: Lab) -> None:
    """Queries whose names begin with _serf_ are acknowledged, but not told to listeners, and not to be asked by
    users.
    """
    agent = lab.agent("a")
    bench = lab.bench(agent)
    asker, listener = bench.member("asker"), lab.listen(agent)
    say(bench, query(asker, 111, b"_serf_ping"))
    say(bench, query(asker, 112, b"_serf_unknown"))
    for id in (111, 112):
        _response(asker, id, ack=True)
    say(bench, query(asker, 113, b"plain"))
    listener.wait_for(lambda event: isinstance(event, StreamedQuery) and event.name == "plain")
    names = [event.name for event in listener.heard if isinstance(event, StreamedQuery)]
    expect(names == ["plain"], "only the user's query", names)
    refusal(lambda: agent.client.query("_serf_foo", timeout=1.0))


@case("query-conflict", Area.QUERIES, "S-146", "S-148", "S-019", level=AGENT)
def who_has_a_name_is_told(lab: Lab) -> None:
    """Asked who has a name (_serf_conflict), an agent answers with its member of that name; with nil for an
    unknown name; not at all for its own.
    """
    agent = lab.agent("a")
    bench = lab.bench(agent)
    asker = bench.member("asker")
    agent.wait_for_members({asker.name.decode(): "alive"})
    say(bench, query(asker, 121, b"_serf_conflict", payload=asker.name))
    payload = _response(asker, 121, ack=False).payload or b""
    expect(payload[:1] == bytes((SerfMessageType.CONFLICT_RESPONSE,)), "a conflict response", payload.hex())
    member = ConflictResponse.decode(payload[1:]).member
    where = member and (member.name, (member.addr or b"")[-4:], member.port, member.status)
    expect(where == (asker.name, asker.ip, asker.port, 1), f"{asker.name!r} at its address, alive", member)
    say(bench, query(asker, 122, b"_serf_conflict", payload=b"kit-nobody"))
    payload = _response(asker, 122, ack=False).payload or b""
    expect(payload == b"\x06\xc0", "06c0: a nil member", payload.hex())
    say(bench, query(asker, 123, b"_serf_conflict", payload=b"a"))
    _is_not_answered(bench, asker, 123)


def _is_not_answered(bench: Bench, asker: Peer, id: int) -> None:
    _response(asker, id, ack=True)
    say(bench, query(asker, id + 1, b"_serf_conflict", payload=asker.name))
    _response(asker, id + 1, ack=False)
    wrong = [r for body in bodies(asker, 5) if (r := QueryResponse.decode(body)).id == id and not r.flags]
    expect(not wrong, "no answer about its own name", wrong)
