"""The command line."""

from __future__ import annotations

import base64
import json

from serfcompat.conformance.case import Area, Level, Severity, case, expect
from serfcompat.conformance.lab import Lab, Ran

AGENT = Level.AGENT
SHOULD = Severity.SHOULD


def _prints(ran: Ran, out: str, code: int = 0) -> None:
    expect(ran.out == out and ran.code == code, f"exit {code}, stdout {out!r}", ran)


@case("cli-version", Area.CLI, "A-007", "A-009", level=AGENT, severity=SHOULD)
def the_version_is_told(lab: Lab) -> None:
    """`version` prints two lines, the second of which tells the protocol versions; exit 0."""
    ran = lab.cli("version")
    lines = ran.out.splitlines()
    expect(ran.code == 0 and len(lines) == 2, "exit 0 and two lines", ran)
    wanted = "Agent Protocol: 5 (Understands back to: 2)"
    expect(lines[1] == wanted, repr(wanted), lines[1])


@case("cli-members", Area.CLI, "A-054", "A-055", level=AGENT, severity=SHOULD)
def members_are_rows(lab: Lab) -> None:
    """`members` prints a row per member: name, address, status and tags, in columns two spaces apart; no member
    is an empty line.
    """
    agent = lab.agent("a", "-tag=role=web")
    _prints(lab.cli("members", agent=agent), f"a  {agent.gossip}  alive  role=web\n")
    _prints(lab.cli("members", "-status=left", agent=agent), "\n")


@case("cli-members-json", Area.CLI, "A-057", "A-056", "A-025", level=AGENT, severity=SHOULD)
def members_are_json(lab: Lab) -> None:
    """`members -format=json` prints an object with the list members, whose keys have Go's order, with two
    spaces of indent.
    """
    agent = lab.agent("a", "-tag=role=web")
    ran = lab.cli("members", "-format=json", agent=agent)
    try:
        member = json.loads(ran.out)["members"][0]
    except (ValueError, LookupError, TypeError):
        expect(False, "an object with a list of members", ran)
        raise
    wanted = {
        "name": "a",
        "addr": agent.gossip,
        "port": 7946,
        "tags": {"role": "web"},
        "status": "alive",
        "protocol": {"max": 5, "min": 2, "version": 5},
    }
    expect(member == wanted, repr(wanted), member)
    expect(list(member) == list(wanted), f"the keys in the order {list(wanted)}", list(member))
    text = json.dumps({"members": [wanted]}, indent=2) + "\n"
    expect(ran.out == text, text, ran.out)


@case("cli-event", Area.CLI, "A-026", "A-027", "A-028", "A-029", level=AGENT, severity=SHOULD)
def events_are_dispatched(lab: Lab) -> None:
    """`event` says that it dispatched an event; without a name, and with too much, it fails with exit 1."""
    agent = lab.agent("a")
    _prints(lab.cli("event", "foo", "bar", agent=agent), "Event 'foo' dispatched! Coalescing enabled: true\n")
    ran = lab.cli("event", "-coalesce=false", "foo", agent=agent)
    _prints(ran, "Event 'foo' dispatched! Coalescing enabled: false\n")
    for arguments in ((), ("a", "b", "c")):
        ran = lab.cli("event", *arguments, agent=agent)
        expect(ran.code == 1 and not ran.err, "exit 1 with nothing on stderr", ran)


@case("cli-query", Area.CLI, "A-072", "A-075", level=AGENT, severity=SHOULD)
def queries_are_told(lab: Lab) -> None:
    """`query` prints who acknowledged and who answered what, and the totals."""
    agent = lab.agent("a")
    lab.listen(agent, {"who": b"me"})
    ran = lab.cli("query", "-timeout=1s", "who", agent=agent)
    lines = sorted(ran.out.splitlines())
    wanted = sorted(
        ["Query 'who' dispatched", "Ack from 'a'", "Response from 'a': me", "Total Acks: 1", "Total Responses: 1"]
    )
    expect(lines == wanted and ran.code == 0, f"exit 0 and the lines {wanted}", ran)
    ran = lab.cli("query", "-timeout=1s", "-format=json", "who", agent=agent)
    found = json.loads(ran.out)
    expect(found == {"Acks": ["a"], "Responses": {"a": "me"}}, "an object with Acks and Responses", found)


@case("cli-join", Area.CLI, "A-041", "A-043", "A-044", level=AGENT, severity=SHOULD)
def joins_are_counted(lab: Lab) -> None:
    """`join` says how many nodes it reached; if none, or without an address, it fails with exit 1."""
    a, b = lab.agent("a"), lab.agent("b")
    ran = lab.cli("join", a.gossip, agent=b)
    _prints(ran, "Successfully joined cluster by contacting 1 nodes.\n")
    ran = lab.cli("join", "127.0.0.1:9", agent=b)
    said = ran.out.startswith("Error joining the cluster: 1 error occurred:")
    expect(said and ran.code == 1, "exit 1 and 'Error joining the cluster: 1 error occurred:'", ran)
    ran = lab.cli("join", agent=b)
    expect(ran.code == 1 and "At least one address to join" in ran.out, "exit 1 and what is missing", ran)


@case("cli-leave", Area.CLI, "A-053", level=AGENT, severity=SHOULD)
def a_leave_is_confirmed(lab: Lab) -> None:
    """`leave` says that the agent left, which ends with exit 0."""
    agent = lab.agent("a")
    _prints(lab.cli("leave", agent=agent), "Graceful leave complete\n")
    code = agent.wait_for_exit()
    expect(code == 0, "exit status 0 of the agent", code)


@case("cli-tags", Area.CLI, "A-092", "A-093", level=AGENT, severity=SHOULD)
def tags_are_updated(lab: Lab) -> None:
    """`tags` sets and deletes tags; a value may have an equals sign."""
    agent = lab.agent("a", "-tag=c=1")
    ran = lab.cli("tags", "-set", "a=b=c", "-delete", "c", agent=agent)
    _prints(ran, "Successfully updated agent tags\n")
    agent.wait_until(lambda: dict(agent.members()["a"].tags), lambda tags: tags == {"a": "b=c"})


@case("cli-info", Area.CLI, "A-037", "A-038", level=AGENT, severity=SHOULD)
def info_is_sorted(lab: Lab) -> None:
    """`info` prints sections and keys in order, with tabs, or as an object of objects of text."""
    agent = lab.agent("a")
    ran = lab.cli("info", agent=agent)
    heads = [line for line in ran.out.splitlines() if not line.startswith("\t")]
    wanted = ["agent:", "event_handlers:", "runtime:", "serf:", "tags:"]
    expect(heads == wanted and "\n\tname = a\n" in ran.out, f"the sections {wanted}, and a line name = a", ran)
    found = json.loads(lab.cli("info", "-format=json", agent=agent).out)
    texts = all(isinstance(value, str) for section in found.values() for value in section.values())
    expect(texts and found["agent"]["name"] == "a", "an object of objects of text", found)


@case("cli-rtt", Area.CLI, "A-087", "A-090", level=AGENT, severity=SHOULD)
def round_trips_are_estimated(lab: Lab) -> None:
    """`rtt` estimates the round trip between two members; for a stranger it fails with exit 1."""
    agent = lab.agent("a")
    ran = lab.cli("rtt", "a", "a", agent=agent)
    fits = ran.out.startswith("Estimated a <-> a rtt: ") and ran.out.endswith(" ms\n")
    expect(fits and ran.code == 0, "'Estimated a <-> a rtt: N.NNN ms'", ran)
    ran = lab.cli("rtt", "kit-nobody", agent=agent)
    _prints(ran, 'Could not find a coordinate for node "kit-nobody"\n', 1)


@case("cli-reachability", Area.CLI, "A-083", level=AGENT, severity=SHOULD)
def members_are_reached(lab: Lab) -> None:
    """`reachability` says that it contacted all live nodes; exit 0."""
    agent = lab.agent("a")
    ran = lab.cli("reachability", agent=agent)
    lines = ran.out.splitlines()
    fits = len(lines) == 3 and lines[-1] == "Successfully contacted all live nodes"
    expect(fits and ran.code == 0, "three lines, the last 'Successfully contacted all live nodes'", ran)


@case("cli-keygen", Area.CLI, "A-045", level=AGENT, severity=SHOULD)
def keys_are_made(lab: Lab) -> None:
    """`keygen` prints a new key of 32 bytes in base64, another each time."""
    first, second = lab.cli("keygen"), lab.cli("keygen")
    sizes = {len(base64.b64decode(ran.out.strip())) for ran in (first, second)}
    expect(sizes == {32} and first.out != second.out, "two different keys of 32 bytes", (first, second))


@case("cli-errors", Area.CLI, "A-021", "A-011", "A-023", level=AGENT, severity=SHOULD)
def failures_have_a_status(lab: Lab) -> None:
    """Without an agent a command says so on stdout and ends with exit 1, and so does an unknown flag."""
    ran = lab.cli("members", "-rpc-addr=127.0.0.1:9")
    fits = ran.out.startswith("Error connecting to Serf agent: ") and not ran.err
    expect(fits and ran.code == 1, "exit 1 and 'Error connecting to Serf agent: '", ran)
    ran = lab.cli("members", "-bogus")
    fits = ran.err.startswith("flag provided but not defined: -bogus")
    expect(fits and ran.code == 1, "exit 1 and the flag on stderr", ran)


@case("cli-usage", Area.CLI, "A-001", "A-003", "A-004", "A-005", level=AGENT, severity=SHOULD)
def help_is_there(lab: Lab) -> None:
    """`--help` lists the fifteen commands on stderr with exit 0; without a command the exit status is 127."""
    commands = [
        "agent",
        "event",
        "force-leave",
        "info",
        "join",
        "keygen",
        "keys",
        "leave",
        "members",
        "monitor",
        "query",
    ]
    commands += ["reachability", "rtt", "tags", "version"]
    ran = lab.cli("--help")
    found = [line.split()[0] for line in ran.err.splitlines() if line.startswith("    ")]
    expect(ran.code == 0 and found[:15] == commands, f"exit 0 and {commands}", ran)
    ran = lab.cli()
    expect(ran.code == 127 and not ran.out, "exit 127 and nothing on stdout", ran)
    ran = lab.cli("members", "-h")
    expect(ran.code == 0 and ran.err and not ran.out, "the help of a command on stderr", ran)
