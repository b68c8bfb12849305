"""Every command against real agents: each kind of command line on the other kind's agent (spec agent §1.3 to §1.15)."""

from __future__ import annotations

import json
import re
import signal
import subprocess

import pytest

from tests.agents import GO_AGENTS, OURS, AgentProcess, free_host, run_serf, serf_command

OLD, NEW = GO_AGENTS
KEY = "HvY8ubRZMgafUOWvrOadwOckVa1wN3QWAo46FVKbVN8="
OTHER_KEY = "T9jncgl9mbLus+baTTa7q7nPSUrXwbDi2dhbtqir37s="
PAIRS = [(NEW, NEW), (OLD, OURS), (NEW, OURS), (OURS, OLD), (OURS, NEW), (OURS, OURS)]
"(command line, agent); the first is the control."


class Serf:
    """A command line that talks to one of two agents, which know each other."""

    def __init__(self, kind, agents):
        self.kind, self.agents = kind, agents

    def __call__(self, command, *args, agent=0):
        return run_serf(self.kind, command, *args, env={"SERF_RPC_ADDR": self.agents[agent].rpc})


def pair_id(pair):
    return f"{pair[0]}-on-{pair[1]}"


def marked(pair):
    return pytest.param(
        pair, id=pair_id(pair), marks=pytest.mark.socket if pair == (OURS, OURS) else pytest.mark.interop
    )


@pytest.fixture(scope="module", params=[marked(pair) for pair in PAIRS])
def serf(request):
    cli, kind = request.param
    with (
        AgentProcess(
            kind,
            "n1",
            "-tag=role=lb",
            "-tag=dc=<east>&é",
            f"-encrypt={KEY}",
            "-event-handler=query:load=printf '1.5\\n\\n'",
        ) as one,
        AgentProcess(
            kind,
            "n2-long",
            "-tag=role=web",
            f"-encrypt={KEY}",
            f"-join={one.gossip}",
            "-event-handler=query:load=exit 3",
        ) as two,
    ):
        one.wait_for("EventMemberJoin: n2-long")
        yield Serf(cli, (one, two))


def good(ran, text=None):
    """It succeeded and said this."""
    assert (ran.code, ran.err) == (0, ""), ran
    if text is not None:
        assert ran.out == text
    return ran.out


def bad(ran, text):
    assert (ran.code, ran.err, ran.out) == (1, "", text)


# --- events ----------------------------------------------------------------------------------------------------------


@pytest.mark.statement("A-026", "A-027", "A-243")
def test_event(serf):
    good(serf("event", "foo", "bar"), "Event 'foo' dispatched! Coalescing enabled: true\n")
    good(serf("event", "-coalesce=false", "foo"), "Event 'foo' dispatched! Coalescing enabled: false\n")
    good(serf("event", "", ""), "Event '' dispatched! Coalescing enabled: true\n")


@pytest.mark.statement("A-017", "A-018")
def test_event_takes_what_follows_as_its_arguments(serf):
    good(serf("event", "deploy", "-rpc-addr=x"), "Event 'deploy' dispatched! Coalescing enabled: true\n")
    good(serf("event", "-coalesce", "false", "x"), "Event 'false' dispatched! Coalescing enabled: true\n")


@pytest.mark.statement("A-030", "A-031")
def test_event_that_is_too_large(serf):
    limit = "exceeds configured limit of 512 bytes"
    bad(serf("event", "x", "y" * 512), f"Error sending event: user event {limit} before encoding\n")
    bad(serf("event", "x", "y" * 500), f"Error sending event: encoded user event {limit} after encoding\n")


# --- members ---------------------------------------------------------------------------------------------------------


def rows(out):
    """Rows as sets of cells, for output whose order is free; tags sorted within their cell."""
    cells = [re.split(r" {2,}", line.rstrip()) for line in out.splitlines()]
    return sorted([*row[:3], ",".join(sorted(row[3].split(","))) if len(row) > 3 else "", *row[4:]] for row in cells)


@pytest.mark.statement("A-054", "A-243")
def test_members(serf):
    out = good(serf("members"))
    one, two = serf.agents
    assert rows(out) == [
        ["n1", one.gossip, "alive", "dc=<east>&é,role=lb"],
        ["n2-long", two.gossip, "alive", "role=web"],
    ]
    width = max(len(one.gossip), len(two.gossip))
    assert re.search(rf"^n1       {one.gossip:<{width}}  alive  ", out, re.MULTILINE)


@pytest.mark.statement("A-058")
def test_members_in_detail(serf):
    found = rows(good(serf("members", "-detailed")))
    assert [row[4:] for row in found] == [["Protocol Version: 5", "Available Protocol Range: [2, 5]"]] * 2


@pytest.mark.statement("A-057", "A-059", "A-024", "A-025")
def test_members_as_json(serf):
    out = good(serf("members", "-format=json", "-name=n1"))
    gossip = serf.agents[0].gossip
    assert out == (
        '{\n  "members": [\n    {\n      "name": "n1",\n'
        f'      "addr": "{gossip}",\n      "port": {gossip.partition(":")[2]},\n'
        '      "tags": {\n        "dc": "\\u003ceast\\u003e\\u0026é",\n        "role": "lb"\n      },\n'
        '      "status": "alive",\n'
        '      "protocol": {\n        "max": 5,\n        "min": 2,\n        "version": 5\n      }\n    }\n  ]\n}\n'
    )
    assert good(serf("members", "-detailed", "-format=json", "-name=n1")) == out


@pytest.mark.statement("A-055", "A-056")
def test_members_when_nobody_matches(serf):
    good(serf("members", "-status=failed"), "\n")
    good(serf("members", "-status=failed", "-format=json"), '{\n  "members": null\n}\n')


@pytest.mark.statement("A-060", "A-061")
def test_members_by_role(serf):
    line, _, out = good(serf("members", "-tag=role=lb", "-role=web")).partition("\n")
    assert line == "Deprecation warning: 'Role' has been replaced with 'Tags'"
    assert [row[0] for row in rows(out)] == ["n2-long"]
    _, _, out = good(serf("members", "-role=web", "-tag=role=lb", "-format=json")).partition("\n")
    assert [member["name"] for member in json.loads(out)["members"]] == ["n2-long"]


def test_members_by_tag_name_and_status(serf):
    assert [row[0] for row in rows(good(serf("members", "-tag=role=w.*", "-name=n.*", "-status=alive")))] == ["n2-long"]
    assert [row[0] for row in rows(good(serf("members", "-tag=role=x", "-tag=role=lb")))] == ["n1"]


@pytest.mark.statement("A-063")
def test_members_by_what_is_no_expression(serf):
    bad(serf("members", "-name=["), "Error retrieving members: client closed\n")


def test_members_in_no_known_format(serf):
    bad(serf("members", "-format=xml"), 'Encoding error: Invalid output format "xml"\n')


# --- info ------------------------------------------------------------------------------------------------------------


@pytest.mark.statement("A-037", "A-038", "A-039", "A-040")
def test_info(serf):
    out = good(serf("info"))
    assert out.startswith(
        "agent:\n\tname = n1\nevent_handlers:\n\tquery:load = printf '1.5\\n\\n'\nruntime:\n\tarch = "
    )
    assert out.endswith("tags:\n\tdc = <east>&é\n\trole = lb\n")
    sections = re.findall(r"^(\w+):$", out, re.MULTILINE)
    assert sections == ["agent", "event_handlers", "runtime", "serf", "tags"]
    serf_keys = re.findall(r"^\t(\w+) = ", out.partition("serf:\n")[2].partition("tags:")[0], re.MULTILINE)
    assert serf_keys == sorted(serf_keys)
    assert len(serf_keys) == 12
    parsed = json.loads(good(serf("info", "-format=json")))
    assert list(parsed) == sections
    assert all(type(value) is str for section in parsed.values() for value in section.values())
    assert parsed["serf"]["members"] == "2"
    assert parsed["serf"]["encrypted"] == "true"
    bad(serf("info", "-format=xml"), 'Encoding error: Invalid output format "xml"\n')


# --- join, force-leave -----------------------------------------------------------------------------------------------


@pytest.mark.statement("A-041", "A-042", "A-043", "A-243")
def test_join(serf):
    gossip, nobody = serf.agents[1].gossip, f"{free_host()}:1"
    good(serf("join", gossip), "Successfully joined cluster by contacting 1 nodes.\n")
    good(serf("join", "-replay", nobody, gossip), "Successfully joined cluster by contacting 1 nodes.\n")
    ran = serf("join", nobody, f"{free_host()}:1")
    assert ran.code == 1
    assert ran.out.startswith("Error joining the cluster: 2 errors occurred:\n\t* Failed to join ")
    assert ran.out.endswith(": connect: connection refused\n\n\n")
    assert ran.out.count("\n\t* ") == 2


@pytest.mark.statement("A-033")
def test_force_leave_of_nobody(serf):
    good(serf("force-leave", "nobody"), "")
    good(serf("force-leave", "-prune", "nobody"), "")


# --- keys ------------------------------------------------------------------------------------------------------------


@pytest.mark.statement("A-048", "A-049", "A-050", "A-052")
def test_keys(serf):
    listing = "==> Asking all members for installed keys...\n==> Keys gathered, listing cluster keys...\n\n"
    good(serf("keys", "-list"), f"{listing}{KEY}  [2/2]\n")
    good(
        serf("keys", f"-install={OTHER_KEY}"),
        "==> Installing key on all members...\n==> Successfully installed key!\n",
    )
    out = good(serf("keys", "-list"))
    assert sorted(out.removeprefix(listing).splitlines()) == [f"{KEY}  [2/2]", f"{OTHER_KEY}  [2/2]"]
    good(
        serf("keys", f"-use={OTHER_KEY}"),
        "==> Changing primary key on all members...\n==> Successfully changed primary key!\n",
    )
    ran = serf("keys", f"-remove={OTHER_KEY}")
    assert ran.code == 1
    first, *failed, empty, last = ran.out.splitlines()
    assert first == "==> Removing key on all members..."
    text = "emoving the primary key is not allowed"  # newer releases write it small
    assert [line.replace("  R", "  r") for line in sorted(failed)] == [
        f"failed:  n1       r{text}",
        f"failed:  n2-long  r{text}",
    ]
    assert (empty, last) == ("", "Error removing key: 2/2 nodes reported failure")
    good(serf("keys", f"-use={KEY}"))
    good(serf("keys", f"-remove={OTHER_KEY}"), "==> Removing key on all members...\n==> Successfully removed key!\n")
    bad(
        serf("keys", "-install=abc"),
        "==> Installing key on all members...\n\nError installing key: illegal base64 data at input byte 0\n",
    )


# --- query -----------------------------------------------------------------------------------------------------------


@pytest.mark.statement("A-072", "A-074", "A-078", "A-243")
def test_query(serf):
    out = good(serf("query", "-timeout=1500ms", "load"))
    first, *middle = out.splitlines()
    assert first == "Query 'load' dispatched"
    # Of the two newlines of the answer one is removed; the other is shown.
    assert sorted(middle) == sorted(
        ["Ack from 'n1'", "Ack from 'n2-long'", "Response from 'n1': 1.5", "", "Total Acks: 2", "Total Responses: 1"]
    )
    assert middle[-2:] == ["Total Acks: 2", "Total Responses: 1"]


@pytest.mark.statement("A-073")
def test_query_without_acks(serf):
    out = good(serf("query", "-timeout=1500ms", "-no-ack", "-node=n1", "load"))
    assert out == "Query 'load' dispatched\nResponse from 'n1': 1.5\n\nTotal Responses: 1\n"


@pytest.mark.statement("A-075")
def test_query_as_json(serf):
    out = good(serf("query", "-timeout=1500ms", "-format=json", "-tag=role=l", "load"))
    assert out == '{\n  "Acks": [\n    "n1"\n  ],\n  "Responses": {\n    "n1": "1.5\\n\\n"\n  }\n}\n'
    out = good(serf("query", "-timeout=300ms", "-format=json", "-no-ack", "-node=nobody", "load"))
    assert out == '{\n  "Acks": null,\n  "Responses": {}\n}\n'


@pytest.mark.statement("A-076", "A-081", "A-082")
def test_queries_that_are_refused_and_one_that_is_not(serf):
    bad(serf("query", "-format=xml", "x"), "Invalid format: xml\n")
    bad(serf("query", "_serf_foo"), "Error sending query: Queries cannot contain the '_serf_' prefix\n")
    bad(serf("query", "x", "y" * 1100), "Error sending query: query exceeds limit of 1024 bytes\n")
    assert "Total Acks: 2\n" in good(serf("query", "-timeout=1500ms", "_serf_ping"))


@pytest.mark.statement("A-079")
def test_query_that_is_interrupted(serf):
    process = subprocess.Popen(
        [*serf_command(serf.kind), "query", f"-rpc-addr={serf.agents[0].rpc}", "-timeout=20s", "load"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    first = process.stdout.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, err) == (1, "")
    assert first == "Query 'load' dispatched\n"
    assert "Total" not in out


# --- reachability, rtt, tags -----------------------------------------------------------------------------------------


@pytest.mark.statement("A-083", "A-084")
def test_reachability(serf):
    start = "Total members: 2, live members: 2\nStarting reachability test...\n"
    out = good(serf("reachability", "-verbose"))
    assert out.startswith(start)
    *acks, times, last = out.removeprefix(start).splitlines()
    assert sorted(acks) == ["\tAck from 'n1'", "\tAck from 'n2-long'"]
    assert re.fullmatch(r"Query time: \d+\.\d\d sec, time to last response: \d+\.\d\d sec", times)
    assert last == "Successfully contacted all live nodes"
    good(serf("reachability"), f"{start}{last}\n")


@pytest.mark.statement("A-087", "A-088", "A-089", "A-090")
def test_rtt(serf):
    assert re.fullmatch(r"Estimated n1 <-> n1 rtt: \d+\.\d{3} ms\n", good(serf("rtt", "n1", "n1")))
    assert re.fullmatch(r"Estimated n1 <-> n1 rtt: \d+\.\d{3} ms\n", good(serf("rtt", "n1")))
    bad(serf("rtt", "nosuch"), 'Could not find a coordinate for node "nosuch"\n')
    for names in ([], ["a", "b", "c"]):
        ran = serf("rtt", *names)
        assert ran.code == 1
        assert ran.out.startswith(
            "One or two node names must be specified\n\nUsage: serf rtt [options] node1 [node2]\n"
        )


@pytest.mark.statement("A-092", "A-093", "A-094", "A-243")
def test_tags(serf):
    said = "Successfully updated agent tags\n"
    good(serf("tags", "-set=a=b=c", "-set=e=", "-delete=absent", agent=1), said)
    assert rows(good(serf("members", "-name=n2-long", agent=1)))[0][3] == "a=b=c,e=,role=web"
    good(serf("tags", "-set=a=1", "-delete=a", "-delete=e", agent=1), said)
    assert rows(good(serf("members", "-name=n2-long", agent=1)))[0][3] == "a=1,role=web"
    good(serf("tags", "-delete=a", agent=1), said)
    too_long = "Error setting tags: Encoded length of tags exceeds limit of 512 bytes\n"
    bad(serf("tags", f"-set=a={'x' * 520}"), too_long)
    bad(serf("tags", "-set=foo"), "Error: Invalid tag: 'foo'\n")


# --- monitor ---------------------------------------------------------------------------------------------------------


@pytest.mark.statement("A-067", "A-068", "A-069", "A-243")
def test_monitor(serf):
    process = subprocess.Popen(
        [*serf_command(serf.kind), "monitor", f"-rpc-addr={serf.agents[0].rpc}", "-log-level=debug"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    lines = []

    def until(text):
        while not lines or text not in lines[-1]:
            line = process.stdout.readline()
            assert line, f"no {text!r} in {''.join(lines)}"
            lines.append(line)

    until("[INFO] agent: Serf agent starting")
    assert re.match(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[INFO\] agent: Serf agent starting\n", lines[-1])
    good(serf("event", "-coalesce=false", "monitored", "abc"))
    event = set()
    while '\tName: "monitored"\n' not in event:  # others may come before it
        until("Event Info:")
        event = {process.stdout.readline()}
        while not re.match(r"Event|\d{4}/", line := process.stdout.readline()):
            event.add(line)
            if len(event) == 5:
                break
        else:
            lines.append(line)
    ltime = next(line for line in event if line.startswith("\tLTime: "))
    assert event - {ltime} == {
        "\tCoalesce: false\n",
        '\tEvent: "user"\n',
        '\tName: "monitored"\n',
        "\tPayload: []byte{0x61, 0x62, 0x63}\n",
    }
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert (process.returncode, err) == (0, "")


@pytest.mark.statement("A-071")
def test_monitor_at_no_known_level(serf):
    bad(serf("monitor", "-log-level=bogus"), "Error starting monitor: Unknown log level: BOGUS\n")
