"""Commands on an agent that does the unusual, for each kind of command line."""

from __future__ import annotations

import re

import pytest

from serfcompat.rpc.protocol import EventRequest, MembersFilteredRequest, QueryRequest
from tests.agents import GO_AGENTS, OURS
from tests.cli.scripted_agent import ScriptedAgent, ok


def member(name, status="alive", addr=b"\x7f\0\0\1", **tags):
    versions = {f"{layer}{which}": 5 for layer in ("Protocol", "Delegate") for which in ("Min", "Max", "Cur")}
    return {"Name": name, "Addr": addr, "Port": 7946, "Tags": tags, "Status": status, **versions}


def run(serf, agent, command, *args):
    return serf(command, *args, env={"SERF_RPC_ADDR": agent.rpc})


def acks(*names):
    """Answers a query with these acks and its end."""

    def answer(seq, request):
        records = [{"From": name, "Payload": None, "Type": "ack"} for name in names]
        return ok(seq) + b"".join(
            ok(seq, record) for record in [*records, {"From": "", "Payload": None, "Type": "done"}]
        )

    return answer


def members(*listed):
    return lambda seq, request: ok(seq, {"Members": list(listed)})


@pytest.mark.statement("A-032")
def test_no_payload_and_an_empty_one_differ(serf):
    with ScriptedAgent() as agent:
        run(serf, agent, "event", "foo")
        run(serf, agent, "event", "foo", "")
        run(serf, agent, "event", "-coalesce=false", "foo", "-bar")
    assert agent.of(EventRequest) == [
        EventRequest("foo", None, True),
        EventRequest("foo", b"", True),
        EventRequest("foo", b"-bar", False),
    ]


def test_bytes_that_are_not_text_go_through(serf):
    with ScriptedAgent(members_filtered=members(member("n\udcff"))) as agent:
        assert (
            run(serf, agent, "event", b"a\xff", b"\xfe").out == "Event 'a\udcff' dispatched! Coalescing enabled: true\n"
        )
        assert run(serf, agent, "members").out.startswith("n\udcff  127.0.0.1:7946")
    assert agent.of(EventRequest) == [EventRequest("a\udcff", b"\xfe", True)]


@pytest.mark.statement("A-083", "A-086")
@pytest.mark.parametrize(
    ("answering", "code", "said"),
    [
        (["a", "b"], 0, "Successfully contacted all live nodes\n"),
        (
            ["a", "a"],
            1,
            "Duplicate response from 'a'\n"
            "Duplicate responses means there is a misconfiguration. Verify that node names are unique.\n"
            "Successfully contacted all live nodes\n",
        ),
    ],
)
def test_reachability_counts_every_ack(serf, answering, code, said):
    listed = [member("a"), member("b"), member("c", "failed")]
    with ScriptedAgent(members=members(*listed), query=acks(*answering)) as agent:
        ran = run(serf, agent, "reachability")
    assert (ran.code, ran.err) == (code, "")
    assert ran.out == f"Total members: 3, live members: 2\nStarting reachability test...\n{said}"
    assert agent.of(QueryRequest) == [QueryRequest(name="_serf_ping", request_ack=True)]


@pytest.mark.statement("A-085")
@pytest.mark.parametrize(
    ("answering", "headline", "names"),
    [
        (["a"], "Received less acks than live nodes! Missing acks from:", ["b", "d"]),
        (["a", "b", "d", "x"], "Received more acks than live nodes! Acks from non-live nodes:", ["x"]),
    ],
)
def test_reachability_names_who_is_amiss(serf, answering, headline, names):
    listed = [member("a"), member("b"), member("c", "left"), member("d")]
    with ScriptedAgent(members=members(*listed), query=acks(*answering)) as agent:
        ran = run(serf, agent, "reachability", "-verbose")
    assert (ran.code, ran.err) == (1, "")
    before, _, after = ran.out.partition(f"{headline}\n")
    assert re.search(r"\nQuery time: 0\.\d\d sec, time to last response: 0\.\d\d sec\n$", before)
    lines = after.splitlines()
    assert sorted(line for line in lines if line.startswith("\t")) == [f"\t{name}" for name in names]
    assert "Troubleshooting tips:" in lines
    assert sum(line.startswith("* ") for line in lines) == 5


@pytest.mark.statement("A-061", "A-062")
def test_members_sends_its_filters(serf):
    with ScriptedAgent(members_filtered=members()) as agent:
        run(serf, agent, "members", "-role=web", "-tag=role=lb", "-tag=a=1", "-tag=a=2", "-name=n", "-status=s")
        run(serf, agent, "members")
        run(serf, agent, "members", "-tag=nonsense")
    assert agent.requests[1::2] == [
        MembersFilteredRequest({"role": "web", "a": "2"}, "s", "n"),
        MembersFilteredRequest(),
    ]


@pytest.mark.statement("A-064", "A-065", "A-066")
def test_unusual_members(serf):
    listed = [
        member("é", addr=b"\0" * 15 + b"\1"),
        member("a|b", addr=b"\0" * 10 + b"\xff\xff\x0a\0\0\1", x="y"),
        member("none", addr=None),
    ]
    with ScriptedAgent(members_filtered=members(*listed)) as agent:
        ran = run(serf, agent, "members")
    assert ran.out == (
        "é     [::1]:7946  alive          \na     b           10.0.0.1:7946  alive  x=y\nnone  :7946       alive\n"
    )


def test_a_query_may_be_relayed_and_filtered(serf):
    with ScriptedAgent(query=acks()) as agent:
        args = ["-relay-factor=0x10", "-node=a", "-node=b", "-tag=x=y=z", "-timeout=1m30s", "-no-ack", "load", "pay"]
        run(serf, agent, "query", *args)
    assert agent.of(QueryRequest) == [QueryRequest(("a", "b"), {"x": "y=z"}, False, 16, 90_000_000_000, "load", b"pay")]


@pytest.mark.statement("A-074")
@pytest.mark.parametrize(
    "serf", [pytest.param(OURS, marks=pytest.mark.socket)], indirect=True
)  # Go may miss the answer
@pytest.mark.parametrize(
    ("payload", "shown"), [(b"x\n\n", "x\n"), (b"x\n", "x"), (b"x", "x"), (b"\xff\n", "\udcff"), (b"", "")]
)
def test_one_newline_of_an_answer_goes(serf, payload, shown):
    def answer(seq, request):
        record = {"From": "n", "Payload": payload, "Type": "response"}
        return ok(seq) + ok(seq, record) + ok(seq, {"From": "", "Payload": None, "Type": "done"})

    with ScriptedAgent(query=answer) as agent:
        ran = run(serf, agent, "query", "-no-ack", "x")
    assert ran.out == f"Query 'x' dispatched\nResponse from 'n': {shown}\nTotal Responses: 1\n"


def test_coordinates_of_different_dimensions(serf):
    if serf.kind != OURS:
        assert serf.kind in GO_AGENTS  # which crash here, with exit 2
    coordinates = {
        name: {"Coord": {"Adjustment": 0.0, "Error": 1.0, "Height": 0.1, "Vec": [0.0] * size}, "Ok": True}
        for name, size in (("a", 8), ("b", 4))
    }
    with ScriptedAgent(get_coordinate=lambda seq, request: ok(seq, coordinates[request.node])) as agent:
        ran = run(serf, agent, "rtt", "a", "b")
    assert ran.code == (1 if serf.kind == OURS else 2)
    if serf.kind == OURS:
        assert ran.out.startswith("Error getting coordinates: ")


@pytest.mark.statement("A-087")
def test_rtt_is_the_distance_with_adjustments_while_that_is_positive(serf):
    def coordinate(x, height, adjustment):
        return {"Coord": {"Adjustment": adjustment, "Error": 1.0, "Height": height, "Vec": [x, 0.0]}, "Ok": True}

    known = {
        "a": coordinate(0.0, 0.001, 0.0),
        "b": coordinate(0.0123456, 0.002, 0.0005),
        "c": coordinate(0.001, 0.001, -0.1),
    }
    with ScriptedAgent(get_coordinate=lambda seq, request: ok(seq, known[request.node])) as agent:
        assert run(serf, agent, "rtt", "a", "b").out == "Estimated a <-> b rtt: 15.846 ms\n"
        assert run(serf, agent, "rtt", "a", "c").out == "Estimated a <-> c rtt: 3.000 ms\n"
