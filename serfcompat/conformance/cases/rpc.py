"""The RPC protocol of agents."""

from __future__ import annotations

import threading

from serfcompat.conformance.case import Area, Level, Severity, case, expect
from serfcompat.conformance.lab import Lab
from serfcompat.conformance.rpcside import RawClient

AGENT = Level.AGENT
KEYS = {
    "Name",
    "Addr",
    "Port",
    "Tags",
    "Status",
    "ProtocolMin",
    "ProtocolMax",
    "ProtocolCur",
    "DelegateMin",
    "DelegateMax",
    "DelegateCur",
}


@case("rpc-handshake", Area.RPC, "A-195", "A-197", "A-198", level=AGENT)
def a_connection_begins_with_a_handshake(lab: Lab) -> None:
    """The handshake takes version 1 and nothing else; it may be tried again, and a second one is refused."""
    agent = lab.agent("a")
    with RawClient(agent.rpc, handshake=False) as client:
        for version in (0, 2, -1):
            error = client.request("handshake", {"Version": version}, seq=5)
            expect(error == "Unsupported IPC version", "'Unsupported IPC version'", error)
        client.succeed("handshake", {"Version": 1}, seq=6)
        error = client.request("handshake", {"Version": 1}, seq=7)
        expect(error == "Handshake already performed", "'Handshake already performed'", error)
        client.succeed("stats", seq=8)
        expect(isinstance(client.value(), dict), "the connection is still of use")


@case("rpc-no-handshake", Area.RPC, "A-196", level=AGENT)
def nothing_goes_without_a_handshake(lab: Lab) -> None:
    """Any other command before the handshake is refused, and the agent hangs up."""
    with RawClient(lab.agent("a").rpc, handshake=False) as client:
        error = client.request("members", seq=3)
        expect(error == "Handshake required", "'Handshake required'", error)
        client.is_closed("a command without a handshake")


@case("rpc-unknown", Area.RPC, "A-199", level=AGENT)
def unknown_commands_are_hung_up_on(lab: Lab) -> None:
    """An unknown command is refused, and the agent hangs up."""
    with RawClient(lab.agent("a").rpc) as client:
        error = client.request("kit-bogus", seq=3)
        expect(error == "Unsupported command", "'Unsupported command'", error)
        client.is_closed("an unknown command")


@case("rpc-seq", Area.RPC, "A-205", level=AGENT)
def numbers_are_echoed(lab: Lab) -> None:
    """The number of a request, from 0 to 2**64 - 1, comes back with its reply."""
    with RawClient(lab.agent("a").rpc) as client:
        for seq in (0, 1, 2**31, 2**32, 2**63, 2**64 - 1):
            client.succeed("stats", seq=seq)
            client.value()


@case("rpc-forms", Area.RPC, "A-206", "A-208", "A-209", "A-210", level=AGENT)
def requests_have_many_forms(lab: Lab) -> None:
    """Keys come in any order, unknown ones are ignored; headers and bodies may be arrays; a payload may be str,
    bin or nil.
    """
    agent = lab.agent("a")
    with RawClient(agent.rpc) as client:
        client.send({"Extra": [1, {"x": None}], "Seq": 4, "Command": "event"})
        client.send({"Payload": b"x", "Name": "one", "Extra": 1.5, "Coalesce": False})
        expect(client.reply(4) == "", "success with unknown keys")
        client.send(["event", 5], ["two", "text", True])
        expect(client.reply(5) == "", "success with arrays")
        client.send({"Command": "event", "Seq": 6}, {"Name": "three", "Payload": None})
        expect(client.reply(6) == "", "success with a nil payload")


@case("rpc-malformed", Area.RPC, "A-211", level=AGENT)
def malformed_requests_are_hung_up_on(lab: Lab) -> None:
    """What can't be read as a request is hung up on, and harms nobody else."""
    agent = lab.agent("a")
    with RawClient(agent.rpc) as witness:
        for data in (b"\xc1\xc1", b"\xa3abc", b"\x82\xa7Command\x05\xa3Seq\x01"):
            with RawClient(agent.rpc) as client:
                client.send_raw(data)
                client.is_closed(f"the bytes {data.hex()}")
        with RawClient(agent.rpc) as client:
            client.send({"Command": "event", "Seq": 1}, {"Name": 5})
            client.is_closed("a body with a number as a name")
        witness.succeed("stats")
        witness.value()


@case("rpc-pipeline", Area.RPC, "A-204", "A-212", level=AGENT)
def requests_may_be_sent_at_once(lab: Lab) -> None:
    """Requests that are sent at once are answered one after the other; some have no body."""
    with RawClient(lab.agent("a").rpc) as client:
        client.send(
            *({"Command": "members", "Seq": 1}, {"Command": "stats", "Seq": 2}),
            *({"Command": "event", "Seq": 3}, {"Name": "x"}),
            {"Command": "members", "Seq": 4},
        )
        for seq, has_body in ((1, True), (2, True), (3, False), (4, True)):
            expect(client.reply(seq) == "", f"success of request {seq}")
            if has_body:
                client.value()


@case("rpc-members", Area.RPC, "A-216", "A-213", level=AGENT)
def members_have_eleven_keys(lab: Lab) -> None:
    """A member has exactly Go's eleven keys, with an address of 4 or 16 bytes and a status in words."""
    agent = lab.agent("a", "-tag=role=web")
    with RawClient(agent.rpc) as client:
        client.succeed("members")
        members = client.value()["Members"]
    expect(len(members) == 1, "one member", members)
    member = members[0]
    expect(set(member) == KEYS, f"the keys {sorted(KEYS)}", sorted(member))
    expect(isinstance(member["Addr"], bytes) and len(member["Addr"]) in (4, 16), "4 or 16 bytes", member["Addr"])
    found = (member["Name"], member["Port"], member["Tags"], member["Status"])
    wanted = ("a", 7946, {"role": "web"}, "alive")
    expect(found == wanted, repr(wanted), found)


@case("rpc-filter", Area.RPC, "A-217", "A-218", level=AGENT)
def members_can_be_filtered(lab: Lab) -> None:
    """Filters of members are regular expressions that match as a whole: of the name, the status and tags; a tag
    that is missing is empty.
    """
    agent = lab.agent("n1", "-tag=role=web")
    for filters, found in (
        ({"name": "n1"}, True),
        ({"name": "n"}, False),
        ({"name": "n.*"}, True),
        ({"status": "alive"}, True),
        ({"status": "left|failed"}, False),
        ({"tags": {"role": "we"}}, False),
        ({"tags": {"role": "web|db"}}, True),
        ({"tags": {"zone": ""}}, True),
        ({"tags": {"zone": ".+"}}, False),
    ):
        members = agent.client.members_filtered(**filters)
        expect(bool(members) == found, f"{'a' if found else 'no'} member for {filters}", members)


@case("rpc-filter-wrong", Area.RPC, "A-219", level=AGENT, severity=Severity.SHOULD)
def wrong_expressions_are_hung_up_on(lab: Lab) -> None:
    """A filter that is no regular expression makes the agent hang up."""
    with RawClient(lab.agent("a").rpc) as client:
        client.send({"Command": "members-filtered", "Seq": 3}, {"Tags": None, "Status": "", "Name": "["})
        client.is_closed("a wrong expression")


@case("rpc-stream", Area.RPC, "A-222", "A-223", level=AGENT)
def streams_begin_with_a_reply(lab: Lab) -> None:
    """A stream begins with a reply; a wrong filter, and a second stream of the same number, are refused."""
    agent = lab.agent("a")
    with RawClient(agent.rpc) as client:
        error = client.request("stream", {"Type": "bogus"}, seq=3)
        expect(error == "Invalid event filter", "'Invalid event filter'", error)
        client.succeed("stream", {"Type": "user"}, seq=4)
        error = client.request("stream", {"Type": "user"}, seq=4)
        expect(error == "Stream with given sequence exists", "'Stream with given sequence exists'", error)
        client.succeed("event", {"Name": "x", "Payload": b"\0"}, seq=5)
        expect(client.reply(4) == "", "a record with the stream's number")
        wanted = {"Event": "user", "LTime": 1, "Name": "x", "Payload": b"\0", "Coalesce": False}
        record = client.value()
        expect(record == wanted, repr(wanted), record)
        client.succeed("stop", {"Stop": 4}, seq=6)
        client.succeed("stop", {"Stop": 99}, seq=7)


@case("rpc-monitor", Area.RPC, "A-230", "A-231", level=AGENT)
def the_log_can_be_followed(lab: Lab) -> None:
    """A monitor brings the log's past and what comes; a second one is refused until the first is stopped."""
    agent = lab.agent("a")
    with RawClient(agent.rpc) as client:
        client.succeed("monitor", {"LogLevel": "DEBUG"}, seq=3)
        expect(client.reply(3) == "", "a record with the monitor's number")
        expect(set(client.value()) == {"Log"}, "a record with the key Log")
    with RawClient(agent.rpc) as client:
        error = client.request("monitor", {"LogLevel": "bogus"}, seq=3)
        expect(error == "Unknown log level: BOGUS", "'Unknown log level: BOGUS'", error)


@case("rpc-respond", Area.RPC, "A-227", level=AGENT)
def only_known_queries_can_be_answered(lab: Lab) -> None:
    """An answer to a query that this connection wasn't told is refused."""
    with RawClient(lab.agent("a").rpc) as client:
        error = client.request("respond", {"ID": 7, "Payload": b""}, seq=3)
        expect(error == "No pending queries matching ID", "'No pending queries matching ID'", error)


@case("rpc-query", Area.RPC, "A-233", level=AGENT)
def a_query_brings_records(lab: Lab) -> None:
    """A query is answered with a reply, then records of the type ack and response under its number, at last one
    of the type done.
    """
    agent = lab.agent("a")
    lab.listen(agent, {"q": b"r"})
    with RawClient(agent.rpc) as client:
        body = {"FilterNodes": None, "FilterTags": None, "RequestAck": True, "RelayFactor": 0}
        client.succeed("query", {**body, "Timeout": 10**9, "Name": "q", "Payload": None}, seq=9)
        records: list[tuple[str, str, bytes | None]] = []
        while not records or records[-1][0] != "done":
            expect(client.reply(9) == "", "a record with the query's number")
            record = client.value()
            if record["From"] or record["Type"] == "done":
                records.append((record["Type"], record["From"], record["Payload"]))
    kinds = sorted(record[:2] for record in records)
    expect(kinds == [("ack", "a"), ("done", ""), ("response", "a")], "ack, response, done", records)
    answer = next(record[2] for record in records if record[0] == "response")
    expect(answer == b"r", "the answer b'r'", answer)


@case("rpc-stats", Area.RPC, "A-221", "A-039", level=AGENT)
def stats_have_sections(lab: Lab) -> None:
    """The agent's statistics have the sections agent, runtime, serf, event_handlers and tags, and all values
    are text.
    """
    stats = lab.agent("a", "-tag=role=web").client.stats()
    sections = {"agent", "runtime", "serf", "event_handlers", "tags"}
    expect(set(stats) == sections, repr(sorted(sections)), sorted(stats))
    wanted = {"members", "failed", "left", "health_score", "member_time", "event_time", "query_time", "encrypted"}
    expect(wanted <= set(stats["serf"]), f"{sorted(wanted)} in the section serf", sorted(stats["serf"]))
    expect(stats["agent"].get("name") == "a", "the agent's name", stats["agent"])
    expect(dict(stats["tags"]) == {"role": "web"}, "the tags", stats["tags"])


@case("rpc-many", Area.RPC, "A-241", level=AGENT, severity=Severity.SHOULD)
def many_clients_are_served(lab: Lab) -> None:
    """Fifty connections at once are served."""
    agent = lab.agent("a")
    clients: list[RawClient] = []
    lock = threading.Lock()

    def connect() -> None:
        client = RawClient(agent.rpc)
        with lock:
            clients.append(client)

    threads = [threading.Thread(target=connect) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    try:
        for client in clients:
            client.succeed("stats")
            client.value()
        expect(len(clients) == 50, "50 connections", len(clients))
    finally:
        for client in clients:
            client.__exit__()
